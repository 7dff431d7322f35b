"""An internal extension, for one thing only: Lambda sends SIGTERM only where there is one.

Source: Lambda Developer Guide, "Using the Lambda Extensions API to create extensions".
"""

from __future__ import annotations

import logging
import os
from typing import Final

from penstock.adapter.errors import RuntimeAPIError
from penstock.adapter.runtime.client import RuntimeClient

logger = logging.getLogger("penstock")

NAME: Final = "penstock"
_REGISTER = "/2020-01-01/extension/register"
_NEXT = "/2020-01-01/extension/event/next"


def register(host: str, port: int) -> RuntimeClient | None:
    """Ask the Extensions API for a registration for no events; ``park`` takes the answer.

    The application is imported meanwhile. PENSTOCK_EXTENSION=0 leaves it out: Lambda allows ten
    extensions, and a function without shutdown has no need of it. Returns the connection, to be
    kept as long as the process lives.
    """
    if os.environ.get("PENSTOCK_EXTENSION") == "0":
        return None
    client = RuntimeClient(host, port)
    body = b'{"events":[]}'
    head = client.write.post(_REGISTER, len(body), [("Lambda-Extension-Name", NAME)])
    client.post(head, (body,))
    return client


def park(client: RuntimeClient) -> None:
    """Begin to wait for an event, as Lambda's init phase ends only when each extension waits.

    A refusal costs the shutdown only, so it is logged. Of several processes, the first one
    registers for all: the signal goes to the whole group.
    """
    try:
        response = client.response()
    except RuntimeAPIError as error:
        logger.warning("going on without SIGTERM: extension not registered: %s", error)
        return
    identifier = response.headers.get(b"lambda-extension-identifier")
    if response.status != 200 or identifier is None:
        is_shared = response.status == 403 and "AWS_LAMBDA_MAX_CONCURRENCY" in os.environ
        logger.log(
            logging.DEBUG if is_shared else logging.WARNING,
            "going on without SIGTERM: extension not registered: status %d %r",
            response.status,
            response.body[:200],
        )
        return
    # There is never an answer.
    waits = [("Lambda-Extension-Identifier", identifier.decode("latin-1"))]
    client.post(client.write.get(_NEXT, waits), ())
