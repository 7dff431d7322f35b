"""WebSockets: how each of a view's ends looks to the client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from websocket_wire import DENIAL, SCOPE, Wire, binary, left, text

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
    path,
    websocket,
)
from penstock.handler.testing import Client, WebSocketDenied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
