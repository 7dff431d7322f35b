"""One streamed answer: a POST whose body is written while the application produces it.

Source: Lambda Developer Guide, "Response streaming for Lambda functions" and "Using the Lambda
runtime API for custom runtimes".
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from penstock.adapter.runtime.connection import Connection
from penstock.adapter.runtime.protocol import (
    DELIMITER,
    END_OF_STREAM,
    chunk_head,
    end_with_error,
)
from penstock.adapter.runtime.responses import check_accepted

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.adapter.runtime.protocol import Response

GRACE_S: Final = 1.0
"""What an application has between ``http.disconnect`` and its cancellation in a broken stream."""


class Stream:
    """The answer to one invocation, on a connection of its own.

    ``head`` is the head of the request. ``on_broken`` is called when the Runtime API answers before
    the end, or breaks the connection: nobody takes the rest. ``open`` comes first, then ``start``.
    """

    _connection: Connection
    _response: asyncio.Future[Response]

    def __init__(
        self,
        address: tuple[str, int],
        head: bytes,
        on_broken: Callable[[float, str], object] | None,
    ) -> None:
        self._address = address
        self._head = head
        self._on_broken = on_broken
        self._has_ended = False

    async def open(self) -> None:
        """Connect. Raises: OSError, and nothing has left then."""
        try:
            self._connection = await Connection.open(self._address, asyncio.get_running_loop())
        except OSError as error:
            if self._on_broken is not None:
                self._on_broken(GRACE_S, f"there is no connection for it: {error}")
            raise

    async def start(self, prelude: bytes, body: bytes, *, more: bool) -> None:
        """Send the prelude and the first part of the body in one write. Raises: OSError."""
        first = b"%b%b%b%b\r\n" % (
            self._head,
            chunk_head(len(prelude) + len(DELIMITER)),
            prelude,
            DELIMITER,
        )
        self._has_ended = not more
        self._response = self._connection.begin(first, *_chunk(body, more=more))
        self._response.add_done_callback(self._answered)
        await self._connection.drain()

    async def send(self, body: bytes, *, more: bool) -> None:
        """Send a part of the body; returns when it has left. Raises: OSError."""
        self._has_ended = not more
        parts = _chunk(body, more=more)
        if parts:
            self._connection.write(*parts)
            await self._connection.drain()

    async def abort(self, error_type: str, report: bytes, limit_s: float) -> None:
        """End the stream with an error; a reader that does not take it in time is cut off."""
        if not self._has_ended:
            self._has_ended = True
            self._connection.write(end_with_error(error_type, report))
        try:
            await asyncio.wait_for(self._connection.drain(), limit_s)
        except (TimeoutError, OSError):
            self._connection.close()

    async def settle(self) -> None:
        """Wait until the Runtime API has the whole of it. Raises: RuntimeAPIError if it has not."""
        try:
            response = await self._response
        finally:
            self._connection.close()
        check_accepted(self._head, response)

    def _answered(self, response: asyncio.Future[Response]) -> None:
        if not self._has_ended:
            self._connection.close()
            if self._on_broken is not None:
                self._on_broken(GRACE_S, "nobody takes the response any more")


def _chunk(body: bytes, *, more: bool) -> tuple[bytes, ...]:
    if not body:  # an empty chunk would end the stream
        return () if more else (END_OF_STREAM,)
    return (chunk_head(len(body)), body, b"\r\n" if more else b"\r\n" + END_OF_STREAM)
