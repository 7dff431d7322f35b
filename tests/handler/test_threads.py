"""Threads of requests: C170 to C175."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import Any

import pytest
from asgi_calls import END, GONE, Server, exchange, http_scope, run, serve
from asgiref.sync import async_to_sync, sync_to_async

from penstock.handler import ASGIHandler, HandlerConfig, HttpResponse, path
from penstock.handler.hops import in_request_thread
from penstock.handler.threads import ThreadPool, ThreadScope

pytestmark = pytest.mark.usefixtures("no_django")


def name_of_thread(request: Any = None) -> HttpResponse:
    return HttpResponse(threading.current_thread().name)


@pytest.mark.conformance("C170")
def test_two_concurrent_sync_views_have_two_threads() -> None:
    barrier = threading.Barrier(2, timeout=30)

    def view(request: Any) -> HttpResponse:
        barrier.wait()
        return name_of_thread()

    async def main() -> set[bytes]:
        handler = ASGIHandler(view)
        servers = [Server(), Server()]
        await asyncio.gather(
            *[handler(http_scope(), server.receive, server.send) for server in servers]
        )
        return {server.result.body for server in servers}

    assert 2 == len(run(main()))


@pytest.mark.conformance("C171")
def test_requests_in_turn_share_a_thread() -> None:
    handler = ASGIHandler(name_of_thread)

    async def main() -> set[bytes]:
        return {(await serve(handler, http_scope(), Server())).body for _ in range(10)}

    assert 1 == len(run(main()))
    assert 1 == handler.threads.size


@pytest.mark.conformance("C172")
@pytest.mark.parametrize("around", ["plain", "wait_for", "gather"])
def test_nested_bridges_stay_on_one_thread(around: str) -> None:
    seen: list[int] = []
    variable: ContextVar[int] = ContextVar("variable", default=0)

    def innermost() -> None:
        seen.append(threading.get_ident())
        variable.set(variable.get() + 1)

    async def inner() -> None:
        await sync_to_async(innermost)()
        await in_request_thread(innermost)

    def middle() -> None:
        seen.append(threading.get_ident())
        async_to_sync(inner)()

    async def view(request: Any) -> HttpResponse:
        if around == "wait_for":
            await asyncio.wait_for(sync_to_async(middle)(), 30)
        elif around == "gather":
            await asyncio.gather(sync_to_async(middle)(), in_request_thread(middle))
        else:
            await in_request_thread(middle)
            assert 2 == variable.get()
        return HttpResponse()

    assert 200 == exchange(ASGIHandler(view)).status
    assert 1 == len(set(seen))
    assert threading.get_ident() not in seen


@pytest.mark.conformance("C172")
def test_a_sync_view_may_call_async_code_that_calls_sync_code() -> None:
    seen: list[int] = []

    async def inner() -> str:
        await asyncio.sleep(0)
        return str(await sync_to_async(threading.get_ident)())

    def view(request: Any) -> HttpResponse:
        seen.append(threading.get_ident())
        return HttpResponse(async_to_sync(inner)())

    assert str(seen[0]).encode() == exchange(ASGIHandler(view)).body if seen else True
    result = exchange(ASGIHandler(view))
    assert str(seen[-1]).encode() == result.body


@pytest.mark.conformance("C173")
def test_a_thread_that_is_busy_is_not_given_to_the_next_request() -> None:
    gate = threading.Event()

    def busy(request: Any) -> HttpResponse:
        gate.wait()
        return name_of_thread()

    async def main() -> tuple[bytes, set[bytes], int]:
        config = HandlerConfig(disconnect_grace=0.0)
        handler = ASGIHandler([path("busy", busy), path("", name_of_thread)], config=config)
        server = Server([END, GONE])
        await handler(http_scope("/busy"), server.receive, server.send)
        names = {(await run_one(handler)).body for _ in range(3)}
        size = handler.threads.size
        (left,) = handler._abandoned
        gate.set()
        await asyncio.wait({left})
        return await body_after(handler), names, size

    async def run_one(handler: ASGIHandler) -> Any:
        server = Server()
        await handler(http_scope(), server.receive, server.send)
        return server.result

    async def body_after(handler: ASGIHandler) -> bytes:
        body: bytes = (await run_one(handler)).body
        return body

    after, names, size = run(main())
    assert 2 == size
    assert {b"penstock-sync-1"} == names
    assert after in {b"penstock-sync-0", b"penstock-sync-1"}


@pytest.mark.conformance("C174")
def test_an_all_async_request_starts_no_thread() -> None:
    async def view(request: Any) -> HttpResponse:
        await asyncio.sleep(0)
        return HttpResponse(str(threading.active_count()))

    handler = ASGIHandler(view)
    before = threading.active_count()
    assert str(before).encode() == exchange(handler).body
    assert 0 == handler.threads.size


@pytest.mark.conformance("C175")
def test_leaving_a_busy_request_does_not_block_the_loop() -> None:
    """While a thread is busy after its request was left, the loop serves another to the end."""
    gate = threading.Event()

    def busy(request: Any) -> HttpResponse:
        gate.wait()
        return HttpResponse()

    async def opens(request: Any) -> HttpResponse:
        gate.set()
        return HttpResponse("opened")

    async def main() -> bytes:
        config = HandlerConfig(disconnect_grace=0.0)
        handler = ASGIHandler([path("busy", busy), path("open", opens)], config=config)
        server = Server([END, GONE])
        await handler(http_scope("/busy"), server.receive, server.send)
        # Would the loop wait for the thread, this could not run, and nobody would open the gate.
        second = Server()
        await handler(http_scope("/open"), second.receive, second.send)
        await asyncio.wait(set(handler._abandoned))
        return second.result.body

    assert b"opened" == run(main())


def test_more_requests_than_threads_wait_for_one() -> None:
    async def main() -> Any:
        handler = ASGIHandler(name_of_thread, config=HandlerConfig(max_sync_threads=2))
        servers = [Server() for _ in range(10)]
        await asyncio.gather(
            *[handler(http_scope(), server.receive, server.send) for server in servers]
        )
        return {server.result.body for server in servers}, handler.threads.size

    names, size = run(main())
    assert (2, 2) == (size, len(names))


def test_a_request_that_waits_for_a_thread_can_be_cancelled() -> None:
    gate = threading.Event()

    async def main() -> None:
        pool = ThreadPool(1)
        holding = asyncio.Event()
        loop = asyncio.get_running_loop()

        def hold() -> None:
            loop.call_soon_threadsafe(holding.set)
            gate.wait()

        async def scoped(function: Any) -> Any:
            async with ThreadScope(pool):
                return await in_request_thread(function)

        first = asyncio.create_task(scoped(hold))
        await holding.wait()
        second = asyncio.create_task(scoped(name_of_thread))
        third = asyncio.create_task(scoped(lambda: "third"))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        gate.set()
        await first
        assert "third" == await third
        assert 1 == pool.size
        pool.shutdown()

    run(main())


def test_a_task_that_outlives_its_request_has_a_thread_of_its_own() -> None:
    async def main() -> Any:
        tasks: list[asyncio.Task[Any]] = []
        go = asyncio.Event()

        async def later() -> str:
            await go.wait()
            name: str = await sync_to_async(lambda: threading.current_thread().name)()
            return name

        async def view(request: Any) -> HttpResponse:
            tasks.append(asyncio.create_task(later()))
            return await sync_to_async(name_of_thread)()

        server = Server()
        handler = ASGIHandler(view)
        await handler(http_scope(), server.receive, server.send)
        go.set()
        return server.result.body.decode(), await tasks[0]

    first, second = run(main())
    assert first.startswith("penstock-sync-")
    assert first != second


def test_a_cancellation_is_not_lost_in_a_hop() -> None:
    """The function's result comes back, and the next wait of the task is cancelled; once."""

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        events: list[Any] = []
        begun, gate = asyncio.Event(), threading.Event()

        def function() -> str:
            loop.call_soon_threadsafe(begun.set)
            gate.wait()
            return "result"

        async def work() -> None:
            async with ThreadScope(ThreadPool(1)):
                events.append(await in_request_thread(function))
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    events.append("cancelled")
                    events.append(asyncio.current_task().cancelling())  # type: ignore[union-attr]
                    raise

        task = asyncio.create_task(work())
        await begun.wait()
        task.cancel()
        await asyncio.sleep(0)
        gate.set()
        await asyncio.wait({task})
        assert task.cancelled()
        return events

    assert ["result", "cancelled", 1] == run(main())


def test_a_timeout_around_a_hop_is_a_timeout() -> None:
    gate = threading.Event()

    async def held_up() -> None:
        async with asyncio.timeout(0.01):
            await in_request_thread(gate.wait)
            await asyncio.Event().wait()

    async def main() -> None:
        async with ThreadScope(ThreadPool(1)):
            asyncio.get_running_loop().call_later(0.03, gate.set)
            with pytest.raises(TimeoutError):
                await held_up()
            assert 3 == await in_request_thread(max, 1, 3)

    run(main())


def test_errors_of_a_thread_come_back_as_they_are() -> None:
    async def main() -> None:
        async with ThreadScope(ThreadPool(1)):
            with pytest.raises(ZeroDivisionError):
                await in_request_thread(lambda: 1 / 0)
            with pytest.raises(SystemExit):
                await in_request_thread(exits)
            assert 3 == await in_request_thread(max, 1, 3)

    def exits() -> None:
        raise SystemExit

    run(main())


def test_the_thread_of_a_request_that_was_thrown_away_serves_another() -> None:
    """Whose end runs where its memory is collected, in a context that is not its own."""

    async def main() -> None:
        pool = ThreadPool(1)
        scope = ThreadScope(pool)

        async def begin() -> None:
            scope.enter()
            await in_request_thread(int, "1")

        await asyncio.create_task(begin())
        with pytest.raises(ValueError, match="different Context"):
            scope.leave()
        async with asyncio.timeout(30), ThreadScope(pool):
            assert 2 == await in_request_thread(int, "2")

    run(main())


def test_the_threads_stop_when_they_are_told_to() -> None:
    async def main() -> None:
        pool = ThreadPool(3)
        async with ThreadScope(pool):
            thread = await in_request_thread(threading.current_thread)
        pool.shutdown()
        await asyncio.to_thread(thread.join, 30)
        assert not thread.is_alive()
        async with ThreadScope(pool):  # and the pool can be used again
            assert 1 == await in_request_thread(int, "1")
        pool.shutdown()

    run(main())
