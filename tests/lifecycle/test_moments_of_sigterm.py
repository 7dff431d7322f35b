"""SIGTERM at moments that are hard to hit: an event just come, an answer about to leave."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest

from penstock.infra.gateway import ClientRequest, make_event
from penstock.infra.runtime_api import FunctionFailed, Hold, LocalRuntimeAPI

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Make = Callable[..., LocalRuntimeAPI]
    Run = Callable[..., None]

HTTP = {"httpMethod": "GET", "path": "/", "requestContext": {"stage": "prod"}}

SLOTS = pytest.mark.parametrize("slots", [None, 3], ids=["one slot", "three slots"])

ANSWERS = """
import asyncio, os, time

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("closing the pool")
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200})
    print("answering", flush=True)
    if scope["path"] == "/1":
        await asyncio.sleep(60)
    while scope["path"] == "/0" and not os.path.exists("free"):
        time.sleep(0.01)
    await send({"type": "http.response.body", "body": b"x" * int(scope["path"][1:])})
    print("answered", flush=True)
"""


WAITS = """
import asyncio, threading

async def wait():
    # By then the event loop has nothing to do any more.
    threading.Timer(0.2, print, ["waiting"], {"flush": True}).start()
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        print("cancelled")
        raise

async def handler(event, context):
    await wait()

async def application(scope, receive, send):
    await wait()
"""


@SLOTS
@pytest.mark.parametrize("target", ["handler", "application"])
def test_an_event_loop_that_has_nothing_to_do_is_woken(
    make_api: Make, run: Run, target: str, slots: int | None
) -> None:
    async def main() -> None:
        environ = {"PENSTOCK_APP": f"app:{target}", "PENSTOCK_LIFESPAN": "off"}
        async with make_api(WAITS, environ=environ, concurrency=slots) as api:
            pending = api.start(HTTP)
            await api.log.wait_for("waiting")
            await api.shut_down()
            assert "cancelled" in api.log.text
            assert "the runtime is killed" not in api.log.text
            pending.abandon()

    run(main())


@SLOTS
def test_a_handler_that_has_just_been_called_is_cancelled(
    make_api: Make, run: Run, slots: int | None
) -> None:
    """Its process, which has served no other yet, stands still and wakes up with both."""
    environ = {"PENSTOCK_APP": "app:handler"}

    async def main() -> None:
        async with make_api(WAITS, environ=environ, concurrency=slots, shutdown_s=10) as api:
            await api.ready()
            assert api.pid is not None
            os.kill(api.pid, signal.SIGSTOP)
            pending = api.start(None)
            while pending.invocation.delivered_at is None:  # noqa: ASYNC110
                await asyncio.sleep(0)
            down = asyncio.create_task(api.shut_down())
            await asyncio.sleep(0)
            os.kill(api.pid, signal.SIGCONT)
            with pytest.raises(FunctionFailed, match="the environment shuts down"):
                await pending.result()
            await down
            assert "the runtime is killed" not in api.log.text

    run(main())


def test_what_is_under_way_is_the_last(make_api: Make, run: Run, tmp_path: Path) -> None:
    """No event is taken that would be lost."""
    code = """
import os, time

def app(event, context):
    print("at work", flush=True)
    while not os.path.exists("free"):
        time.sleep(0.01)
    return event
"""

    async def main() -> None:
        async with make_api(code, shutdown_s=10) as api:
            first = api.start(1)
            await api.log.wait_for("at work")
            second = api.start(2)
            down = asyncio.create_task(api.shut_down())
            await asyncio.sleep(0)
            (tmp_path / "free").touch()
            await down
            assert await first.result() == 1
            assert second.invocation.delivered_at is None
            assert "the runtime is killed" not in api.log.text

    run(main())


@SLOTS
@pytest.mark.parametrize(("size", "after_bytes"), [(10, 0), (10, 5), (4_000_000, 1000)])
@pytest.mark.parametrize("mode", ["buffered", "response_stream"])
def test_while_the_runtime_api_is_slow_to_take_the_answer(
    make_api: Make, run: Run, mode: str, slots: int | None, size: int, after_bytes: int
) -> None:
    """The application's shutdown has its time, and the log says what was not taken."""

    async def main() -> None:
        environ = {"PENSTOCK_INVOKE_MODE": mode}
        async with make_api(ANSWERS, environ=environ, concurrency=slots) as api:
            hold = api.inject("response", Hold(after_bytes=after_bytes))
            event = make_event("function-url", ClientRequest("GET", f"/{size}"))
            api.start(event, streaming=mode != "buffered", request_id="slow-1")
            await hold.reached()
            await api.log.wait_for("answered" if size == 10 else "answering")
            await api.shut_down()
            assert "request slow-1:" in api.log.text
            assert "Exception in callback" not in api.log.text
            assert "the environment shuts down" in api.log.text
            assert "closing the pool" in api.log.text
            assert "the runtime is killed" not in api.log.text

    run(main())


@SLOTS
@pytest.mark.parametrize(("path", "statuses"), [("/10", {200, 503}), ("/1", {503})])
def test_an_event_that_has_just_come_is_answered(
    make_api: Make, run: Run, slots: int | None, path: str, statuses: set[int]
) -> None:
    """The process stands still meanwhile, and wakes up with both."""

    async def main() -> None:
        async with make_api(ANSWERS, concurrency=slots, shutdown_s=10) as api:
            await api.ready()
            assert api.pid is not None
            os.kill(api.pid, signal.SIGSTOP)
            event = make_event("http-api", ClientRequest("GET", path))
            pending = [api.start(event) for _ in range(slots or 1)]
            while any(one.invocation.delivered_at is None for one in pending):  # noqa: ASYNC110
                await asyncio.sleep(0)
            down = asyncio.create_task(api.shut_down())
            await asyncio.sleep(0)
            os.kill(api.pid, signal.SIGCONT)
            for one in pending:
                # It has a moment to end by itself, which a busy machine may use up.
                assert (await one.result())["statusCode"] in statuses
            await down
            assert "closing the pool" in api.log.text
            assert "the runtime is killed" not in api.log.text

    run(main())


def test_an_event_that_comes_behind_the_signal_is_answered(
    make_api: Make, run: Run, tmp_path: Path
) -> None:
    """The event loop is busy meanwhile, and then finds both."""

    async def main() -> None:
        async with make_api(ANSWERS, concurrency=3, shutdown_s=10) as api:
            await api.ready()
            pending = [api.start(make_event("http-api", ClientRequest("GET", "/0")))]
            await api.log.wait_for("answering")
            down = asyncio.create_task(api.shut_down())
            await asyncio.sleep(0)
            event = make_event("http-api", ClientRequest("GET", "/10"))
            pending += [api.start(event) for _ in range(2)]
            while any(one.invocation.delivered_at is None for one in pending):  # noqa: ASYNC110
                await asyncio.sleep(0)
            (tmp_path / "free").touch()
            for one in pending:
                assert (await one.result())["statusCode"] in {200, 503}
            await down
            assert "closing the pool" in api.log.text

    run(main())


@SLOTS
def test_an_event_that_does_not_arrive_in_time_is_said_to_be_lost(
    make_api: Make, run: Run, slots: int | None
) -> None:
    async def main() -> None:
        async with make_api(ANSWERS, concurrency=slots) as api:
            await api.ready()
            event = make_event("http-api", ClientRequest("GET", "/10"))
            hold = api.inject("next", Hold(after_bytes=100))
            await api.invoke(event)
            await api.ready()
            for _ in range(slots or 1):  # one of them meets the fault
                api.start(event)
            await hold.reached()
            await api.shut_down()
            assert "an event that was arriving is lost" in api.log.text
            assert "closing the pool" in api.log.text
            assert "the runtime is killed" not in api.log.text

    run(main())
