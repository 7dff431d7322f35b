"""A cancellation by the server, of a request in its task and of one in a task of its own."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from asgi_calls import Server, run, serve

from penstock.handler import ASGIHandler, HttpResponse

if TYPE_CHECKING:
    from typing import Any as Signals  # what conftest's fixture gives

pytestmark = pytest.mark.usefixtures("no_django")


@pytest.mark.conformance("C011")
def test_a_view_that_swallows_the_cancellation_answers_nobody(
    scope: dict[str, Any], signals: Signals
) -> None:
    scope["extensions"]["http.response.early_hint"] = {}
    response = HttpResponse("late")
    seen: list[str] = []

    async def closer() -> None:
        await asyncio.sleep(0)
        seen.append("closed")

    response.add_closer(closer)

    async def main() -> Any:
        running = asyncio.Event()

        async def view(request: Any) -> HttpResponse:
            with suppress(asyncio.CancelledError):
                running.set()
                await asyncio.Event().wait()
            assert not await request.send_early_hints(["</a.css>; rel=preload"])
            seen.append("not hinted")
            return response

        server = Server()
        task = asyncio.create_task(ASGIHandler(view)(scope, server.receive, server.send))
        await running.wait()
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        return server.result

    assert [] == run(main()).out
    assert ["not hinted", "closed"] == seen
    assert ["cancelled"] == signals.outcomes


@pytest.mark.conformance("C012")
def test_a_cancellation_waits_for_a_sync_view_and_spares_the_clean_up(
    scope: dict[str, Any], signals: Signals
) -> None:
    """The one that was held back for the thread must not hit the first thing that comes after."""
    seen: list[str] = []

    async def main() -> Any:
        loop, running, gate = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

        async def closer() -> None:
            await asyncio.sleep(0)
            seen.append("closer")

        async def background() -> None:
            await asyncio.sleep(0)
            seen.append("background")

        def view(request: Any) -> HttpResponse:
            loop.call_soon_threadsafe(running.set)
            gate.wait()
            request.add_background(background)
            response = HttpResponse("late")
            response.add_closer(closer)
            return response

        server = Server()
        task = asyncio.create_task(ASGIHandler(view)(scope, server.receive, server.send))
        await running.wait()
        task.cancel()
        await asyncio.sleep(0)
        gate.set()
        await asyncio.wait({task})
        assert task.cancelled()
        return server.result

    assert [] == run(main()).out
    assert ["closer", "background"] == seen
    assert ["cancelled"] == signals.outcomes


def test_a_timeout_of_the_server_is_a_timeout(scope: dict[str, Any], signals: Signals) -> None:
    """``asyncio.timeout`` counts cancellations: the handler must not take one away."""

    async def view(request: Any) -> HttpResponse:
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        await asyncio.Event().wait()
        raise AssertionError

    async def main() -> Any:
        server = Server()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await ASGIHandler(view)(scope, server.receive, server.send)
        task = asyncio.current_task()
        assert task is not None
        assert 0 == task.cancelling()
        return server.result

    assert [] == run(main()).out
    assert ["cancelled"] == signals.outcomes


@pytest.mark.conformance("C013")
def test_a_task_that_was_cancelled_before_can_serve(
    scope: dict[str, Any], signals: Signals
) -> None:
    """Whoever swallowed a cancellation may go on: old ones are not taken for new ones."""

    async def view(request: Any) -> HttpResponse:
        raise asyncio.CancelledError

    async def main() -> Any:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        assert 1 == task.cancelling()
        return await serve(ASGIHandler(view), scope, Server())

    result = run(main())
    assert (500, True, None) == (result.status, result.is_complete, result.error)
    assert ["complete"] == signals.outcomes


@pytest.mark.conformance("C013")
@pytest.mark.parametrize("is_sync", [False, True])
def test_a_cancelled_error_of_the_view_is_a_failure(
    scope: dict[str, Any], signals: Signals, *, is_sync: bool
) -> None:
    async def view(request: Any) -> HttpResponse:
        raise asyncio.CancelledError

    def sync_view(request: Any) -> HttpResponse:
        raise asyncio.CancelledError

    result = run(serve(ASGIHandler(sync_view if is_sync else view), scope, Server()))
    assert (500, None) == (result.status, result.error)
    assert ["started", "failed", "finished"] == signals.names


@pytest.mark.conformance("C176")
def test_a_background_task_that_hangs_ends_with_a_cancellation(
    scope: dict[str, Any], signals: Signals
) -> None:
    """One that cancels itself has failed, and is no reason to raise anything."""

    async def cancels_itself() -> None:
        raise asyncio.CancelledError

    async def main() -> Any:
        hanging = asyncio.Event()

        async def hangs() -> None:
            hanging.set()
            await asyncio.Event().wait()

        async def view(request: Any) -> HttpResponse:
            request.add_background(cancels_itself)
            if request.path == "/hangs":
                request.add_background(hangs)
            return HttpResponse("x")

        handler = ASGIHandler(view)
        assert (await serve(handler, scope, Server())).error is None
        server = Server()
        app = handler({**scope, "path": "/hangs"}, server.receive, server.send)
        task = asyncio.create_task(app)
        await hanging.wait()
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        return server.result

    assert run(main()).is_complete
    assert ["complete", "complete"] == signals.outcomes
