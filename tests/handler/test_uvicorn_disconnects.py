"""Clients that leave a real server, without a word and in the middle of things."""

from __future__ import annotations

import socket
import struct
import threading
from typing import TYPE_CHECKING, Any

import pytest
from uvicorn_server import serving
from websockets.sync.client import connect

from penstock.handler import (
    ASGIHandler,
    EventStreamResponse,
    HttpResponse,
    WebSocketView,
    path,
    request_finished,
    websocket,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from penstock.handler import ASGIRequest

PATIENCE = 30.0  # seconds: for a busy machine; nothing here takes a tenth of one


class Noted:
    """What the application saw, across threads."""

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self._arrived = threading.Condition()

    def add(self, entry: Any) -> None:
        with self._arrived:
            self.entries.append(entry)
            self._arrived.notify_all()

    def wait_for(self, entry: Any) -> None:
        with self._arrived:
            there = self._arrived.wait_for(lambda: entry in self.entries, PATIENCE)
        assert there, self.entries


@pytest.fixture
def noted() -> Iterator[Noted]:
    noted = Noted()

    def finished(outcome: str, **_: Any) -> None:
        noted.add(outcome)

    request_finished.connect(finished)
    yield noted
    request_finished.disconnect(finished)


@pytest.fixture
def host(noted: Noted) -> Iterator[str]:
    async def events(_request: ASGIRequest) -> EventStreamResponse:
        async def endless() -> AsyncIterator[str]:
            try:
                while True:
                    yield "x" * 10_000
            finally:
                noted.add("generator closed")

        response = EventStreamResponse(endless())
        response.add_closer(lambda: noted.add("closer ran"))
        return response

    async def upload(request: ASGIRequest) -> HttpResponse:
        raise AssertionError("its body never arrives")

    class Room(WebSocketView):
        async def on_receive(self, data: str | bytes) -> None:
            noted.add(data)

        async def on_disconnect(self, code: int, reason: str) -> None:
            noted.add((code, reason))

    app = ASGIHandler(
        [path("events", events), path("upload", upload), websocket("room", Room)],
    )
    with serving(app) as host:
        yield host


def connection_to(host: str) -> socket.socket:
    name, _, port = host.partition(":")
    return socket.create_connection((name, int(port)), timeout=PATIENCE)


def reset(connection: socket.socket) -> None:
    """Close so that the peer gets a reset, as when a machine vanishes."""
    linger = struct.pack("ii", 1, 0)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    connection.close()


@pytest.mark.parametrize("leave", [socket.socket.close, reset], ids=["closes", "resets"])
def test_a_stream_is_ended(host: str, noted: Noted, leave: Any) -> None:
    connection = connection_to(host)
    connection.sendall(b"GET /events HTTP/1.1\r\nHost: testserver\r\n\r\n")
    assert connection.recv(65_536)
    leave(connection)
    noted.wait_for("disconnect")
    assert noted.entries == ["generator closed", "closer ran", "disconnect"]


def test_a_request_whose_body_does_not_arrive_is_forgotten(host: str, noted: Noted) -> None:
    connection = connection_to(host)
    connection.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
    connection.close()
    with connection_to(host) as other:
        other.sendall(b"GET /nowhere HTTP/1.1\r\nHost: testserver\r\n\r\n")
        assert other.recv(65_536).startswith(b"HTTP/1.1 404 ")
    noted.wait_for("complete")
    assert noted.entries == ["complete"]


def test_a_websocket_that_vanishes(host: str, noted: Noted) -> None:
    with connect(f"ws://{host}/room") as ws:
        ws.send("hello")
        noted.wait_for("hello")
        ws.socket.shutdown(socket.SHUT_RDWR)
    noted.wait_for((1005, ""))  # uvicorn's word for a connection without a close frame


def test_a_websocket_that_says_goodbye(host: str, noted: Noted) -> None:
    with connect(f"ws://{host}/room") as ws:
        ws.close(4001, "bye")
    noted.wait_for((4001, "bye"))
