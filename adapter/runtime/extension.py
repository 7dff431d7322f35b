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


def register(host: str, port: int) -> Extension | None:
    """Ask the Extensions API for a registration for no events; ``park`` takes the answer.

    The application is imported meanwhile. PENSTOCK_EXTENSION=0 leaves it out: Lambda allows ten
    extensions, and a function without shutdown has no need of it.
    """
    if os.environ.get("PENSTOCK_EXTENSION") == "0":
        return None
    client = RuntimeClient(host, port)
    body = b'{"events":[]}'
    head = client.write.post(_REGISTER, len(body), [("Lambda-Extension-Name", NAME)])
    client.post(head, (body,))
    return Extension(client)


class Extension:
    """The registration, and the connection on which it waits; to be kept as long as the process."""

    def __init__(self, client: RuntimeClient) -> None:
        self._client = client
        self._wait: bytes | None = None

    def park(self) -> None:
        """Begin to wait for an event, as Lambda's init phase ends only when each extension waits.

        A refusal costs the shutdown only, so it is logged. Of several processes, the first one
        registers for all: the signal goes to the whole group.
        """
        client = self._client
        try:
            response = client.response()
        except RuntimeAPIError as error:
            logger.warning("going on without SIGTERM: extension not registered: %s", error)
            return
        identifier = response.headers.get(b"lambda-extension-identifier")
        if identifier is None:
            is_shared = response.status == 403 and "AWS_LAMBDA_MAX_CONCURRENCY" in os.environ
            logger.log(
                logging.DEBUG if is_shared else logging.WARNING,
                "going on without SIGTERM: extension not registered: status %d %r",
                response.status,
                response.body[:200],
            )
            return
        waits = [("Lambda-Extension-Identifier", identifier.decode("latin-1"))]
        self._wait = client.write.get(_NEXT, waits)
        client.post(self._wait, ())

    def park_again(self) -> None:
        """Wait on another connection, if the one on which it waited is gone."""
        if self._wait is not None and self._client.is_answered:  # there is never an answer
            self._client.close()
            self._client.post(self._wait, ())
