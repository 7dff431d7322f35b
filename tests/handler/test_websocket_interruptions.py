"""A WebSocket with a failure or a cancellation at each of its messages."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgi_calls import Server, http_scope, run

from penstock.handler import (
    ASGIHandler,
    websocket,
    websocket_connected,
    websocket_disconnected,
)

pytestmark = pytest.mark.usefixtures("no_django")

CONNECT = {"type": "websocket.connect"}
TEXT = {"type": "websocket.receive", "text": "a"}
LEAVE = {"type": "websocket.disconnect", "code": 1000}


class Run:
    """One connection, in which ``kind`` happens at message ``at``, in or out."""

    def __init__(self, kind: str | type[Exception], at: int) -> None:
        self.kind = kind
        self.at = at
        self.seen = 0
        self.server = Server([CONNECT, TEXT, LEAVE])
        self.connected = 0
        self.codes: list[int] = []
        self.task: asyncio.Task[None] | None = None

    async def point(self) -> None:
        await asyncio.sleep(0)
        self.seen += 1
        if self.seen != self.at:
            return
        if isinstance(self.kind, str):
            assert self.task is not None
            self.task.cancel()
            await asyncio.sleep(0)
        else:
            raise self.kind

    async def receive(self) -> Any:
        await self.point()
        return await self.server.receive()

    async def send(self, message: dict[str, Any]) -> None:
        await self.point()
        await self.server.send(message)

    async def on_connected(self, **fields: Any) -> None:
        self.connected += 1

    async def on_disconnected(self, **fields: Any) -> None:
        self.codes.append(fields["code"])

    async def serve(self) -> None:
        async def view(ws: Any) -> None:
            await ws.accept()
            async for text in ws.iter_text():
                await ws.send_text(text)

        handler = ASGIHandler([websocket("ws", view)])
        scope = {**http_scope("/ws"), "type": "websocket", "subprotocols": []}
        websocket_connected.connect(self.on_connected)
        websocket_disconnected.connect(self.on_disconnected)
        try:
            self.task = asyncio.create_task(handler(scope, self.receive, self.send))
            await asyncio.wait({self.task})
        finally:
            websocket_connected.disconnect(self.on_connected)
            websocket_disconnected.disconnect(self.on_disconnected)
        assert {asyncio.current_task()} == asyncio.all_tasks()


@pytest.mark.conformance("C179", "C180")
@pytest.mark.parametrize("kind", ["cancel", OSError, ValueError])
def test_it_ends_once_wherever_it_is_interrupted(kind: str | type[Exception]) -> None:
    points = 0
    for at in range(1, 20):
        one = Run(kind, at)
        run(one.serve())
        kinds = [message["type"] for message in one.server.result.out]
        assert kinds.count("websocket.accept") <= 1
        assert kinds.count("websocket.close") <= 1
        assert one.connected == len(one.codes) <= 1
        assert one.task is not None
        if one.seen < at:
            assert ["websocket.accept", "websocket.send"] == kinds
            break
        points += 1
        if kind == "cancel":
            assert one.task.cancelled()
        elif kind is OSError:  # wherever it comes from, the client is gone
            assert one.task.exception() is None
            assert "websocket.close" not in kinds
            assert [1006] * one.connected == one.codes
        else:  # before the handshake began there is only the server to tell
            assert (one.task.exception() is None) is (at > 1)
    assert 5 <= points < 19


def test_whoever_saw_it_begin_sees_it_end() -> None:
    """A cancellation among the receivers of ``websocket_connected``."""

    async def main() -> list[str]:
        seen: list[str] = []

        async def connected(**fields: Any) -> None:
            seen.append("connected")
            task.cancel()
            await asyncio.sleep(0)

        async def disconnected(**fields: Any) -> None:
            seen.append("disconnected")

        async def view(ws: Any) -> None:
            raise AssertionError

        websocket_connected.connect(connected)
        websocket_disconnected.connect(disconnected)
        server = Server([CONNECT])
        scope = {**http_scope("/ws"), "type": "websocket", "subprotocols": []}
        handler = ASGIHandler([websocket("ws", view)])
        task = asyncio.create_task(handler(scope, server.receive, server.send))
        await asyncio.wait({task})
        websocket_connected.disconnect(connected)
        websocket_disconnected.disconnect(disconnected)
        assert task.cancelled()
        return seen

    assert ["connected", "disconnected"] == run(main())


@pytest.mark.parametrize("left", [LEAVE, OSError("gone")])
def test_a_scope_that_makes_no_request_after_the_client_has_left(left: Any) -> None:
    server = Server([left])
    scope = {**http_scope("/ws"), "type": "websocket", "query_string": b"\xff"}
    run(ASGIHandler([])(scope, server.receive, server.send))
    assert [] == server.result.out


def test_closing_after_the_client_has_left_is_of_no_effect(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> list[str]:
        async def view(ws: Any) -> None:
            await ws.accept()
            async for _ in ws.iter_messages():
                raise AssertionError
            await ws.close()
            await ws.close(1001)

        server = Server([CONNECT, LEAVE])
        scope = {**http_scope("/ws"), "type": "websocket", "subprotocols": []}
        await ASGIHandler([websocket("ws", view)])(scope, server.receive, server.send)
        return [message["type"] for message in server.result.out]

    assert ["websocket.accept"] == run(main())
    assert "" == caplog.text
