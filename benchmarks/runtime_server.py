"""A Runtime API that does as little as possible, so that what is measured is the runtime.

The events are given out one after the other, to whoever asks.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field

DEADLINE_S = 120


@dataclass
class Answer:
    """When an event left, when the head of its answer came, and when all of it was there."""

    event_at: int = 0
    first_at: int = 0
    ended_at: int = 0
    size: int = 0
    head: bytes = b""
    start: bytes = b""
    done: threading.Event = field(default_factory=threading.Event)


class Server:
    """Serves any number of connections of one runtime at ``address``.

    One thread and non-blocking sockets: threads would get into each other's way before a runtime
    does.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._listener.settimeout(0)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._events: deque[tuple[bytes, Answer]] = deque()
        self._pollers: deque[_Connection] = deque()
        self._number = 0
        self._is_closed = False
        self._changed = threading.Condition()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._wake_out, self._wake_in = socket.socketpair()
        self._selector.register(self._wake_out, selectors.EVENT_READ)
        self.answers: dict[bytes, Answer] = {}
        self.uploads: list[Answer] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End all connections."""
        self._is_closed = True
        self._wake_in.send(b"x")
        self._thread.join()

    def submit(self, *events: bytes) -> list[Answer]:
        """Hand out events to whoever asks next; returns at once."""
        answers = [Answer() for _ in events]
        self._events.extend(zip(events, answers, strict=True))
        self._wake_in.send(b"x")
        return answers

    def invoke(self, event: bytes) -> Answer:
        """Hand out an event, and wait for its answer."""
        [answer] = self.submit(event)
        if not answer.done.wait(60):
            raise TimeoutError("no answer within 60 s")
        return answer

    def wait_for_pollers(self, count: int) -> None:
        """Return when that many connections wait for an event."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._pollers) >= count, 120):
                raise TimeoutError(f"expected {count} pollers, got {len(self._pollers)}")

    def _run(self) -> None:
        while not self._is_closed:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    accepted, _ = self._listener.accept()
                    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    connection = _Connection(accepted, self)
                    self._selector.register(accepted, selectors.EVENT_READ, connection)
                elif key.fileobj is self._wake_out:
                    self._wake_out.recv(4096)
                elif not key.data.read():
                    self._selector.unregister(key.fileobj)
                    key.data.socket.close()
                # Now, not behind the others: what waits here would count for the runtime.
                while self._events and self._pollers:
                    self._give(self._pollers.popleft(), *self._events.popleft())
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr] # all of them are sockets

    def poll(self, connection: _Connection) -> None:
        """This connection waits for an event."""
        with self._changed:
            self._pollers.append(connection)
            self._changed.notify_all()

    def _give(self, connection: _Connection, event: bytes, answer: Answer) -> None:
        self._number += 1
        request_id = b"8f5a0f3e-0000-4000-8000-%012d" % self._number
        self.answers[request_id] = answer
        deadline = int((time.time() + DEADLINE_S) * 1000)
        head = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            b"Lambda-Runtime-Aws-Request-Id: %b\r\nLambda-Runtime-Deadline-Ms: %d\r\n"
            b"Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:1:function:f\r\n"
            b"Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0\r\n"
            b"Date: Tue, 24 Nov 2026 12:00:00 GMT\r\nContent-Length: %d\r\n\r\n"
            % (request_id, deadline, len(event))
        )
        answer.event_at = time.monotonic_ns()
        connection.socket.sendall(head + event)


class _Connection:
    """One connection: a request is read to its end, and answered."""

    def __init__(self, accepted: socket.socket, server: Server) -> None:
        self.socket = accepted
        self._server = server
        self._buffer = bytearray(1 << 20)
        self._head = b""
        self._first_at = 0
        self._size = 0
        self._end = b""
        self._start = b""

    def read(self) -> bool:
        """Read what is there; False at the end of the connection."""
        try:
            count = self.socket.recv_into(self._buffer)
        except OSError:
            return False
        if not count:
            return False
        if self._head.endswith(b"\r\n\r\n"):
            self._body(memoryview(self._buffer)[:count])
            return True
        if not self._head:
            self._first_at = time.monotonic_ns()
        head, blank, rest = (self._head + self._buffer[:count]).partition(b"\r\n\r\n")
        self._head = head + blank
        if blank:
            self._lower = head.lower()
            self._size, self._end, self._start = 0, b"", rest[:4096]
            self._body(memoryview(rest))
        return True

    def _body(self, data: memoryview) -> None:
        self._size += len(data)
        lower = self._lower
        if lower.startswith(b"get"):
            self._head = b""
            if b"extension" not in lower:
                self._server.poll(self)
            return
        if b"transfer-encoding: chunked" in lower:
            self._end = (self._end + bytes(data[-5:]))[-5:]
            is_whole = self._end == b"0\r\n\r\n"
        else:
            length = int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0])
            is_whole = self._size >= length
        if is_whole:
            self._answer()

    def _answer(self) -> None:
        path = self._head.split(b" ", 2)[1]
        if b"extension/register" in path:
            self.socket.sendall(
                b"HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: 1\r\nContent-Length: 2\r\n\r\n{}"
            )
        else:
            parts = path.split(b"/")
            answer = self._server.answers.pop(parts[4], None) if len(parts) > 4 else None
            if answer is None:
                answer = Answer()
                self._server.uploads.append(answer)
            answer.head, answer.start, answer.first_at = self._head, self._start, self._first_at
            answer.size = self._size
            answer.ended_at = time.monotonic_ns()
            self.socket.sendall(
                b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\n"
                b'Content-Length: 16\r\n\r\n{"status":"OK"}\n'
            )
            answer.done.set()
        self._head = b""
