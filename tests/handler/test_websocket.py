"""WebSockets: what a view can do, and how each of its ends looks to the client."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from penstock.handler import (
    ASGIHandler,
    HandlerConfig,
    Http404,
    HttpResponse,
    JsonResponse,
    PermissionDenied,
    StreamingHttpResponse,
    WebSocket,
    WebSocketDisconnect,
    WebSocketStateError,
    WebSocketView,
    got_request_exception,
    path,
    sync_to_async,
    websocket,
    websocket_connected,
    websocket_disconnected,
)
from penstock.handler.testing import Client, WebSocketDenied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DENIAL: dict[str, Any] = {"websocket.http.response": {}}
SCOPE: dict[str, Any] = {
    "type": "websocket",
    "path": "/",
    "headers": [(b"host", b"testserver"), (b"cookie", b"a=1")],
    "query_string": b"x=1",
    "scheme": "ws",
    "subprotocols": ["chat", "other"],
    "server": ("testserver", 80),
}


class Wire:
    """A server that plays back messages and keeps what is sent."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.messages = [{"type": "websocket.connect"}, *messages]
        self.sent: list[dict[str, Any]] = []
        self.gone = False

    async def receive(self) -> dict[str, Any]:
        return self.messages.pop(0)

    async def send(self, message: dict[str, Any]) -> None:
        if self.gone:
            raise ConnectionResetError("broken pipe")
        self.sent.append(message)

    def types(self) -> list[str]:
        return [message["type"] for message in self.sent]

    def serve(self, view: Callable[..., Any], **options: Any) -> None:
        handler = ASGIHandler([websocket("", view)], **options)
        asyncio.run(handler(dict(SCOPE), self.receive, self.send))


def text(data: str) -> dict[str, Any]:
    return {"type": "websocket.receive", "text": data}


def binary(data: bytes) -> dict[str, Any]:
    return {"type": "websocket.receive", "bytes": data}


def left(code: int | None = None, reason: str = "") -> dict[str, Any]:
    message: dict[str, Any] = {"type": "websocket.disconnect"}
    if code is not None:
        message.update(code=code, reason=reason)
    return message


@pytest.fixture
def failures() -> Iterator[list[Exception]]:
    seen: list[Exception] = []

    def note(exception: Exception, **_: Any) -> None:
        seen.append(exception)

    got_request_exception.connect(note, weak=False)
    yield seen
    got_request_exception.disconnect(note)


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


@pytest.mark.conformance("C179")
class TestEnds:
    def denied(self, view: Callable[..., Any], *, offered: bool, url: str = "/") -> Any:
        handler = ASGIHandler([websocket("", view)])
        client = Client(handler, extensions=DENIAL if offered else {})
        with client, pytest.raises(WebSocketDenied) as raised, client.websocket(url):
            pass
        return raised.value.answer

    @pytest.mark.parametrize("offered", [True, False])
    def test_returning_before_accept_is_a_403(self, offered: bool) -> None:
        async def view(_ws: WebSocket) -> None:
            return

        assert self.denied(view, offered=offered).status_code == 403

    @pytest.mark.parametrize(("offered", "expected"), [(True, (401, b"{}")), (False, (403, b""))])
    def test_a_response_before_accept_is_the_denial(
        self, offered: bool, expected: tuple[int, bytes]
    ) -> None:
        closed: list[int] = []

        async def view(_ws: WebSocket) -> HttpResponse:
            response = JsonResponse({}, status=401)
            response.add_closer(lambda: closed.append(1))
            return response

        answer = self.denied(view, offered=offered)
        assert (answer.status_code, answer.content) == expected
        assert closed == [1]

    @pytest.mark.parametrize(
        ("error", "status"),
        [(PermissionDenied(), 403), (Http404(), 404), (ZeroDivisionError(), 500)],
    )
    def test_raising_before_accept(
        self, error: Exception, status: int, failures: list[Exception]
    ) -> None:
        async def view(_ws: WebSocket) -> None:
            raise error

        answer = self.denied(view, offered=True)
        assert answer.status_code == status
        assert failures == ([error] if status == 500 else [])
        assert self.denied(view, offered=False).status_code == 403

    @pytest.mark.parametrize(("offered", "status"), [(True, 404), (False, 403)])
    def test_an_unmatched_route(self, offered: bool, status: int) -> None:
        async def view(_ws: WebSocket) -> None:
            raise AssertionError("not for this path")

        assert self.denied(view, offered=offered, url="/nowhere").status_code == status

    def test_a_handler_without_websockets(self) -> None:
        handler = ASGIHandler([path("", lambda _: HttpResponse("x"))])
        with (
            Client(handler, extensions=DENIAL) as client,
            pytest.raises(WebSocketDenied) as raised,
            client.websocket("/"),
        ):
            pass
        assert raised.value.answer.status_code == 404

    def test_raising_after_accept_is_a_1011(
        self, failures: list[Exception], caplog: pytest.LogCaptureFixture
    ) -> None:
        error = ZeroDivisionError("secret")

        async def view(ws: WebSocket) -> None:
            await ws.accept()
            raise error

        wire = Wire()
        wire.serve(view)
        assert wire.sent[-1] == {"type": "websocket.close", "code": 1011, "reason": ""}
        assert failures == [error]
        assert [(r.name, r.levelname) for r in caplog.records] == [("penstock.websocket", "ERROR")]

    @pytest.mark.parametrize(
        ("message", "call", "code"),
        [
            (text("{"), lambda ws: ws.receive_json(), 1007),
            (text("[" * 200_000), lambda ws: ws.receive_json(), 1007),
            (binary(b"\xff"), lambda ws: ws.receive_text(), 1007),
            (binary(b"\xff"), lambda ws: anext(ws.iter_text()), 1007),
        ],
    )
    def test_data_that_is_not_what_was_asked_for(
        self,
        message: dict[str, Any],
        call: Callable[[WebSocket], Any],
        code: int,
        failures: list[Exception],
    ) -> None:
        async def view(ws: WebSocket) -> None:
            await ws.accept()
            await call(ws)

        wire = Wire(message)
        wire.serve(view)
        assert wire.sent[-1]["code"] == code
        assert not failures

    def test_a_refusal_after_accept_is_a_1008(self) -> None:
        async def view(ws: WebSocket) -> None:
            await ws.accept()
            raise PermissionDenied

        wire = Wire()
        wire.serve(view)
        assert wire.sent[-1]["code"] == 1008

    def test_a_response_after_accept_is_an_error(self, failures: list[Exception]) -> None:
        async def view(ws: WebSocket) -> HttpResponse:
            await ws.accept()
            return HttpResponse("too late")

        wire = Wire()
        wire.serve(view)
        assert wire.sent[-1]["code"] == 1011
        assert "can only refuse" in str(failures[0])

    @pytest.mark.parametrize("accepts", [True, False])
    def test_what_is_no_response_is_an_error(
        self, accepts: bool, failures: list[Exception]
    ) -> None:
        async def view(ws: WebSocket) -> Any:
            if accepts:
                await ws.accept()
            return "welcome"

        wire = Wire()
        wire.serve(view)
        assert wire.sent[-1]["code"] == (1011 if accepts else 1008)
        assert "returned 'welcome'" in str(failures[0])

    def test_a_denial_that_fails_before_its_first_byte_is_a_403(
        self, failures: list[Exception]
    ) -> None:
        def parts() -> Iterator[bytes]:
            raise ZeroDivisionError
            yield b""

        async def view(_ws: WebSocket) -> HttpResponse:
            return StreamingHttpResponse(parts(), status=401)  # type: ignore[return-value]

        assert self.denied(view, offered=True).status_code == 403
        assert [type(failure) for failure in failures] == [ZeroDivisionError]

    def test_a_view_that_cancels_itself_has_failed(self, failures: list[Exception]) -> None:
        async def view(ws: WebSocket) -> None:
            await ws.accept()
            raise asyncio.CancelledError

        wire = Wire()
        wire.serve(view)
        assert wire.sent[-1]["code"] == 1011
        assert len(failures) == 1

    def test_failures_can_be_let_out(self) -> None:
        async def view(ws: WebSocket) -> None:
            await ws.accept()
            raise ZeroDivisionError

        wire = Wire()
        with pytest.raises(ZeroDivisionError):
            wire.serve(view, config=HandlerConfig(debug_propagate_exceptions=True))
        assert wire.sent[-1]["code"] == 1011

    def test_a_client_that_left_during_the_handshake(self) -> None:
        async def view(_ws: WebSocket) -> None:
            raise AssertionError("nobody is there")

        wire = Wire()
        wire.messages = [left(1006)]
        wire.serve(view)
        assert wire.sent == []

    def test_a_query_that_is_not_utf_8_is_refused(self) -> None:
        async def view(_ws: WebSocket) -> None:
            raise AssertionError("there is no request")

        handler, wire = ASGIHandler([websocket("", view)]), Wire()
        asyncio.run(handler({**SCOPE, "query_string": b"\xff"}, wire.receive, wire.send))
        assert wire.types() == ["websocket.close"]


@pytest.mark.conformance("C180")
class TestClientGone:
    def test_a_send_finds_the_client_gone(self, failures: list[Exception]) -> None:
        ends: list[int] = []

        async def view(ws: WebSocket) -> None:
            await ws.accept()
            wire.gone = True
            for _ in range(2):
                with pytest.raises(WebSocketDisconnect) as raised:
                    await ws.send_text("anybody?")
                ends.append(raised.value.code)
            with pytest.raises(WebSocketDisconnect):
                await ws.receive()

        wire = Wire()
        wire.serve(view)
        assert ends == [1006, 1006]
        assert not failures

    def test_a_view_that_does_not_catch_it_has_just_ended(self, failures: list[Exception]) -> None:
        async def view(ws: WebSocket) -> None:
            await ws.accept()
            wire.gone = True
            await ws.send_text("anybody?")

        wire = Wire()
        wire.serve(view)
        assert not failures

    def test_the_client_is_gone_when_the_view_ends(self, failures: list[Exception]) -> None:
        async def view(ws: WebSocket) -> None:
            await ws.accept()
            wire.gone = True

        wire = Wire()
        wire.serve(view)
        assert not failures


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
