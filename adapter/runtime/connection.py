"""A connection to the Runtime API on an event loop, on the socket itself.

Nothing is buffered in the process beyond what a caller is waiting for, so what a slow reader does
not take stays where it is: in the application, which waits in its ``send``.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from penstock.adapter.errors import RuntimeAPIError
from penstock.adapter.runtime.protocol import ResponseParser
from penstock.adapter.runtime.responses import broken

if TYPE_CHECKING:
    import asyncio

    from penstock.adapter.runtime.protocol import Response

_RECEIVE = 1 << 14


class Connection:
    """One connection, and one request on it at a time.

    Attribute: ``response``, the future response to the request whose first bytes were written
    with ``begin``; it may come while the request is still being written.
    """

    def __init__(self, connected: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self._socket: socket.socket | None = connected
        self._loop = loop
        self._parser = ResponseParser()
        self._unsent: deque[memoryview] = deque()
        self._drained: list[asyncio.Future[None]] = []
        self.response: asyncio.Future[Response] = loop.create_future()
        loop.add_reader(connected, self._read)

    @classmethod
    async def open(cls, address: tuple[str, int], loop: asyncio.AbstractEventLoop) -> Connection:
        """Connect. Raises: OSError."""
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        new = socket.socket(family, socket.SOCK_STREAM)
        try:
            new.settimeout(0)
            await _connect(new, address, loop)
            new.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            new.close()
            raise
        return cls(new, loop)

    @property
    def is_open(self) -> bool:
        """Whether it can carry another request."""
        return self._socket is not None

    @property
    def is_receiving(self) -> bool:
        """Whether a response, or a part of one, has arrived."""
        if self._socket is not None and not self.response.done():
            self._read()
        if self.response.done():
            return not self.response.cancelled() and self.response.exception() is None
        return self._parser.has_begun

    def close(self) -> None:
        """End the connection; whoever waits for something on it gets an error."""
        self._lose(RuntimeAPIError("the connection was closed"))

    def begin(self, *parts: bytes) -> asyncio.Future[Response]:
        """Begin a request, and return its response to come.

        Raises nothing: a broken connection shows in the response, a RuntimeAPIError.
        """
        if self.response.done():
            self.response = self._loop.create_future()
        self.write(*parts)
        return self.response

    def write(self, *parts: bytes) -> None:
        """Write more of the request; what the socket does not take now, it takes later."""
        if self._socket is None:
            if not self.response.done():
                self._set_error(RuntimeAPIError("the connection is broken"))
            return
        if self._unsent:
            self._unsent.extend(map(memoryview, parts))
            return
        try:
            sent = self._socket.sendmsg(parts)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._lose_writing(error)
            return
        for part in parts:
            if sent < len(part):
                self._unsent.append(memoryview(part)[sent:])
            sent = max(0, sent - len(part))
        if self._unsent:
            self._loop.add_writer(self._socket, self._flush)

    async def drain(self) -> None:
        """Return when all that was written has left. Raises: OSError if it never will.

        Cancelling the wait leaves the rest on its way, so that no message is torn.
        """
        if self._unsent:
            drained = self._loop.create_future()
            self._drained.append(drained)
            await drained
        if self._socket is None:
            raise ConnectionResetError("the connection to the Runtime API is broken")

    def _flush(self) -> None:
        connection, unsent = self._socket, self._unsent
        assert connection is not None  # noqa: S101 - no writer is left when it is closed
        try:
            while unsent:
                sent = connection.send(unsent[0])
                if sent < len(unsent[0]):
                    unsent[0] = unsent[0][sent:]
                else:
                    unsent.popleft()
        except BlockingIOError:
            return
        except OSError as error:
            self._lose_writing(error)
            return
        self._loop.remove_writer(connection)
        self._wake()

    def _read(self) -> None:
        assert self._socket is not None  # noqa: S101 - no reader is left when it is closed
        try:
            data = self._socket.recv(_RECEIVE)
            response = self._parser.feed(data) if data else self._parser.feed_eof()
        except BlockingIOError:
            return
        except (OSError, RuntimeAPIError) as error:
            self._lose(error)
            return
        if response is not None:
            if not response.keeps_alive:
                self._shut()
            if not self.response.done():
                self.response.set_result(response)
        elif not data:
            self._lose(RuntimeAPIError("the Runtime API closed the connection"))

    def _lose_writing(self, error: OSError) -> None:
        # Refused early, the API answers and closes: its answer may be there to be read.
        self._read()
        self._lose(error)

    def _lose(self, error: Exception) -> None:
        self._shut()
        if not self.response.done():
            self._set_error(error)

    def _set_error(self, error: Exception) -> None:
        self.response.set_exception(error if isinstance(error, RuntimeAPIError) else broken(error))
        self.response.exception()  # nobody may be waiting for it, which is no error

    def _shut(self) -> None:
        connection, self._socket = self._socket, None
        if connection is not None:
            self._loop.remove_reader(connection)
            self._loop.remove_writer(connection)
            with suppress(OSError):
                connection.close()
        self._unsent.clear()
        self._wake()

    def _wake(self) -> None:
        for drained in self._drained:
            if not drained.done():
                drained.set_result(None)
        self._drained.clear()


async def _connect(
    new: socket.socket, address: tuple[str, int], loop: asyncio.AbstractEventLoop
) -> None:
    """Do as ``loop.sock_connect``, which imports ``ssl`` to tell that the socket is not of TLS."""
    problem = new.connect_ex(address)
    if problem == errno.EINPROGRESS:
        is_connected = loop.create_future()
        loop.add_writer(new, _set_done, is_connected)
        try:
            await is_connected
        finally:
            loop.remove_writer(new)
        problem = new.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if problem:
        raise OSError(problem, os.strerror(problem))


def _set_done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
