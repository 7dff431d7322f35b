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
from typing import TYPE_CHECKING, Final

from penstock.adapter.errors import RuntimeAPIError
from penstock.adapter.runtime.protocol import Invocation, RequestWriter, Response, ResponseParser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.adapter.runtime.stop import StopSignal

PAUSES: Final = (0.0, 0.1, 0.2, 0.4, 0.8)
"""Seconds before each try to reach a Runtime API that does not answer; then it counts as gone."""

_RECEIVE = 65536
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

    Attributes: ``address`` (host and port); ``write``, the writer of requests to it.
    """

    def __init__(self, host: str, port: int, stop: StopSignal | None = None) -> None:
        self.address = (host, port)
        self._stop = stop
        self.write = RequestWriter(f"{host}:{port}", user_agent())
        self._socket: socket.socket | None = None
        self._parser = ResponseParser()
        self._sent: tuple[bytes, ...] = ()

    def close(self) -> None:
        """Drop the connection; the next request makes another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def next(self) -> Invocation | None:
        """Wait for the next event; None if the stop signal came first.

        Raises: RuntimeAPIError when there is no API any more, or it refuses.
        """
        problem: Exception | None = None
        for pause in PAUSES:
            if pause:
                time.sleep(pause)
            try:
                self._send((self.write.next,))
                if self._stop is not None and self._is_stopped(self._stop):
                    return None
                response = self._receive()
            except (OSError, RuntimeAPIError) as error:
                self.close()
                problem = error
                continue
            if response.status == 200:
                return Invocation(response)
            raise refused("GET invocation/next", 200, response)
        raise RuntimeAPIError(
            f"no event from the Runtime API at {self.address} after {len(PAUSES)} tries:"
            f" {type(problem).__name__}: {problem}"
        )

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
        what = self._sent[0].partition(b" HTTP/")[0].decode("latin-1")
        try:
            try:
                response = self._receive()
            except (OSError, RuntimeAPIError):
                self.close()
                self._send(self._sent)
                response = self._receive()
        except (OSError, RuntimeAPIError) as error:
            self.close()
            raise RuntimeAPIError(f"{what}: {type(error).__name__}: {error}") from error
        finally:
            self._sent = ()
        if response.status != 202:
            raise refused(what, 202, response)

    def request(self, head: bytes, body: bytes = b"") -> Response:
        """Return the response to any other request.

        Raises: RuntimeAPIError if there is none.
        """
        try:
            self._send((head, body) if body else (head,))
        except OSError as error:
            self.close()
            raise RuntimeAPIError(f"{type(error).__name__}: {error}") from error
        return self.response()

    def response(self) -> Response:
        """Wait for the response to what was sent.

        Raises: RuntimeAPIError if there is none.
        """
        try:
            return self._receive()
        except OSError as error:
            self.close()
            raise RuntimeAPIError(f"{type(error).__name__}: {error}") from error

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
        self._parser = ResponseParser()
        if self._stop is not None:
            self._poll = select.poll()
            self._poll.register(connection, select.POLLIN)
            self._poll.register(self._stop.fd, select.POLLIN)
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
        sent = connection.sendmsg(parts)
        if sent < size:  # a signal came in between
            for part in parts:
                if sent < len(part):
                    connection.sendall(memoryview(part)[sent:])
                sent = max(0, sent - len(part))

    def _is_stopped(self, stop: StopSignal) -> bool:
        """Wait for a response or the stop, and say whether it is only the stop."""
        return [fd for fd, _ in self._poll.poll()] == [stop.fd]

    def _receive(self) -> Response:
        connection = self._socket
        if connection is None:
            raise RuntimeAPIError("the connection could not be made")
        parser = self._parser
        while True:
            data = connection.recv(_RECEIVE_LARGE if parser.wanted > _RECEIVE else _RECEIVE)
            response = parser.feed(data) if data else parser.feed_eof()
            if response is not None:
                if not response.keeps_alive:
                    self.close()
                return response
            if not data:
                raise RuntimeAPIError("the Runtime API closed the connection without a response")


def refused(what: str, expected: int, response: Response) -> RuntimeAPIError:
    """Return the error that a response is which says no."""
    body = response.body[:300].decode("utf-8", "replace")
    return RuntimeAPIError(f"{what}: expected {expected}, got {response.status} {body}")
