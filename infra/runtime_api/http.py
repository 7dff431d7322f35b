"""HTTP/1.1 connections for servers that tests can break: trailers are seen, sockets can be reset.

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
from typing import TYPE_CHECKING, Any

import h11

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from penstock.infra.runtime_api.faults import Trap

Headers = list[tuple[str, str]]
HOST = "127.0.0.1"

_READ_AHEAD_BYTES = 256 * 1024
_WRITE_AHEAD_BYTES = 64 * 1024
_RESET = struct.pack("ii", 1, 0)
_HEAD_LIMIT_BYTES = 2 * 1024 * 1024
_DISCARD_LIMIT_BYTES = 256 * 1024
_LENGTH_KNOWN_BYTES = 2048


class ConnectionGone(Exception):
    """The other side has closed or reset the connection, or sent what is not HTTP."""


class Request:
    """One request whose body is read while it arrives.

    Shapes: ``target`` as on the wire; header names are lower case. ``trailers`` are there once the
    body has been read to its end.
    """

    def __init__(self, connection: Connection, head: h11.Request) -> None:
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
                raise BodyTooLarge(f"expected at most {limit_bytes} bytes of body")
            pieces.append(piece)
        return b"".join(pieces)


class BodyTooLarge(Exception):
    """A request's body is longer than the reader takes."""


class Connection(asyncio.Protocol):
    """One client's connection: requests in, answers out, and the ways to break off."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._machine = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_LIMIT_BYTES)
        self._transport: asyncio.Transport
        self._received: deque[bytes] = deque()
        self._received_bytes = 0
        self._is_gone = False
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._when_gone: Callable[[], object] | None = None
        self.inbound_trap: Trap | None = None
        self.outbound_trap: Trap | None = None

    # What the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to serve."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=_WRITE_AHEAD_BYTES)
        self._server.serve(self)

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
        event = await self.receive(continuing=False)
        return Request(self, event) if isinstance(event, h11.Request) else None

    async def receive(self, *, continuing: bool = True) -> h11.Event:
        """Return the next protocol event of the other side.

        Raises: ConnectionGone.
        """
        while True:
            try:
                event = self._machine.next_event()
            except h11.RemoteProtocolError as error:
                raise ConnectionGone(str(error)) from error
            if event is h11.NEED_DATA:
                if continuing and self._machine.they_are_waiting_for_100_continue:
                    self._write(h11.InformationalResponse(status_code=100, headers=[]))
                self._machine.receive_data(await self._read())
            elif event is h11.PAUSED:
                raise ConnectionGone("expected a request, got bytes behind the last one")
            else:
                if isinstance(event, h11.Data) and self.inbound_trap:
                    await self.inbound_trap.count(self, len(event.data))
                return event

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
        framing = ("Content-Length", str(len(body)))
        if len(body) > _LENGTH_KNOWN_BYTES:
            framing = ("Transfer-Encoding", "chunked")
        await self.begin(status, [*headers, framing])
        if body:
            await self.send(body)
        await self.end()

    async def answer_json(
        self, status: int, value: Any, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Send a whole answer of JSON. Raises: ConnectionGone."""
        body = json.dumps(value).encode() + b"\n"
        await self.answer(status, body, [("Content-Type", "application/json"), *headers])

    async def begin(self, status: int, headers: Headers) -> None:
        """Send an answer's status and headers."""
        fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        self._write(h11.Response(status_code=status, headers=fields))

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

    def _write(self, event: h11.Event) -> None:
        try:
            pieces = self._machine.send_with_data_passthrough(event) or []
        except h11.LocalProtocolError as error:
            raise ConnectionGone(str(error)) from error
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

    def close(self) -> None:
        """Close the connection in order; what was written still arrives."""
        self._transport.close()


class Server:
    """Serves connections on a loopback port with one handler for every request."""

    def __init__(self, handle: Callable[[Request, Connection], Awaitable[None]]) -> None:
        self._handle = handle
        self._server: asyncio.Server | None = None
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self.port = 0

    async def start(self, port: int = 0) -> None:
        """Listen: on this port, else on the one of the last time, else on a free one.

        Raises: OSError.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self), HOST, port or self.port, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def stop_listening(self) -> None:
        """Refuse new connections from now on; those that are open go on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def drop_connections(self) -> None:
        """Reset every open connection."""
        for connection, task in list(self._connections.items()):
            connection.reset()
            task.cancel()

    async def close(self) -> None:
        """Stop listening and end every connection."""
        self.stop_listening()
        tasks = list(self._connections.values())
        self.drop_connections()
        await asyncio.gather(*tasks, return_exceptions=True)

    def serve(self, connection: Connection) -> None:
        """Answer the requests of a new connection, one after the other."""
        task = asyncio.get_running_loop().create_task(self._serve(connection))
        self._connections[connection] = task
        task.add_done_callback(lambda _: self._connections.pop(connection))

    async def _serve(self, connection: Connection) -> None:
        try:
            while request := await connection.next_request():
                await self._handle(request, connection)
                await connection.discard_rest(request)
        except ConnectionGone:
            pass
        finally:
            connection.close()
