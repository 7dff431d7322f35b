"""An HTTP request whose body is read while it arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import h11

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Headers = list[tuple[str, str]]


class ConnectionGone(Exception):
    """The other side has closed or reset the connection, or sent what is not HTTP."""


class BodyTooLarge(Exception):
    """A request's body is longer than the reader takes."""


class Receiver(Protocol):
    """Where a request comes from."""

    async def receive(self) -> h11.Event:
        """Return the next protocol event. Raises: ConnectionGone."""


class Request:
    """One request whose body is read while it arrives.

    Shapes: ``target`` as on the wire; header names are lower case. ``trailers`` are there once the
    body has been read to its end.
    """

    def __init__(self, connection: Receiver, head: h11.Request) -> None:
        self.method = head.method.decode("ascii")
        self.target = head.target.decode("latin-1")
        self.headers: Headers = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers
        ]
        self.trailers: Headers = []
        self.body_is_read = False
        self._connection = connection

    @property
    def path(self) -> str:
        """The path as on the wire, without the query."""
        return self.target.partition("?")[0]

    def header(self, name: str, default: str = "") -> str:
        """Return the first value of a header; ``name`` is lower case."""
        return next((value for key, value in self.headers if key == name), default)

    def trailer(self, name: str) -> str:
        """Return the first value of a trailer, or an empty string; ``name`` is lower case."""
        return next((value for key, value in self.trailers if key == name), "")

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives, in pieces that need not be those of the sender.

        Raises: ConnectionGone if the body ends before its time.
        """
        while not self.body_is_read:
            event = await self._connection.receive()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self.trailers = [
                    (name.decode("latin-1"), value.decode("latin-1"))
                    for name, value in event.headers
                ]
                self.body_is_read = True
            else:
                raise ConnectionGone("expected a whole request body, got an end in the middle")

    async def body(self, limit_bytes: int | None = None) -> bytes:
        """Return the whole body.

        Raises: BodyTooLarge as soon as it is longer than the limit; ConnectionGone.
        """
        pieces, size = [], 0
        async for piece in self.chunks():
            size += len(piece)
            if limit_bytes is not None and size > limit_bytes:
                raise BodyTooLarge(f"expected at most {limit_bytes} bytes of body, got more")
            pieces.append(piece)
        return b"".join(pieces)
