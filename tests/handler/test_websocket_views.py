"""WebSockets in the event style, and what a handler has around its views."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from websocket_wire import DENIAL, SCOPE, Wire, binary, left, text

from penstock.handler import (
    ASGIHandler,
    HandlerConfig,
    HttpResponse,
    PermissionDenied,
    WebSocket,
    WebSocketView,
    sync_to_async,
    websocket,
    websocket_connected,
    websocket_disconnected,
)
from penstock.handler.testing import Client, WebSocketDenied

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.conformance("C181")
class TestEventStyle:
    def test_connect_receive_disconnect_in_order(self) -> None:
        log: list[Any] = []

        class View(WebSocketView):
            async def on_connect(self) -> None:
                await self.ws.accept()
                log.append(("connect", self.params))

            async def on_receive(self, data: str | bytes) -> None:
                log.append(("begin", data))
                await asyncio.sleep(0)
                log.append(("end", data))

            async def on_disconnect(self, code: int, reason: str) -> None:
                log.append((code, reason))

        handler = ASGIHandler([websocket("<int:room>", View)])
        wire = Wire(text("a"), binary(b"b"), left(4001, "bye"))
        asyncio.run(handler({**SCOPE, "path": "/7"}, wire.receive, wire.send))
        assert log == [
            ("connect", {"room": 7}),
            ("begin", "a"),
            ("end", "a"),
            ("begin", b"b"),
            ("end", b"b"),
            (4001, "bye"),
        ]

    def test_each_connection_has_its_own_instance(self) -> None:
        class Counter(WebSocketView):
            count = 0

            async def on_receive(self, data: str | bytes) -> None:
                self.count += 1
                await self.ws.send(str(self.count))

        with (
            Client(ASGIHandler([websocket("", Counter)])) as client,
            client.websocket("/") as one,
            client.websocket("/") as other,
        ):
            for session, expected in ((one, "1"), (one, "2"), (other, "1")):
                session.send("x")
                assert session.receive() == expected

    def test_a_connection_that_is_refused_has_no_disconnect(self) -> None:
        class View(WebSocketView):
            async def on_connect(self) -> HttpResponse:
                return HttpResponse("members only", status=401)

            async def on_disconnect(self, code: int, reason: str) -> None:
                raise AssertionError("there was no connection")

        handler = ASGIHandler([websocket("", View)])
        with (
            Client(handler, extensions=DENIAL) as client,
            pytest.raises(WebSocketDenied) as raised,
            client.websocket("/"),
        ):
            pass
        assert raised.value.answer.status_code == 401

    def test_an_error_ends_it_with_1011(self, failures: list[Exception]) -> None:
        codes: list[int] = []

        class View(WebSocketView):
            async def on_receive(self, data: str | bytes) -> None:
                raise ZeroDivisionError

            async def on_disconnect(self, code: int, reason: str) -> None:
                codes.append(code)

        wire = Wire(text("x"))
        wire.serve(View)
        assert codes == [1011]
        assert wire.sent[-1]["code"] == 1011
        assert len(failures) == 1


class TestSurroundings:
    def test_middleware_wraps_the_view_outermost_first(self) -> None:
        log: list[str] = []

        def named(name: str) -> Callable[..., Any]:
            def factory(following: Callable[..., Any]) -> Callable[..., Any]:
                async def layer(ws: WebSocket) -> Any:
                    log.append(f"into {name}")
                    try:
                        return await following(ws)
                    finally:
                        log.append(f"out of {name}")

                return layer

            return factory

        async def view(ws: WebSocket) -> None:
            log.append("view")
            await ws.accept()

        Wire().serve(view, websocket_middleware=[named("a"), named("b")])
        assert log == ["into a", "into b", "view", "out of b", "out of a"]

    def test_middleware_may_refuse(self) -> None:
        def members_only(_following: Callable[..., Any]) -> Callable[..., Any]:
            async def layer(_ws: WebSocket) -> HttpResponse:
                return HttpResponse(status=401)

            return layer

        async def view(_ws: WebSocket) -> None:
            raise AssertionError("not reached")

        wire = Wire()
        wire.serve(view, websocket_middleware=[members_only])
        assert wire.types() == ["websocket.close"]

    def test_http_middleware_is_not_run(self) -> None:
        def broken(_get_response: Any) -> Any:
            async def layer(_request: Any) -> Any:
                raise AssertionError("not for WebSockets")

            return layer

        broken.async_capable = True  # type: ignore[attr-defined]

        async def view(ws: WebSocket) -> None:
            await ws.accept()

        wire = Wire()
        wire.serve(view, middleware=[broken])
        assert wire.types() == ["websocket.accept", "websocket.close"]

    def test_the_signals_come_once_each(self) -> None:
        seen: list[Any] = []

        def connected(sender: Any, websocket: WebSocket, **_: Any) -> None:
            seen.append((sender, websocket.path))

        def disconnected(sender: Any, code: int, reason: str, **_: Any) -> None:
            seen.append((sender, code, reason))

        websocket_connected.connect(connected)
        websocket_disconnected.connect(disconnected)

        async def view(ws: WebSocket) -> None:
            await ws.accept()
            await ws.receive()

        try:
            Wire(left(4001, "bye")).serve(view)
        finally:
            websocket_connected.disconnect(connected)
            websocket_disconnected.disconnect(disconnected)
        assert seen == [(ASGIHandler, "/"), (ASGIHandler, 4001, "bye")]

    def test_sync_code_of_one_connection_runs_on_one_thread(self) -> None:
        import threading

        threads: list[int] = []

        async def view(ws: WebSocket) -> None:
            await ws.accept()
            threads.extend([await sync_to_async(threading.get_ident)() for _ in range(3)])

        Wire().serve(view)
        assert len(set(threads)) == 1
        assert threads[0] != threading.get_ident()

    def test_cancellation_sends_nothing_and_goes_on(self) -> None:
        async def main() -> Wire:
            entered = asyncio.Event()

            async def view(ws: WebSocket) -> None:
                await ws.accept()
                entered.set()
                await asyncio.Event().wait()

            handler, wire = ASGIHandler([websocket("", view)]), Wire()
            task = asyncio.create_task(handler(dict(SCOPE), wire.receive, wire.send))
            await entered.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return wire

        assert asyncio.run(main()).types() == ["websocket.accept"]

    def test_the_log_of_a_clients_fault_has_no_line_of_the_client(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def view(ws: WebSocket, rest: str) -> None:
            await ws.accept()
            raise PermissionDenied(rest)

        handler, wire = ASGIHandler([websocket("<path:rest>", view)]), Wire()
        with caplog.at_level(logging.WARNING):
            scope = {**SCOPE, "path": "/x\nERROR forged"}
            asyncio.run(handler(scope, wire.receive, wire.send))
        assert "\n" not in caplog.records[0].getMessage()

    def test_the_settings_of_the_handler_are_those_of_the_websocket(self) -> None:
        seen: list[str] = []

        async def view(ws: WebSocket) -> None:
            seen.append(ws.get_host())

        wire = Wire()
        wire.serve(view, config=HandlerConfig(allowed_hosts=["elsewhere"]))
        assert seen == []
        assert wire.types() == ["websocket.close"]
