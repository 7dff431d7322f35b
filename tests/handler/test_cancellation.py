"""Work that is cut short: by a cancellation, a deadline, or an exception that ends the process."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from asgi_calls import Server, exchange, http_scope, run, serve

from penstock.handler import ASGIHandler, HandlerConfig, HttpResponse, StreamingHttpResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any as Signals  # what conftest's fixture gives

pytestmark = pytest.mark.usefixtures("no_django")


def cancelled_during(view: Any, **fields: Any) -> tuple[Any, bool]:
    """Cancel the caller once the view runs; the result, and whether CancelledError came out."""

    async def main() -> tuple[Any, bool]:
        server = Server()
        view.loop = asyncio.get_running_loop()
        task = asyncio.create_task(serve(ASGIHandler(view.view), http_scope(**fields), server))
        await view.running.wait()
        task.cancel()
        result = await task
        return result, isinstance(result.error, asyncio.CancelledError)

    return run(main())


class Waiting:
    """A view that waits until it is cancelled."""

    def __init__(self) -> None:
        self.running = asyncio.Event()
        self.cancelled = False

    async def view(self, request: Any) -> HttpResponse:
        self.running.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        raise AssertionError


@pytest.mark.conformance("C011")
def test_outer_cancellation_of_an_async_view(signals: Signals) -> None:
    waiting = Waiting()
    result, cancelled = cancelled_during(waiting)
    assert cancelled
    assert waiting.cancelled
    assert [] == result.out
    assert ["cancelled"] == signals.outcomes


class Blocking:
    """A sync view that ends after it was told to, by its own watchdog."""

    def __init__(self) -> None:
        self.running = asyncio.Event()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.response = HttpResponse("late")
        self.ended = False

    def view(self, request: Any) -> HttpResponse:
        loop = self.loop
        assert loop is not None
        gate = threading.Event()
        loop.call_soon_threadsafe(self.running.set)
        # Opened by the loop two passes after the cancellation has been through.
        loop.call_soon_threadsafe(lambda: loop.call_later(0.02, gate.set))
        gate.wait()
        self.ended = True
        return self.response


@pytest.mark.conformance("C012")
def test_outer_cancellation_of_a_sync_view_waits_for_its_thread(signals: Signals) -> None:
    blocking = Blocking()
    result, cancelled = cancelled_during(blocking)
    assert cancelled
    assert blocking.ended
    assert blocking.response.closed
    assert [] == result.out
    assert ["cancelled"] == signals.outcomes


@pytest.mark.conformance("C013")
@pytest.mark.parametrize("mode", ["async", "sync"])
def test_a_view_that_raises_cancelled_error_itself_is_a_failure(
    signals: Signals, mode: str
) -> None:
    async def view(request: Any) -> HttpResponse:
        raise asyncio.CancelledError

    def sync_view(request: Any) -> HttpResponse:
        raise asyncio.CancelledError

    result = exchange(ASGIHandler(view if mode == "async" else sync_view))
    assert 500 == result.status
    assert ["started", "failed", "finished"] == signals.names


@pytest.mark.conformance("C014")
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_system_exit_leaves_after_the_clean_up(signals: Signals, kind: type[BaseException]) -> None:
    async def view(request: Any) -> HttpResponse:
        raise kind("3")

    async def main() -> None:
        server = Server()
        with pytest.raises(kind, match="3"):
            await ASGIHandler(view)(http_scope(), server.receive, server.send)
        assert [] == server.result.out

    run(main())
    assert ["error"] == signals.outcomes


@pytest.mark.conformance("C015")
def test_a_deadline_in_the_past_is_a_504(signals: Signals) -> None:
    waiting = Waiting()

    async def main() -> Any:
        extensions = {"penstock": {"deadline": asyncio.get_running_loop().time() - 1}}
        return await serve(ASGIHandler(waiting.view), http_scope(extensions=extensions), Server())

    result = run(main())
    assert 504 == result.status
    assert result.is_complete
    assert result.error is None
    assert waiting.cancelled
    assert ["error"] == signals.outcomes


@pytest.mark.conformance("C015")
def test_the_deadline_does_not_wait_for_a_sync_view(signals: Signals) -> None:
    """The client gets its 504 while the thread is still busy; the application waits for it."""
    gate = threading.Event()
    late = HttpResponse("late")

    def view(request: Any) -> HttpResponse:
        gate.wait()
        return late

    def on_send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            gate.set()

    handler = ASGIHandler(view, config=HandlerConfig(response_timeout=0.01))
    result = exchange(handler, on_send=on_send)
    assert 504 == result.status
    assert late.closed
    assert ["error"] == signals.outcomes


@pytest.mark.conformance("C016")
def test_a_deadline_during_a_stream_aborts_it(signals: Signals) -> None:
    closed: list[str] = []

    async def content() -> AsyncIterator[bytes]:
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            closed.append("generator")

    async def view(request: Any) -> StreamingHttpResponse:
        return StreamingHttpResponse(content())

    result = exchange(ASGIHandler(view, config=HandlerConfig(response_timeout=0.01)))
    assert b"first" == result.body
    assert not result.is_complete
    assert ["generator"] == closed
    assert ["error"] == signals.outcomes
