"""How an adapter can be called: from threads, from event loops, one by one or at once."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from penstock.adapter import LambdaAdapter
from penstock.adapter.event_loop import process_loop
from penstock.infra.gateway import ClientRequest, make_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.adapter.conftest import Context

EVENT: dict[str, Any] = {"httpMethod": "GET", "path": "/"}
VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


async def ok(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


async def slow(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.sleep(0.001)
    await ok(scope, receive, send)


def adapter_of(app: Any, **options: Any) -> LambdaAdapter:
    return LambdaAdapter(app, **{"lifespan": "off", **options})


def at(path: str) -> dict[str, Any]:
    return make_event("function-url", ClientRequest("GET", path))


@pytest.mark.parametrize("app", [ok, slow])
def test_it_can_be_called_from_another_thread(app: Any) -> None:
    adapter = adapter_of(app)
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(adapter(EVENT, None)))
    thread.start()
    thread.join(10)
    assert [answer["body"] for answer in answers] == ["/"]
    assert adapter(EVENT, None)["body"] == "/"


@pytest.mark.parametrize("app", [ok, slow])
def test_threads_that_call_at_once_take_turns(app: Any) -> None:
    adapter = adapter_of(app)
    paths = [f"/{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda path: adapter(at(path), None), paths))
    assert paths == [answer["body"] for answer in answers]


def test_several_adapters_share_the_loop() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        loops.append(asyncio.get_running_loop())
        await ok(scope, receive, send)

    for adapter in (adapter_of(app), adapter_of(app)):
        assert adapter(EVENT, None)["statusCode"] == 200
    assert loops[0] is loops[1]


def test_a_closed_loop_is_replaced() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        loops.append(asyncio.get_running_loop())
        await ok(scope, receive, send)

    adapter = adapter_of(app)
    assert adapter(EVENT, None)["statusCode"] == 200
    loops[0].close()
    assert adapter(EVENT, None)["statusCode"] == 200
    assert loops[0] is not loops[1]


def test_inside_a_running_loop_it_says_what_to_do() -> None:
    adapter = adapter_of(ok)

    async def main() -> None:
        with pytest.raises(RuntimeError, match=r"running event loop.*await adapter\.handle"):
            adapter(EVENT, None)
        with pytest.raises(RuntimeError, match="running event loop"):
            adapter.close()

    asyncio.run(main())
    assert adapter(EVENT, None)["statusCode"] == 200


def test_an_application_that_calls_its_own_adapter_is_told_so() -> None:
    problems: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            adapter(EVENT, None)
        except RuntimeError as error:
            problems.append(str(error))
        await ok(scope, receive, send)

    adapter = adapter_of(app)
    assert adapter(EVENT, None)["statusCode"] == 200
    assert ["running event loop" in problem for problem in problems] == [True]


def test_invocations_overlap_where_a_loop_is_running() -> None:
    together = 3

    async def main() -> list[Any]:
        barrier = asyncio.Barrier(together)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await barrier.wait()
            await ok(scope, receive, send)

        adapter = adapter_of(app)
        return await asyncio.gather(
            *(adapter.handle(at(f"/{number}"), None) for number in range(together))
        )

    assert ["/0", "/1", "/2"] == [answer["body"] for answer in asyncio.run(main())]


def test_bad_events_are_refused_where_a_loop_is_running() -> None:
    event = {**EVENT, "body": "%", "isBase64Encoded": True}
    assert asyncio.run(adapter_of(ok).handle(event, None))["statusCode"] == 400


def test_a_deadline_ends_invocations_where_a_loop_is_running(
    context: Callable[..., Context],
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    answer = asyncio.run(adapter_of(app).handle(EVENT, context(remaining_ms=20)))
    assert answer["statusCode"] == 504


def test_who_ignores_the_deadline_is_left_behind_where_a_loop_is_running(
    context: Callable[..., Context], caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()  # until the loop is closed

    adapter = adapter_of(app, deadline_margin=0.02)
    answer = asyncio.run(adapter.handle(EVENT, context(remaining_ms=20)))
    assert answer["statusCode"] == 504
    assert "left behind" in caplog.text


def test_who_cancels_an_invocation_cancels_the_application() -> None:
    log: list[str] = []

    async def main() -> None:
        started = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            started.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                log.append("cancelled")
                raise

        task = asyncio.create_task(adapter_of(app).handle(EVENT, None))
        await started.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        await asyncio.sleep(0)

    asyncio.run(main())
    assert log == ["cancelled"]


def test_context_variables_do_not_leak_from_one_invocation_to_the_next() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(VARIABLE.get())
        VARIABLE.set("leaked")
        await asyncio.sleep(0)
        await ok(scope, receive, send)

    adapter = adapter_of(app)
    for _ in range(2):
        adapter(EVENT, None)
    assert seen == ["unset", "unset"]
    assert VARIABLE.get() == "unset"


def test_context_variables_of_the_caller_reach_the_application() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(VARIABLE.get())
        await ok(scope, receive, send)

    token = VARIABLE.set("of the caller")
    adapter_of(app)(EVENT, None)
    VARIABLE.reset(token)
    assert seen == ["of the caller"]


def test_instrumentation_can_treat_it_as_a_function() -> None:
    adapter: Any = adapter_of(ok)
    assert (adapter.__name__, adapter.__qualname__) == ("handler", "handler")
    adapter.__name__ = "wrapped"
    adapter.__wrapped__ = ok
    assert (adapter.__name__, adapter.__wrapped__) == ("wrapped", ok)
    assert adapter.app is ok


def test_a_factory_is_called_once() -> None:
    calls: list[str] = []

    def create() -> Any:
        calls.append("called")
        return ok

    adapter = adapter_of(create, factory=True)
    assert [adapter(EVENT, None)["statusCode"] for _ in range(2)] == [200, 200]
    assert calls == ["called"]


def test_the_context_may_be_left_out() -> None:
    assert adapter_of(ok)(EVENT)["statusCode"] == 200


def test_background_tasks_of_one_invocation_go_on_in_the_next() -> None:
    log: list[str] = []
    tasks: list[asyncio.Task[None]] = []

    async def work() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        log.append("done")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if not tasks:
            tasks.append(asyncio.create_task(work()))
        else:
            await tasks[0]
        await ok(scope, receive, send)

    adapter = adapter_of(app)
    for _ in range(2):
        assert adapter(EVENT, None)["statusCode"] == 200
    assert log == ["done"]


def test_an_application_that_goes_when_told_leaves_no_timer_behind() -> None:
    """Nothing of one request may speak of it in the log of the next."""
    adapter = adapter_of(waits_for_the_disconnect, time_limit=0.01)
    assert adapter(EVENT, None)["statusCode"] == 504
    loop = process_loop.acquire()
    process_loop.release()
    assert [timer for timer in loop._scheduled if not timer.cancelled()] == []  # type: ignore[attr-defined]


async def waits_for_the_disconnect(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await receive()
