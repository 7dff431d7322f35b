"""A WebSocket with a failure or a cancellation at every single point where it waits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from asgi_calls import Server, http_scope, run
from interruptions import Interruption, at_every_point

from penstock.handler import (
    ASGIHandler,
    websocket,
    websocket_connected,
    websocket_disconnected,
)

if TYPE_CHECKING:
    from stepping_loop import SteppingLoop

pytestmark = pytest.mark.usefixtures("no_django")

CONNECT = {"type": "websocket.connect"}
TEXT = {"type": "websocket.receive", "text": "a"}
LEAVE = {"type": "websocket.disconnect", "code": 1000}


class Run(Interruption):
    """One connection with one interruption."""

    def __init__(self, loop: SteppingLoop, kind: str, at: int) -> None:
        super().__init__(loop, Server([CONNECT, TEXT, LEAVE]), kind, at, LEAVE)
        self.connected = 0
        self.codes: list[int] = []

    async def on_connected(self, **fields: Any) -> None:
        self.connected += 1

    async def on_disconnected(self, **fields: Any) -> None:
        self.codes.append(fields["code"])

    async def serve_echo(self) -> None:
        async def view(ws: Any) -> None:
            await ws.accept()
            async for text in ws.iter_text():
                await ws.send_text(text)

        websocket_connected.connect(self.on_connected)
        websocket_disconnected.connect(self.on_disconnected)
        try:
            scope = {**http_scope("/ws"), "type": "websocket", "subprotocols": []}
            await self.serve(ASGIHandler([websocket("ws", view)]), scope)
        finally:
            websocket_connected.disconnect(self.on_connected)
            websocket_disconnected.disconnect(self.on_disconnected)


@pytest.mark.conformance("C179", "C180")
@pytest.mark.parametrize(
    "kind",
    [
        "cancel",
        "cancel soon",
        "cancel twice",
        "send OSError",
        "send ValueError",
        "receive OSError",
        "receive ValueError",
    ],
)
def test_it_ends_once_wherever_it_is_interrupted(kind: str) -> None:
    async def serve(loop: SteppingLoop, at: int) -> Run:
        run = Run(loop, kind, at)
        await run.serve_echo()
        return run

    count = 0
    for one in at_every_point(serve):
        count += 1
        kinds = [message["type"] for message in one.server.result.out]
        assert kinds.count("websocket.accept") <= 1
        assert kinds.count("websocket.close") <= 1
        assert one.connected == len(one.codes) <= 1
        assert one.task is not None
        if not one.interrupted:
            assert ["websocket.accept", "websocket.send"] == kinds
        elif kind.startswith("cancel"):
            assert one.task.cancelled() is one.was_cancelled
        elif kind.endswith("OSError"):  # wherever it comes from, the client is gone
            assert one.raised is None
            assert "websocket.close" not in kinds
            assert [1006] * one.connected == one.codes
        else:  # before the handshake began there is only the server to tell
            began = kind.startswith("send") or one.at > 1
            assert (one.raised is None) is began
    assert count >= 3


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
