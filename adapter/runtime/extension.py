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
    """Register with the Extensions API for no events, and begin to wait for one.

    PENSTOCK_EXTENSION=0 leaves it out: Lambda allows ten extensions, and a function without
    shutdown has no need of it. Returns the connection, to be kept as long as the process lives. A
    refusal costs the shutdown only, so it is logged. Of several processes, the first one registers
    for all: the signal goes to the whole group.
    """
    if os.environ.get("PENSTOCK_EXTENSION") == "0":
        return None
    client = RuntimeClient(host, port)
    body = b'{"events":[]}'
    head = client.write.post(_REGISTER, len(body), [("Lambda-Extension-Name", NAME)])
    try:
        response = client.request(head, body)
    except RuntimeAPIError as error:
        logger.warning("going on without SIGTERM: extension not registered: %s", error)
        return None
    identifier = response.headers.get(b"lambda-extension-identifier")
    if response.status != 200 or identifier is None:
        is_shared = response.status == 403 and "AWS_LAMBDA_MAX_CONCURRENCY" in os.environ
        logger.log(
            logging.DEBUG if is_shared else logging.WARNING,
            "going on without SIGTERM: extension not registered: status %d %r",
            response.status,
            response.body[:200],
        )
        return None
    # Lambda's init phase ends only when each extension waits. There is never an answer.
    waits = [("Lambda-Extension-Identifier", identifier.decode("latin-1"))]
    client.post(client.write.get(_NEXT, waits), ())
    return client
