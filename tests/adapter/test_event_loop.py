"""Applications that end in their first step, and all that must not suffer from the short way."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import signal
import socket
import sys
from typing import Any

import pytest

from penstock.adapter import LambdaAdapter
from penstock.adapter.event_loop import EagerLoop, process_loop

EVENT: dict[str, Any] = {"httpMethod": "GET", "path": "/"}


async def answer(send: Any, body: object) -> None:
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": str(body).encode()})


def body_of(app: Any) -> str:
    body: str = LambdaAdapter(app, lifespan="off")(EVENT, None)["body"]
    return body


@pytest.fixture(autouse=True)
def own_loop(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A process in which nobody has made an event loop yet."""
    monkeypatch.setattr(process_loop, "current", None)
    monkeypatch.setattr(process_loop, "_reader", None)
    asyncio.set_event_loop(None)
    yield
    monkeypatch.setattr(process_loop, "_reader", None)
    loop = process_loop.acquire()
    process_loop.release()
    loop.close()
    asyncio.set_event_loop(None)


@pytest.mark.skipif(sys.platform == "win32", reason="there, asyncio's loop is used as it is")
def test_the_loop_is_eager_where_nobody_has_chosen_another() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, type(asyncio.get_running_loop()).__name__)

    assert body_of(app) == "EagerLoop"


def test_a_loop_that_the_module_made_current_is_used() -> None:
    mine = asyncio.new_event_loop()
    asyncio.set_event_loop(mine)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, asyncio.get_running_loop() is mine)

    assert body_of(app) == "True"


def test_a_first_step_looks_like_any_other_from_inside() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        facts = loop.is_running(), task in asyncio.all_tasks(), asyncio.current_task() is task
        async with asyncio.timeout(10):
            await answer(send, facts)

    assert body_of(app) == "(True, True, True)"
    loop = process_loop.acquire()
    process_loop.release()
    assert not loop.is_running()
    assert asyncio._get_running_loop() is None


def test_waiting_in_the_first_step_and_after_it_goes_on_in_one_task() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        before = asyncio.current_task()
        await asyncio.sleep(0)
        await asyncio.to_thread(int)
        await answer(send, asyncio.current_task() is before)

    assert [body_of(app) for _ in range(3)] == ["True"] * 3


def test_tasks_that_an_application_leaves_behind_get_their_turn() -> None:
    """Each one runs with the next invocation: they do not pile up."""
    done = []

    async def later(number: int) -> None:
        done.append(number)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        tasks.append(asyncio.create_task(later(len(tasks))))
        await answer(send, len(done))

    tasks: list[Any] = []
    adapter = LambdaAdapter(app, lifespan="off")
    assert [adapter(EVENT, None)["body"] for _ in range(4)] == ["0", "1", "2", "3"]
    loop = process_loop.acquire()
    process_loop.release()
    loop.run_until_complete(asyncio.gather(*tasks))
    assert done == [0, 1, 2, 3]


def test_what_is_about_to_run_at_the_end_runs_before_the_sandbox_freezes() -> None:
    done: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})
        asyncio.get_running_loop().call_soon(done.append, "closed")

    assert LambdaAdapter(app, lifespan="off")(EVENT)["statusCode"] == 200
    assert done == ["closed"]


@pytest.mark.parametrize("is_there", [False, True])
def test_what_is_watched_for_the_process_is_nothing_to_do(*, is_there: bool) -> None:
    """Neither for the loop that is there, nor for one in its place."""
    ours, theirs = socket.socketpair()
    came: list[bytes] = []
    with ours, theirs:
        if is_there:
            process_loop.acquire().close()
            process_loop.release()
            process_loop.acquire()
            process_loop.release()
        process_loop.watch(ours.fileno(), lambda: came.append(ours.recv(9)))
        for sent in (b"1", b"2"):
            loop = process_loop.acquire()
            process_loop.release()
            assert isinstance(loop, EagerLoop)
            assert loop.is_idle()
            theirs.send(sent)
            loop.run_until_complete(asyncio.sleep(0))
            assert came == [sent]
            came.clear()
            loop.close()


def test_timers_and_sockets_of_background_tasks_are_looked_after() -> None:
    """As long as there is one, each invocation polls, though the application itself never waits."""
    near, far = socket.socketpair()
    near.setblocking(False)
    heard: list[bytes] = []
    ticked: list[bool] = []

    async def listen() -> None:
        heard.append(await asyncio.get_running_loop().sock_recv(near, 10))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if not tasks:
            tasks.append(asyncio.create_task(listen()))
            asyncio.get_running_loop().call_later(0, ticked.append, True)
        await answer(send, "")

    tasks: list[Any] = []
    with near, far:
        for _ in range(3):
            body_of(app)
        far.send(b"hello")
        for _ in range(3):
            body_of(app)
        assert (heard, ticked) == ([b"hello"], [True])


@pytest.mark.skipif(sys.platform == "win32", reason="needs signal handlers of the loop")
def test_signal_handlers_of_the_loop_are_looked_after() -> None:
    caught: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, caught.append, 1)
        await answer(send, "")

    body_of(app)
    signal.raise_signal(signal.SIGUSR1)
    body_of(app)
    body_of(app)
    assert caught == [1]
    loop = process_loop.acquire()
    process_loop.release()
    loop.remove_signal_handler(signal.SIGUSR1)


def test_an_abandoned_async_generator_is_closed_by_the_loop() -> None:
    closed: list[bool] = []

    async def numbers() -> Any:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)  # which only a loop that knows of the generator can do
            closed.append(True)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async for _ in numbers():
            break
        await answer(send, "")

    hooks = sys.get_asyncgen_hooks()
    body_of(app)
    gc.collect()
    loop = process_loop.acquire()
    process_loop.release()
    for _ in range(5):
        loop.run_until_complete(asyncio.sleep(0))
    assert closed == [True]
    assert sys.get_asyncgen_hooks() == hooks


def test_context_variables_of_one_first_step_do_not_reach_the_next() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, variable.get())
        variable.set("mine")

    assert [body_of(app) for _ in range(2)] == ["unset", "unset"]


def test_debug_mode_sees_every_callback(monkeypatch: pytest.MonkeyPatch) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, asyncio.get_running_loop().get_debug())

    body_of(app)
    loop = process_loop.acquire()
    process_loop.release()
    loop.set_debug(True)
    assert isinstance(loop, EagerLoop)
    assert not loop.is_idle()
    assert body_of(app) == "True"


@pytest.mark.parametrize("wrong", [SystemExit(3), KeyboardInterrupt()])
def test_what_ends_the_process_leaves_the_loop_usable(wrong: BaseException) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise wrong

    async def good(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, "fine")

    with pytest.raises(type(wrong)):
        body_of(app)
    assert body_of(good) == "fine"
