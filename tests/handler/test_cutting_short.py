"""What cuts a request short, and what must not be taken for it."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from asgi_calls import END, GONE, Server, exchange, http_scope, run, serve

from penstock.handler import (
    ASGIHandler,
    EventStreamResponse,
    HandlerConfig,
    HttpResponse,
    RequestAborted,
    StreamingHttpResponse,
    async_to_sync,
    path,
    sync_to_async,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.usefixtures("no_django")


@pytest.mark.parametrize("passes", range(4))
def test_a_timeout_within_a_stream_is_no_cancellation_of_its_start(passes: int) -> None:
    async def content() -> AsyncIterator[bytes]:
        for _ in range(passes):
            await asyncio.sleep(0)
        try:
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        except TimeoutError:
            yield b"late"

    async def view(request: Any) -> StreamingHttpResponse:
        return StreamingHttpResponse(content())

    result = exchange(ASGIHandler(view))
    assert (200, b"late", True) == (result.status, result.body, result.is_complete)


async def never(request: Any) -> Any:
    await asyncio.Event().wait()


def failing_page(request: Any, error: BaseException) -> StreamingHttpResponse:
    def content() -> Iterator[bytes]:
        raise LookupError("the page for 504")
        yield b""

    return StreamingHttpResponse(content())


def failing_late(request: Any, error: BaseException) -> StreamingHttpResponse:
    def content() -> Iterator[bytes]:
        yield b"part"
        raise LookupError("the page for 504")

    return StreamingHttpResponse(content())


@pytest.mark.parametrize("page", [failing_page, failing_late])
def test_a_failing_page_for_a_deadline_is_no_way_out(page: Any, signals: Any) -> None:
    config = HandlerConfig(response_timeout=0, error_handlers={504: page})
    result = exchange(ASGIHandler(never, config=config))
    if page is failing_page:
        assert (504, b"504 Gateway Timeout", None) == (result.status, result.body, result.error)
    else:
        assert (200, b"part", False) == (result.status, result.body, result.is_complete)
        assert isinstance(result.error, LookupError)
    assert ["error"] == signals.outcomes


def test_threads_may_be_stopped_while_a_request_has_one() -> None:
    async def main() -> tuple[Any, int]:
        async def view(request: Any) -> HttpResponse:
            first = await sync_to_async(threading.get_ident)()
            handler.threads.shutdown()
            same = first == await sync_to_async(threading.get_ident)()
            return HttpResponse(str(same))

        handler = ASGIHandler(view)
        first, second = Server(), Server()
        await handler(http_scope(), first.receive, first.send)
        await handler(http_scope(), second.receive, second.send)
        return (first.result.body, second.result.body), handler.threads.size

    assert ((b"True", b"True"), 0) == run(main())


def test_who_waits_for_a_thread_gets_it_although_they_were_stopped() -> None:
    async def main() -> list[bytes]:
        entered, leave = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def view(request: Any) -> HttpResponse:
            loop.call_soon_threadsafe(entered.set)
            leave.wait()
            return HttpResponse(b"x")

        handler = ASGIHandler(view, config=HandlerConfig(max_sync_threads=1))
        servers = [Server(), Server()]
        first, second = (
            asyncio.create_task(handler(http_scope(), one.receive, one.send)) for one in servers
        )
        await entered.wait()
        await asyncio.sleep(0)
        handler.threads.shutdown()
        leave.set()
        await asyncio.wait({first, second})
        return [one.result.body for one in servers]

    assert [b"x", b"x"] == run(main())


@pytest.mark.parametrize("error", [LookupError, asyncio.CancelledError, SystemExit])
def test_events_that_end_themselves_end_the_response(error: type[BaseException]) -> None:
    async def events() -> AsyncIterator[str]:
        yield "one"
        raise error

    async def view(request: Any) -> EventStreamResponse:
        return EventStreamResponse(events(), ping=None)

    async def main() -> Any:
        server = Server()
        with pytest.raises(error):
            await ASGIHandler(view)(http_scope(), server.receive, server.send)
        return server.result

    result = run(main())
    assert (b"data: one\n\n", False) == (result.body, result.is_complete)


def test_a_disconnect_reaches_async_code_that_a_sync_view_waits_for() -> None:
    seen: list[str] = []

    async def main() -> Any:
        server = Server()

        async def wait() -> None:
            server.add(GONE)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

        def view(request: Any) -> HttpResponse:
            async_to_sync(wait)()
            return HttpResponse()

        await ASGIHandler(view)(http_scope(), server.receive, server.send)
        return server.result

    assert [] == run(main()).out
    assert ["cancelled"] == seen


def test_a_thread_that_is_got_too_late_is_given_back() -> None:
    """Who waited for it has left; the next one gets it."""

    async def main() -> list[bytes]:
        loop, held, gate = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
        waits = asyncio.Event()

        def hold(request: Any) -> HttpResponse:
            loop.call_soon_threadsafe(held.set)
            gate.wait()
            return HttpResponse("held")

        async def wait(request: Any) -> HttpResponse:
            loop.call_soon(waits.set)
            await sync_to_async(time.time)()
            raise AssertionError

        def last(request: Any) -> HttpResponse:
            return HttpResponse("last")

        routes = [path("hold", hold), path("wait", wait), path("last", last)]
        handler = ASGIHandler(routes, config=HandlerConfig(max_sync_threads=1))
        servers = [Server(), Server(), Server()]
        first, second, third = (
            handler(http_scope(f"/{name}"), server.receive, server.send)
            for name, server in zip(("hold", "wait", "last"), servers, strict=True)
        )
        holding = asyncio.create_task(first)
        await held.wait()
        waiting = asyncio.create_task(second)
        await waits.wait()
        waiting.cancel()
        await asyncio.wait({waiting})
        gate.set()
        await holding
        await third
        return [server.result.body for server in servers]

    assert [b"held", b"", b"last"] == run(main())


@pytest.mark.parametrize("is_sync", [False, True])
def test_a_start_that_is_on_its_way_is_not_left_behind(*, is_sync: bool) -> None:
    """The body fails while the server still takes the start."""

    async def main() -> Any:
        starting, failing = asyncio.Event(), threading.Event()

        async def content() -> AsyncIterator[bytes]:
            await starting.wait()
            raise LookupError
            yield b""

        def sync_content() -> Iterator[bytes]:
            failing.wait()
            raise LookupError
            yield b""

        async def view(request: Any) -> StreamingHttpResponse:
            return StreamingHttpResponse(sync_content() if is_sync else content())

        async def on_send(message: dict[str, Any]) -> None:
            starting.set()
            failing.set()
            await asyncio.Event().wait()

        return await serve(ASGIHandler(view), http_scope(), Server(on_send=on_send))

    result = run(main())  # `serve` looks for tasks
    assert isinstance(result.error, LookupError)
    assert [] == result.out


def test_the_deadline_ends_a_view_that_knows_that_its_client_has_left(signals: Any) -> None:
    """It has met the disconnect in the body, and goes on; there is nobody to tell of the time."""

    async def view(request: Any) -> HttpResponse:
        with suppress(RequestAborted):
            await request.abody()
        await asyncio.Event().wait()
        raise AssertionError

    config = HandlerConfig(body_mode="stream", response_timeout=0.01)
    result = exchange(ASGIHandler(view, config=config), messages=[{**END, "more_body": True}, GONE])
    assert ([], None) == (result.out, result.error)
    assert ["disconnect"] == signals.outcomes


@pytest.mark.parametrize("error", [ValueError("the server's"), OSError("gone")])
def test_a_server_that_does_not_take_the_answer_to_a_deadline(
    error: Exception, signals: Any
) -> None:
    def on_send(message: dict[str, Any]) -> None:
        raise error

    result = exchange(ASGIHandler(never, config=HandlerConfig(response_timeout=0)), on_send=on_send)
    if isinstance(error, OSError):
        assert (None, ["disconnect"]) == (result.error, signals.outcomes)
    else:
        assert (error, ["error"]) == (result.error, signals.outcomes)


@pytest.mark.conformance("C015")
@pytest.mark.parametrize(("hinted", "timeout"), [(-1.0, 60), (60.0, 0)])
def test_the_earlier_of_two_deadlines_counts(hinted: float, timeout: float) -> None:
    async def main() -> Any:
        hints = {"penstock": {"deadline": asyncio.get_running_loop().time() + hinted}}
        handler = ASGIHandler(never, config=HandlerConfig(response_timeout=timeout))
        return await serve(handler, http_scope(extensions=hints), Server())

    result = run(main())
    assert (504, True) == (result.status, result.is_complete)
