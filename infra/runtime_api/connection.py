"""One HTTP/1.1 connection of a server that sees trailers, and breaks connections on demand.

A thin asyncio shell around ``h11``. ASGI servers hide request trailers and cannot end a connection
in the middle of a message, and both are needed here.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

import h11

from penstock.infra.runtime_api.request import ConnectionGone, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.infra.runtime_api.faults import Trap
    from penstock.infra.runtime_api.request import Headers

_READ_AHEAD_BYTES: Final = 256 * 1024
_WRITE_AHEAD_BYTES: Final = 64 * 1024 + 1024  # a piece of a stream, and its head
_HEAD_LIMIT_BYTES: Final = 2 * 1024 * 1024  # trailers carry an error as base64
# These three are those of Go's net/http, which AWS's emulator is served by.
_DISCARD_LIMIT_BYTES: Final = 256 * 1024
_LENGTH_KNOWN_BYTES: Final = 2048
_LINGER_S: Final = 0.5
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER, on, for no time at all


class Connection(asyncio.Protocol):
    """One client's connection: requests in, answers out, and the ways to break off."""

    def __init__(self, serve: Callable[[Connection], None]) -> None:
        self._serve = serve
        self._machine = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_LIMIT_BYTES)
        self._transport: asyncio.Transport
        self._received: deque[bytes] = deque()
        self._received_bytes = 0
        self._is_gone = False
        self._takes_body = True
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._when_gone: Callable[[], object] | None = None
        self.inbound_trap: Trap | None = None
        self.outbound_trap: Trap | None = None

    # What the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to serve."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_WRITE_AHEAD_BYTES)
        self._serve(self)

    def data_received(self, data: bytes) -> None:
        """Keep what has come until it is read; let the other side wait if that is much."""
        self._received.append(data)
        self._received_bytes += len(data)
        if self._received_bytes > _READ_AHEAD_BYTES:
            self._transport.pause_reading()
        self._readable.set()

    def eof_received(self) -> bool:
        """Take it that the other side has gone; what is being answered still leaves."""
        self._note_end()
        return True

    def connection_lost(self, _: Exception | None) -> None:
        """Wake up whoever reads or writes."""
        self._note_end()
        self._writable.set()

    def _note_end(self) -> None:
        self._is_gone = True
        self._readable.set()
        if self._when_gone is not None:
            self._when_gone()

    def pause_writing(self) -> None:
        """The other side does not read as fast as it is written to."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The other side has caught up."""
        self._writable.set()

    # What a server does

    async def next_request(self) -> Request | None:
        """Return the next request on this connection, or None when there will be none."""
        if self._machine.our_state is h11.DONE and self._machine.their_state is h11.DONE:
            self._machine.start_next_cycle()
        if self._machine.our_state is not h11.IDLE:
            return None
        event = await self.receive()
        if not isinstance(event, h11.Request):
            return None
        self._takes_body = event.method != b"HEAD"
        return Request(self, event)

    async def receive(self) -> h11.Event:
        """Return the next protocol event of the other side.

        Raises: ConnectionGone.
        """
        while True:
            try:
                event = self._machine.next_event()
            except h11.RemoteProtocolError as error:
                await self._complain(error)
                raise ConnectionGone(str(error)) from error
            if event is h11.NEED_DATA:
                if self._machine.they_are_waiting_for_100_continue:
                    self._write(h11.InformationalResponse(status_code=100, headers=[]))
                self._machine.receive_data(await self._read())
            elif event is h11.PAUSED:
                raise ConnectionGone("expected a request, got bytes behind the last one")
            else:
                if isinstance(event, h11.Data) and self.inbound_trap:
                    await self.inbound_trap.count(self, len(event.data))
                return cast("h11.Event", event)

    async def _complain(self, error: h11.RemoteProtocolError) -> None:
        """Tell the other side that it does not speak HTTP, where an answer may be sent still."""
        if self._machine.our_state in {h11.IDLE, h11.SEND_RESPONSE} and not self._is_gone:
            reason = str(error).encode("ascii", "replace")
            headers = [("Content-Type", "text/plain"), ("Connection", "close")]
            await self.answer(error.error_status_hint, reason, headers)

    async def _read(self) -> bytes:
        """Return what has come since the last time; nothing at the end."""
        while not self._received:
            if self._is_gone:
                return b""
            self._readable.clear()
            await self._readable.wait()
        if self._received_bytes > _READ_AHEAD_BYTES:
            self._transport.resume_reading()
        data = b"".join(self._received) if len(self._received) > 1 else self._received[0]
        self._received.clear()
        self._received_bytes = 0
        return data

    async def wait_for(self, future: asyncio.Future[Any]) -> Any:
        """Return a future's result. Raises: ConnectionGone as soon as nobody waits for it."""
        if self._is_gone:
            future.cancel()
        self._when_gone = future.cancel
        try:
            return await future
        except asyncio.CancelledError:
            if future.cancelled() and self._is_gone:
                raise ConnectionGone("the other side has given its request up") from None
            raise
        finally:
            self._when_gone = None

    async def answer(
        self, status: int, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Send a whole answer, as Go's server would: chunked where it is longer than 2048 bytes.

        Raises: ConnectionGone.
        """
        if not self._takes_body:
            body = b""
        framing = ("Content-Length", str(len(body)))
        if len(body) > _LENGTH_KNOWN_BYTES:
            framing = ("Transfer-Encoding", "chunked")
        if self.outbound_trap:
            await self.begin(status, [*headers, framing])
            await self.send(body)
            await self.end()
            return
        self._write(_head(status, [*headers, framing]), h11.Data(data=body), h11.EndOfMessage())
        await self._drain()

    async def answer_json(
        self, status: int, value: Any, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Send a whole answer of JSON. Raises: ConnectionGone."""
        body = json.dumps(value, separators=(",", ":")).encode() + b"\n"
        await self.answer(status, body, [("Content-Type", "application/json"), *headers])

    async def begin(self, status: int, headers: Headers) -> None:
        """Send an answer's status and headers.

        Raises: ValueError for what HTTP cannot carry; nothing has been sent then. ConnectionGone.
        """
        self._write(_head(status, headers))

    async def send(self, data: bytes) -> None:
        """Send a piece of an answer's body; wait while the other side does not read.

        Raises: ConnectionGone.
        """
        if self.outbound_trap:
            for piece in self.outbound_trap.split(data):
                self._write(h11.Data(data=piece))
                await self._drain()
                await self.outbound_trap.count(self, len(piece))
            return
        self._write(h11.Data(data=data))
        await self._drain()

    async def end(self) -> None:
        """End an answer. Raises: ConnectionGone."""
        self._write(h11.EndOfMessage())
        await self._drain()

    def _write(self, *events: h11.Event) -> None:
        """Send protocol events, in one piece unless that means to copy a large body."""
        if self._transport.is_closing():
            raise ConnectionGone("the other side has closed the connection")
        pieces: list[bytes] = []
        try:
            for event in events:
                pieces += self._machine.send_with_data_passthrough(event) or []
        except h11.LocalProtocolError as error:
            raise ConnectionGone(str(error)) from error
        if sum(map(len, pieces)) <= _WRITE_AHEAD_BYTES:
            pieces = [b"".join(pieces)]
        for piece in pieces:
            self._transport.write(piece)

    async def _drain(self) -> None:
        if self._transport.is_closing():
            raise ConnectionGone("the other side has closed the connection")
        await self._writable.wait()

    async def write_raw(self, data: bytes) -> None:
        """Send bytes past the protocol. Raises: ConnectionGone."""
        self._transport.write(data)
        await self._drain()

    async def discard_rest(self, request: Request) -> None:
        """Read what is left of a body that nobody wants, as far as Go's server would."""
        if request.body_is_read:
            return
        left = _DISCARD_LIMIT_BYTES
        with suppress(ConnectionGone):
            async for piece in request.chunks():
                left -= len(piece)
                if left < 0:
                    return

    def reset(self) -> None:
        """Break the connection off at once, with a TCP reset."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None and not self._transport.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    async def linger(self) -> None:
        """Give the other side half a second to read an answer that came before its request's end.

        Closed at once, the connection would be reset, and the answer lost. Go's server does the
        same.
        """
        if self._machine.their_state is h11.SEND_BODY and not self._transport.is_closing():
            self._transport.write_eof()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LINGER_S):
                    while not self._is_gone:
                        self._readable.clear()
                        await self._readable.wait()

    def close(self) -> None:
        """Close the connection in order; what was written still arrives."""
        self._transport.close()


def _head(status: int, headers: Headers) -> h11.Response:
    """Return an answer's status and headers. Raises: ValueError for what HTTP cannot carry."""
    try:
        fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return h11.Response(status_code=status, headers=fields)
    except h11.LocalProtocolError as error:
        raise ValueError(f"expected a status and headers of HTTP: {error}") from error
