"""WebSockets: what a view can do, and in which order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from websocket_wire import SCOPE, Wire, binary, left, text

from penstock.handler import (
    ASGIHandler,
    WebSocket,
    WebSocketDisconnect,
    WebSocketStateError,
    websocket,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.conformance("C177")
class TestMessages:
    def test_text_bytes_and_json_come_back(self) -> None:
        async def echo(ws: WebSocket) -> None:
            await ws.accept()
            await ws.send_text(await ws.receive_text())
            await ws.send_bytes(await ws.receive_bytes())
            await ws.send_json({"got": await ws.receive_json()})
            await ws.send(await ws.receive())

        wire = Wire(text("héllo"), binary(b"\x00\xff"), text('{"a": [1]}'), binary(b"raw"))
        wire.serve(echo)
        assert wire.sent == [
            {"type": "websocket.accept", "subprotocol": None, "headers": []},
            {"type": "websocket.send", "text": "héllo"},
            {"type": "websocket.send", "bytes": b"\x00\xff"},
            {"type": "websocket.send", "text": '{"got": {"a": [1]}}'},
            {"type": "websocket.send", "bytes": b"raw"},
            {"type": "websocket.close", "code": 1000, "reason": ""},
        ]

    def test_either_kind_of_frame_is_read_as_either(self) -> None:
        seen: list[Any] = []

        async def view(ws: WebSocket) -> None:
            await ws.accept()
            seen.append(await ws.receive_bytes())
            seen.append(await ws.receive_text())
            seen.append(await ws.receive_json())

        # Servers send the key that does not apply as None, or leave it out.
        first = {**text("é"), "bytes": None}
        Wire(first, {**binary("é".encode()), "text": None}, binary(b"[1]")).serve(view)
        assert seen == ["é".encode(), "é", [1]]

    @pytest.mark.parametrize(
        ("message", "code", "reason"),
        [(left(4001, "done"), 4001, "done"), (left(), 1005, ""), (left(1001), 1001, "")],
    )
    def test_the_client_closes(self, message: dict[str, Any], code: int, reason: str) -> None:
        ends: list[WebSocketDisconnect] = []

        async def view(ws: WebSocket) -> None:
            await ws.accept()
            for _ in range(2):
                with pytest.raises(WebSocketDisconnect) as raised:
                    await ws.receive_text()
                ends.append(raised.value)
            with pytest.raises(WebSocketDisconnect):
                await ws.send_text("too late")
            await ws.close()  # of no effect

        wire = Wire(message)
        wire.serve(view)
        assert [(end.code, end.reason) for end in ends] == [(code, reason)] * 2
        assert wire.types() == ["websocket.accept"]

    def test_iteration_ends_with_the_connection(self) -> None:
        seen: list[Any] = []

        async def view(ws: WebSocket) -> None:
            await ws.accept()
            async for message in ws.iter_json():
                seen.append(message)
                if message == 2:
                    break
            async for data in ws.iter_bytes():
                seen.append(data)
                if data == b"b":
                    break
            seen.extend([message async for message in ws.iter_text()])

        Wire(text("1"), text("2"), text("a"), text("b"), binary(b"c"), left(1000)).serve(view)
        assert seen == [1, 2, b"a", b"b", "c"]

    def test_closing_inside_an_iteration_ends_it(self) -> None:
        async def view(ws: WebSocket) -> None:
            await ws.accept()
            async for _ in ws.iter_messages():
                await ws.close(4000, "enough")

        wire = Wire(text("one"))
        wire.serve(view)
        assert wire.sent[-1] == {"type": "websocket.close", "code": 4000, "reason": "enough"}

    def test_subprotocol_and_headers_of_accept(self) -> None:
        async def view(ws: WebSocket) -> None:
            assert ws.subprotocols == ["chat", "other"]
            await ws.accept("other", headers={"X-Room": "blue"})
            assert ws.accepted_subprotocol == "other"

        wire = Wire()
        wire.serve(view)
        assert wire.sent[0]["subprotocol"] == "other"
        assert wire.sent[0]["headers"] == [(b"x-room", b"blue")]

    def test_the_attributes_of_the_request(self) -> None:
        seen: list[Any] = []

        async def view(ws: WebSocket, room: str) -> None:
            seen.append(
                (ws.method, ws.path, ws.GET["x"], ws.COOKIES, ws.headers["host"], ws.scheme)
            )
            seen.append((room, ws.path_params, ws.state, ws.build_absolute_uri("/up")))

        handler = ASGIHandler([websocket("rooms/<room>/", view)])
        wire = Wire()
        scope = {**SCOPE, "path": "/rooms/blue/", "state": {"db": 1}}
        asyncio.run(handler(scope, wire.receive, wire.send))
        assert seen == [
            ("GET", "/rooms/blue/", "1", {"a": "1"}, "testserver", "ws"),
            ("blue", {"room": "blue"}, {"db": 1}, "ws://testserver/up"),
        ]


@pytest.mark.conformance("C178")
class TestOrder:
    @pytest.mark.parametrize(
        "call",
        [
            lambda ws: ws.send_text("x"),
            lambda ws: ws.send_bytes(b"x"),
            lambda ws: ws.send_json(1),
            lambda ws: ws.receive(),
            lambda ws: ws.receive_text(),
            lambda ws: ws.receive_json(),
        ],
    )
    def test_nothing_works_before_accept(self, call: Callable[[WebSocket], Any]) -> None:
        async def view(ws: WebSocket) -> None:
            with pytest.raises(WebSocketStateError, match="accept it first"):
                await call(ws)
            assert not wire.sent

        wire = Wire()
        wire.serve(view)
        assert wire.types() == ["websocket.close"]

    @pytest.mark.parametrize("call", [lambda ws: ws.accept(), lambda ws: ws.deny()])
    def test_the_handshake_happens_once(self, call: Callable[[WebSocket], Any]) -> None:
        async def view(ws: WebSocket) -> None:
            await ws.accept()
            with pytest.raises(WebSocketStateError):
                await call(ws)
            assert wire.types() == ["websocket.accept"]

        wire = Wire()
        wire.serve(view)

    @pytest.mark.parametrize(
        ("call", "error"),
        [
            (lambda ws: ws.close(), WebSocketStateError),
            (lambda ws: ws.accept(), WebSocketStateError),
            (lambda ws: ws.send_text("x"), WebSocketDisconnect),
            (lambda ws: ws.receive(), WebSocketDisconnect),
        ],
    )
    def test_nothing_works_after_close(
        self, call: Callable[[WebSocket], Any], error: type[Exception]
    ) -> None:
        async def view(ws: WebSocket) -> None:
            await ws.accept()
            await ws.close(4000)
            with pytest.raises(error):
                await call(ws)

        wire = Wire()
        wire.serve(view)
        assert wire.types() == ["websocket.accept", "websocket.close"]

    @pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000])
    def test_codes_that_cannot_be_sent(self, code: int) -> None:
        async def view(ws: WebSocket) -> None:
            await ws.accept()
            with pytest.raises(ValueError, match="expected 1000"):
                await ws.close(code)

        wire = Wire()
        wire.serve(view)
        assert wire.sent[-1]["code"] == 1000

    def test_a_reason_is_measured_in_bytes(self) -> None:
        async def view(ws: WebSocket) -> None:
            await ws.accept()
            with pytest.raises(ValueError, match="124 bytes"):
                await ws.close(reason="é" * 62)
            await ws.close(reason="é" * 61)

        wire = Wire()
        wire.serve(view)
        assert wire.sent[-1]["reason"] == "é" * 61

    @pytest.mark.parametrize(
        "call",
        [
            lambda ws: ws.accept("unheard of"),
            lambda ws: ws.accept(headers={"a": "b\r\nc: d"}),
            lambda ws: ws.accept(headers={"a b": "c"}),
            lambda ws: ws.accept(headers=[("Sec-WebSocket-Protocol", "chat")]),
        ],
    )
    def test_an_acceptance_that_would_break_the_handshake(
        self, call: Callable[[WebSocket], Any]
    ) -> None:
        async def view(ws: WebSocket) -> None:
            with pytest.raises(ValueError, match=r"accept|[Hh]eader"):
                await call(ws)
            assert ws.connection_state == "connecting"

        wire = Wire()
        wire.serve(view)
        assert wire.types() == ["websocket.close"]

    def test_values_of_another_type_are_refused(self) -> None:
        async def view(ws: WebSocket) -> None:
            await ws.accept()
            with pytest.raises(TypeError, match="expected str, got bytes"):
                await ws.send_text(b"x")  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="expected bytes, got str"):
                await ws.send_bytes("x")  # type: ignore[arg-type]
            await ws.send_bytes(memoryview(b"view"))

        wire = Wire()
        wire.serve(view)
        assert wire.sent[1] == {"type": "websocket.send", "bytes": b"view"}
