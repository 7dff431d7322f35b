"""Driving a request by hand, step by step: C185."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from asgi_calls import GONE, Server, http_scope, parts, run

from penstock.handler import (
    ASGIHandler,
    HandlerConfig,
    HttpResponse,
    MiddlewareMixin,
    RequestAborted,
    StreamingHttpResponse,
    path,
    websocket,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.conformance("C185")


async def hello(request: Any) -> HttpResponse:
    return HttpResponse("hello")


async def broken(request: Any) -> HttpResponse:
    raise LookupError


def made(handler: ASGIHandler, method: str = "GET") -> Any:
    request, _ = handler.create_request(http_scope(method=method), b"")
    return request


def test_get_request_receives_and_makes() -> None:
    handler = ASGIHandler(hello)
    server = Server(parts(b"ab", b"c"))
    request = run(handler.get_request(http_scope(method="POST"), server.receive))
    assert ("POST", b"abc") == (request.method, request.body)
    with pytest.raises(RequestAborted):
        run(handler.get_request(http_scope(), Server([GONE]).receive))
    with pytest.raises(UnicodeDecodeError):
        run(handler.get_request(http_scope(query_string=b"\xff"), Server().receive))


def test_get_response_is_awaited_on_a_loop_and_returned_without() -> None:
    handler = ASGIHandler(hello)

    async def main() -> Any:
        return await handler.get_response(made(handler))

    assert b"hello" == run(main()).content == handler.get_response(made(handler)).content
    failing = ASGIHandler(broken)
    assert 500 == failing.get_response(made(failing)).status_code


def sent_by(view: Any, response: Any = None, on_send: Any = None) -> Any:
    async def main() -> Any:
        handler = ASGIHandler(view)
        server = Server(on_send=on_send)
        try:
            await handler.start_response(made(handler), response, send=server.send)
        except Exception as error:
            server.result.error = error
        return server.result

    return run(main())


def test_start_response_sends_what_it_is_given_or_gets(signals: Any) -> None:
    assert b"hello" == sent_by(hello).body
    given = HttpResponse("given")
    assert b"given" == sent_by(hello, given).body
    assert given.closed
    assert 500 == sent_by(broken).status
    assert ["complete"] * 3 == signals.outcomes


def failing_stream(*parts: bytes) -> Any:
    async def content() -> AsyncIterator[bytes]:
        for part in parts:
            yield part
        raise LookupError

    return StreamingHttpResponse(content())


class FailingContent(HttpResponse):
    @property
    def content(self) -> bytes:
        raise LookupError

    @content.setter
    def content(self, value: object) -> None:
        pass


@pytest.mark.parametrize(
    "response",
    [
        failing_stream,
        lambda: failing_stream(b"a"),
        lambda: FailingContent("x"),
        lambda: StreamingHttpResponse([b"x"], headers={"Content-Length": "9"}),
        lambda: StreamingHttpResponse([b"x"], headers={"Content-Length": "nonsense"}),
    ],
)
@pytest.mark.parametrize("fails_at", [None, 0, 1, 2])
@pytest.mark.parametrize("error", [OSError, ValueError])
def test_a_start_is_sent_once_under_every_failure(
    signals: Any, response: Any, fails_at: int | None, error: type[Exception]
) -> None:
    starts: list[Any] = []
    seen = 0

    def on_send(message: dict[str, Any]) -> None:
        nonlocal seen
        if message["type"] == "http.response.start":
            starts.append(message)
        seen += 1
        if fails_at is not None and seen > fails_at:
            raise error

    made_response = response()
    sent_by(hello, made_response, on_send)
    assert 1 == len(starts)
    assert made_response.closed
    assert 1 == len(signals.outcomes)


class Layer:
    def __init__(self, name: str, result: Any = None) -> None:
        self.name = name
        self.result = result

    def process_response(self, response: Any, request: Any) -> Any:
        request.seen.append(self.name)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def test_apply_middlewares_to_response(caplog: pytest.LogCaptureFixture) -> None:
    handler = ASGIHandler(hello)
    other = HttpResponse("other")
    layers = [Layer("a"), Layer("b", other), Layer("c", LookupError()), Layer("d")]

    async def main(failed: Any) -> Any:
        request = made(handler)
        request.seen = []
        response = await handler.apply_middlewares_to_response(
            HttpResponse("own"), request, [*layers, object()], failed
        )
        return response, request.seen

    response, seen = run(main(None))
    assert (other, ["d", "c", "b", "a"]) == (response, seen)
    assert ["b", "a"] == run(main(layers[1]))[1]
    assert "process_response" in caplog.text


def test_django_apply_middlewares_to_response() -> None:
    class Stamp(MiddlewareMixin):
        def process_response(self, request: Any, response: Any) -> Any:
            response["X-Stamp"] = "1"
            return response

    handler = ASGIHandler(hello)

    async def main() -> Any:
        return await handler.django_apply_middlewares_to_response(
            HttpResponse("own"), made(handler), [Stamp]
        )

    response = run(main())
    assert ("1", b"own") == (response["X-Stamp"], response.content)


def test_finalize_response_runs_every_step_on_its_own() -> None:
    def failing(request: Any, response: Any) -> Any:
        raise LookupError

    def page(request: Any, response: Any) -> Any:
        return HttpResponse("page", status=response.status_code)

    config = HandlerConfig(
        finalizers=(failing, ("headers", {"X-Fixed": "1"}), ("template", {404: page}))
    )
    handler = ASGIHandler(hello, config=config)
    response = run(handler.finalize_response(made(handler), HttpResponse("none", status=404)))
    assert (b"page", "1") == (response.content, response["X-Fixed"])


@pytest.mark.parametrize("is_async", [True, False])
def test_produce_final_response_failsafe(is_async: bool) -> None:
    async def failing(request: Any) -> Any:
        raise LookupError

    def failing_sync(request: Any) -> Any:
        raise LookupError

    def page(request: Any, error: BaseException) -> Any:
        raise ValueError

    handler = ASGIHandler(hello, config=HandlerConfig(error_handlers={500: page}))
    producer = failing if is_async else failing_sync
    response = run(handler.produce_final_response_failsafe(made(handler), producer))
    assert 500 == response.status_code
    for wrong in (lambda request: None, lambda request: "text"):
        response = run(handler.produce_final_response_failsafe(made(handler), wrong))
        assert 500 == response.status_code
    response = run(handler.produce_final_response_failsafe(made(handler), hello))
    assert b"hello" == response.content


def test_send_response_takes_a_response_and_send() -> None:
    server = Server()
    run(as_coroutine(ASGIHandler(hello).send_response(HttpResponse("x"), server.send)))
    assert (200, b"x") == (server.result.status, server.result.body)


async def as_coroutine(awaitable: Any) -> Any:
    return await awaitable


def test_handle_django_connection_upgrade_serves_a_websocket() -> None:
    async def echo(ws: Any) -> None:
        await ws.accept()
        await ws.send_text(await ws.receive_text())

    async def main() -> Any:
        server = Server(
            [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "hi"}]
        )
        handler = ASGIHandler([websocket("ws", echo), path("", hello)])
        scope = {**http_scope("/ws"), "subprotocols": []}
        await handler.handle_django_connection_upgrade(scope, server.receive, server.send)
        return server.result.out

    kinds = [message["type"] for message in run(main())]
    assert ["websocket.accept", "websocket.send", "websocket.close"] == kinds


def test_expecting_no_response_is_silent_only_if_something_answered() -> None:
    from penstock.handler import ExpectingNoResponse

    async def view(request: Any) -> Any:
        raise ExpectingNoResponse

    assert 500 == sent_by(view).status
