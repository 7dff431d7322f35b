"""From the first message to the last signal: C001 to C019."""

from __future__ import annotations

import asyncio
import gc
import threading
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from asgi_calls import END, GONE, Server, exchange, http_scope, parts, run, serve

from penstock.handler import (
    ASGIHandler,
    HandlerConfig,
    Http404,
    HttpResponse,
    StreamingHttpResponse,
    path,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any as Signals  # what conftest's fixture gives

pytestmark = pytest.mark.usefixtures("no_django")

NO_DISCONNECT = {"penstock": {"no_disconnect": True}}


async def hello(request: Any) -> HttpResponse:
    return HttpResponse("hello", content_type="text/plain")


@pytest.mark.conformance("C001")
def test_text_is_a_start_and_one_body_message() -> None:
    result = exchange(ASGIHandler(hello))
    assert [
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"text/plain"), (b"content-length", b"5")],
        },
        {"type": "http.response.body", "body": b"hello", "more_body": False},
    ] == result.out
    assert result.error is None


@pytest.mark.conformance("C002")
def test_an_unknown_scope_type_is_a_value_error(signals: Signals) -> None:
    result = exchange(ASGIHandler(hello), type="carrier-pigeon")
    assert isinstance(result.error, ValueError)
    assert "carrier-pigeon" in str(result.error)
    assert ([], 0, []) == (result.out, result.received, signals)


@pytest.mark.conformance("C003", "C006")
def test_order_of_events_on_success(signals: Signals) -> None:
    events: list[str] = []

    async def view(request: Any) -> HttpResponse:
        events.append("view")
        response = HttpResponse("x")
        response.add_closer(lambda: events.append("closer"))
        return response

    def on_send(message: dict[str, Any]) -> None:
        events.append(message["type"])

    handler = ASGIHandler(view)
    result = exchange(handler, on_send=on_send)
    assert ["view", "http.response.start", "http.response.body", "closer"] == events
    assert ["started", "finished"] == signals.names
    (finished,) = signals.of("finished")
    assert "complete" == finished["outcome"]
    assert "GET" == finished["request"].method
    assert 200 == finished["response"].status_code == result.status
    assert finished["response"].closed


async def missing(request: Any) -> HttpResponse:
    raise Http404


async def broken(request: Any) -> HttpResponse:
    raise RuntimeError("broken")


async def stream(request: Any) -> StreamingHttpResponse:
    async def content() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    return StreamingHttpResponse(content())


@pytest.mark.conformance("C004")
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("view", [hello, missing, broken, stream])
def test_finished_is_sent_once(signals: Signals, view: Any, method: str) -> None:
    exchange(ASGIHandler([path("", view)]), method=method)
    assert 1 == signals.names.count("finished") == signals.names.count("started")
    assert ["complete"] == signals.outcomes


@pytest.mark.conformance("C004")
def test_finished_is_sent_once_for_an_unknown_path(signals: Signals) -> None:
    assert 404 == exchange(ASGIHandler([path("a", hello)]), "/b").status
    assert ["complete"] == signals.outcomes


@pytest.mark.conformance("C005")
def test_the_sender_is_the_class_of_the_handler(signals: Signals) -> None:
    class Special(ASGIHandler):
        pass

    exchange(Special(broken))
    assert [Special] * 3 == [fields["sender"] for _, fields in signals]


@pytest.mark.conformance("C007")
def test_a_disconnect_before_the_body_is_silent(signals: Signals) -> None:
    result = exchange(ASGIHandler(hello), messages=[GONE])
    assert (None, [], []) == (result.error, result.out, signals)


@pytest.mark.conformance("C008")
def test_a_disconnect_within_the_body_is_silent_and_closes_the_spool(signals: Signals) -> None:
    config = HandlerConfig(file_upload_max_memory_size=10)
    messages = [*parts(b"x" * 20, b"y", b"z")[:2], GONE]
    result = exchange(ASGIHandler(hello, config=config), method="POST", messages=messages)
    assert (None, [], []) == (result.error, result.out, signals)
    gc.collect()  # an open temporary file would be a ResourceWarning, which is an error here


@pytest.mark.conformance("C009")
def test_context_variables_of_concurrent_requests_are_apart() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="")

    async def main() -> None:
        both = asyncio.Barrier(2)

        async def view(request: Any) -> HttpResponse:
            variable.set(request.path)
            await both.wait()
            return HttpResponse(variable.get())

        handler = ASGIHandler(view)
        servers = [Server(), Server()]
        await asyncio.gather(
            handler(http_scope("/one"), servers[0].receive, servers[0].send),
            handler(http_scope("/two"), servers[1].receive, servers[1].send),
        )
        assert [b"/one", b"/two"] == [server.result.body for server in servers]

    run(main())


@pytest.mark.conformance("C009")
def test_context_variables_of_a_view_do_not_reach_the_server() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="")

    async def main() -> None:
        async def view(request: Any) -> HttpResponse:
            variable.set("leaked")
            return HttpResponse()

        server = Server()
        await ASGIHandler(view)(http_scope(), server.receive, server.send)
        assert "" == variable.get()

    run(main())


@pytest.mark.conformance("C010")
@pytest.mark.parametrize("view", [hello, missing, broken, stream])
def test_no_task_is_left(view: Any) -> None:
    exchange(ASGIHandler(view), method="POST", body=b"abc")  # `serve` looks for tasks


@pytest.mark.conformance("C017")
def test_no_disconnect_means_no_further_receive() -> None:
    async def view(request: Any) -> HttpResponse:
        await asyncio.sleep(0.02)
        return HttpResponse("x")

    result = exchange(ASGIHandler(view), extensions=NO_DISCONNECT)
    assert 1 == result.received
    assert 200 == result.status


def open_files() -> int:
    """How many this process has open, where the system tells."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


@pytest.mark.conformance("C018")
def test_a_thousand_requests_leave_nothing_behind() -> None:
    def sync(request: Any) -> HttpResponse:
        return HttpResponse(request.body)

    handler = ASGIHandler([path("async", hello), path("sync", sync), path("stream", stream)])

    async def main() -> tuple[int, int, int]:
        for turn in range(1_000):
            target = ("/async", "/sync", "/stream", "/none")[turn % 4]
            await serve(handler, http_scope(target), Server())
        return threading.active_count(), len(asyncio.all_tasks()), open_files()

    first = run(main())
    assert first == run(main())
    assert 1 == handler.threads.size


@pytest.mark.parametrize("extensions", [{}, NO_DISCONNECT])
@pytest.mark.parametrize("target", ["/async", "/sync", "/none", "/broken", "/large", "/streamed"])
def test_a_request_leaves_nothing_to_the_cycle_collector(target: str, extensions: Any) -> None:
    def sync(request: Any) -> HttpResponse:
        return HttpResponse(request.body)

    async def reading(request: Any) -> HttpResponse:
        return HttpResponse(await request.abody())

    routes = [path("async", hello), path("sync", sync), path("broken", broken)]
    routes.append(path("streamed", reading, stream_body=True))
    handler = ASGIHandler(routes, config=HandlerConfig(max_body_size=1))

    async def request() -> None:
        server = Server(parts(b"xx" if target == "/large" else b"x"))
        await handler(http_scope(target, extensions=extensions), server.receive, server.send)

    async def main() -> int:
        for _ in range(3):
            await request()
        await asyncio.sleep(0.02)
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                await request()
            await asyncio.sleep(0.02)  # until nobody watches them any more
            return gc.collect()
        finally:
            gc.enable()

    assert run(main()) < 20


@pytest.mark.conformance("C019")
@pytest.mark.parametrize("view", [hello, missing, broken])
def test_get_response_async_makes_every_failure_a_response(view: Any) -> None:
    async def middleware_view(request: Any) -> Any:
        return None

    handler = (
        ASGIHandler(view, middleware=[lambda get_response: middleware_view], config=HandlerConfig())
        if view is hello
        else ASGIHandler(view)
    )
    request, _ = handler.create_request(http_scope(), b"")
    response = run(handler.get_response_async(request))
    assert response.status_code in {404, 500}


@pytest.mark.conformance("C019")
def test_debug_propagate_exceptions_lets_them_out() -> None:
    handler = ASGIHandler(broken, config=HandlerConfig(debug_propagate_exceptions=True))
    result = exchange(handler)
    assert isinstance(result.error, RuntimeError)
    assert [] == result.out


def test_a_view_that_ignores_its_cancellation_is_left_behind_after_the_grace(
    signals: Signals, caplog: pytest.LogCaptureFixture
) -> None:
    release = asyncio.Event()
    late = HttpResponse("late")

    async def view(request: Any) -> HttpResponse:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return late

    async def main() -> None:
        handler = ASGIHandler(view, config=HandlerConfig(disconnect_grace=0.01))
        server = Server([END, GONE])
        await handler(http_scope(), server.receive, server.send)
        assert [] == server.result.out
        assert 1 == len(handler._abandoned)
        (task,) = handler._abandoned
        release.set()
        await asyncio.wait({task})
        assert [] == server.result.out
        assert late.closed

    run(main())
    assert ["disconnect"] == signals.outcomes
    assert "left behind" in caplog.text


def test_the_servers_state_is_the_one_that_counts() -> None:
    async def view(request: Any) -> HttpResponse:
        return HttpResponse(request.state["whose"])

    handler = ASGIHandler(view)
    handler.state["whose"] = "the handler's"
    assert b"the handler's" == exchange(handler).body
    assert b"the server's" == exchange(handler, state={"whose": "the server's"}).body


def test_a_content_length_that_was_sent_stays_as_it_was_sent() -> None:
    async def view(request: Any) -> HttpResponse:
        return HttpResponse(request.META["CONTENT_LENGTH"])

    handler = ASGIHandler(view)
    assert b"3" == exchange(handler, method="POST", body=b"abc").body
    sent = [(b"content-length", b"0005")]
    assert b"0005" == exchange(handler, method="POST", body=b"abc", headers=sent).body
