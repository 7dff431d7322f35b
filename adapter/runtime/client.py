"""A Runtime API client on a blocking socket, for one invocation at a time.

Between two invocations Lambda freezes the sandbox, so nothing is lost by blocking, and a blocking
read takes a third of the time that an event loop needs for it.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from penstock.adapter.errors import RuntimeAPIError
from penstock.adapter.runtime.protocol import RequestWriter, ResponseParser
from penstock.adapter.runtime.responses import (
    PAUSES,
    broken,
    check_accepted,
    gone,
    read_event,
)
from penstock.adapter.runtime.stop import REASON

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.adapter.runtime.protocol import Invocation, Response
    from penstock.adapter.runtime.stop import StopSignal

_RECEIVE = 1 << 14
_RECEIVE_LARGE = 1 << 20
_JOINED = 16384


def address_from_environment() -> tuple[str, int]:
    """Return host and port of the Runtime API.

    Raises: RuntimeAPIError if ``AWS_LAMBDA_RUNTIME_API`` is not there or is no host:port.
    """
    address = os.environ.get("AWS_LAMBDA_RUNTIME_API", "")
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise RuntimeAPIError(
            f"AWS_LAMBDA_RUNTIME_API={address!r}: expected host:port, which Lambda sets. Outside of"
            " Lambda, run the function under a local Runtime API"
        )
    return host.strip("[]"), int(port)


def user_agent() -> str:
    """Return what Lambda shall know of this runtime."""
    return "penstock/{}.{}.{}".format(*sys.version_info[:3])


class RuntimeClient:
    """One kept-alive connection to the Runtime API; connects when it is first used.

    Once ``stop`` is requested, what is under way has its grace, and nothing is tried again.
    Attributes: ``address`` (host and port); ``write``, the writer of requests to it;
    ``before_retry``, called before ``next`` tries again.
    """

    before_retry: Callable[[], object] | None = None

    def __init__(self, host: str, port: int, stop: StopSignal | None = None) -> None:
        self.address = (host, port)
        self._stop = stop
        self.write = RequestWriter(f"{host}:{port}", user_agent())
        self._socket: socket.socket | None = None
        self._parser = ResponseParser()
        self._sent: tuple[bytes, ...] = ()

    @property
    def is_answered(self) -> bool:
        """Whether there is something to be read, or nothing ever will be."""
        return self._socket is None or bool(select.select([self._socket], (), (), 0)[0])

    def close(self) -> None:
        """Drop the connection; the next request makes another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._parser = ResponseParser()

    def next(self) -> Invocation | None:
        """Wait for the next event; None if the stop signal came first.

        Raises: RuntimeAPIError when there is no API any more, or it refuses; also when an event was
        arriving at the stop, and did not within the grace.
        """
        problem: Exception | None = None
        for pause in PAUSES:
            if pause:
                if self._is_stopped_within(pause):
                    return None
                if self.before_retry is not None:
                    self.before_retry()
            try:
                self._send((self.write.next,))
                if not self._wait():
                    return None
                response = self._receive()
            except (OSError, RuntimeAPIError) as error:
                is_torn = self._parser.has_begun
                self.close()
                if self._is_stopping:
                    if is_torn:
                        raise RuntimeAPIError("an event that was arriving is lost") from error
                    return None
                problem = error
                continue
            return read_event(response)
        raise gone(self.address, problem)

    def post(self, head: bytes, parts: Sequence[bytes]) -> None:
        """Send a request; ``settle`` reads what comes back. Never raises.

        What goes wrong here shows when the response is read, and is handled there.
        """
        self._sent = (head, *parts)
        with suppress(OSError):  # the response may be there already: it says why
            self._send(self._sent)

    def settle(self) -> None:
        """Read the response to ``post``.

        A connection that broke before any answer is tried again, once.
        Raises: RuntimeAPIError if the API did not accept what was posted.
        """
        head = self._sent[0]
        try:
            try:
                self._wait()
                response = self._receive()
            except (OSError, RuntimeAPIError):
                if self._is_stopping:
                    raise
                self.close()
                self._send(self._sent)
                self._wait()
                response = self._receive()
        except (OSError, RuntimeAPIError) as error:
            self.close()
            raise broken(error, head) from error
        finally:
            self._sent = ()
        check_accepted(head, response)

    def request(self, head: bytes, body: bytes = b"") -> Response:
        """Return the response to any other request.

        Raises: RuntimeAPIError if there is none.
        """
        try:
            self._send((head, body) if body else (head,))
        except OSError as error:
            self.close()
            raise broken(error) from error
        return self.response()

    def response(self) -> Response:
        """Wait for the response to what was sent.

        Raises: RuntimeAPIError if there is none.
        """
        try:
            return self._receive()
        except (OSError, RuntimeAPIError) as error:
            self.close()
            raise broken(error) from error

    @property
    def _is_stopping(self) -> bool:
        return self._stop is not None and self._stop.requested

    def _connect(self) -> socket.socket:
        # socket.create_connection would import the codec for host names, which takes 2 ms.
        family = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
        connection = socket.socket(family)
        try:
            connection.connect(self.address)
        except OSError:
            connection.close()
            raise
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        if self._stop is not None:
            self._poll = select.poll()
            self._poll.register(connection, select.POLLIN)
            self._poll.register(self._stop.fd, select.POLLIN)
            self._only_signals = [(self._stop.fd, select.POLLIN)]
        return connection

    def _send(self, parts: Sequence[bytes]) -> None:
        connection = self._socket or self._connect()
        if len(parts) == 1:
            connection.sendall(parts[0])
            return
        size = sum(map(len, parts))
        if size < _JOINED:
            connection.sendall(b"".join(parts))
            return
        self._limit_after_stop(connection)
        sent = connection.sendmsg(parts)
        if sent < size:  # a signal came in between
            self._limit_after_stop(connection)
            for part in parts:
                if sent < len(part):
                    connection.sendall(memoryview(part)[sent:])
                sent = max(0, sent - len(part))

    def _limit_after_stop(self, connection: socket.socket) -> None:
        if self._stop is not None and self._stop.requested:
            connection.settimeout(self._stop.left_s())

    def _is_stopped_within(self, seconds: float) -> bool:
        if self._stop is not None:
            return self._stop.wait(seconds)
        time.sleep(seconds)
        return False

    def _wait(self) -> bool:
        """Wait for a response or the stop, and say whether there is more than the stop.

        ``_receive`` is limited after the stop, not before: nobody knows when an event will come.
        """
        stop = self._stop
        if stop is None or self._socket is None:
            return True
        while not stop.requested and self._poll.poll() == self._only_signals:
            stop.drain()  # the stop's is one of them, perhaps
        if not stop.requested:
            return True
        self._limit_after_stop(self._socket)
        return any(fd != stop.fd for fd, _ in self._poll.poll(0))

    def _receive(self) -> Response:
        connection = self._socket
        if connection is None:
            raise RuntimeAPIError("the connection could not be made")
        parser = self._parser
        while True:
            try:
                data = connection.recv(_RECEIVE_LARGE if parser.wanted > _RECEIVE else _RECEIVE)
            except TimeoutError:
                raise RuntimeAPIError(f"no response in time, as {REASON}") from None
            response = parser.feed(data) if data else parser.feed_eof()
            if response is not None:
                if not response.keeps_alive:
                    self.close()
                return response
            if not data:
                raise RuntimeAPIError("the Runtime API closed the connection without a response")
            self._wait()  # for the rest
