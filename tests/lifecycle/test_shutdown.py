"""SIGTERM: the application's shutdown runs before the environment goes away."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from penstock.adapter.runtime.stop import INVOCATIONS_S, SHUTDOWN_S, StopSignal
from penstock.infra.gateway import ClientRequest, make_event
from penstock.infra.runtime_api import (
    FunctionFailed,
    Hold,
    LocalRuntimeAPI,
    Reset,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Make = Callable[..., LocalRuntimeAPI]
    Run = Callable[..., None]

URL = make_event("function-url", ClientRequest("GET", "/stream"))
HTTP = {"httpMethod": "GET", "path": "/", "requestContext": {"stage": "prod"}}

APP = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("closing the pool")
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 204})
    if scope["path"] == "/stream":
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    if scope["path"] != "/":
        print("waiting")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            print("cancelled")
            raise
    await send({"type": "http.response.body"})
"""


def test_idle(command: list[str], make_api: Make, run: Run) -> None:
    async def main() -> None:
        async with make_api(APP, command) as api:
            assert 204 == (await api.invoke(HTTP))["statusCode"]
            await api.ready()
            await api.shut_down()
            assert "closing the pool" in api.log.text
            assert "the runtime is killed" not in api.log.text

    run(main())


def test_before_the_first_invocation(command: list[str], make_api: Make, run: Run) -> None:
    async def main() -> None:
        async with make_api(APP, command) as api:
            await api.ready()
            await api.shut_down()
            assert "closing the pool" in api.log.text

    run(main())


def test_in_flight(command: list[str], make_api: Make, run: Run) -> None:
    async def main() -> None:
        async with make_api(APP, command) as api:
            api.start({**HTTP, "path": "/wait"})
            await api.log.wait_for("waiting")
            await api.shut_down()
            assert "cancelled" in api.log.text
            assert "closing the pool" in api.log.text
            assert "the runtime is killed" not in api.log.text

    run(main())


def test_in_a_stream(command: list[str], make_api: Make, run: Run) -> None:
    """An error behind what the client has says that it is not all."""
    environ = {"PENSTOCK_INVOKE_MODE": "response_stream"}

    async def main() -> None:
        async with make_api(APP, command, environ=environ) as api:
            pending = api.start(URL, streaming=True)
            await api.log.wait_for("waiting")
            await api.shut_down()
            with pytest.raises(FunctionFailed) as raised:
                await pending.payload()
            assert raised.value.error.error_type.startswith("Function.")
            assert "the environment shuts down" in raised.value.error.json()["errorMessage"]
            assert "cancelled" in api.log.text
            assert "closing the pool" in api.log.text

    run(main())


ENDLESS = """
import asyncio
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

async def parts():
    for number in range(10_000):
        yield b"x"
        if number == 3:
            print("streaming")
        await asyncio.sleep(0.001)

async def view(request):
    return StreamingResponse(parts())

starlette = Starlette(routes=[Route("/stream", view)])

async def app(scope, receive, send):
    try:
        await starlette(scope, receive, send)
    except Exception as error:
        print("told:", error.__context__)
        raise
"""


def test_in_a_stream_that_goes_on(command: list[str], make_api: Make, run: Run) -> None:
    """Its next message is refused, with the reason; that this ends it is no error of its own."""
    environ = {"PENSTOCK_INVOKE_MODE": "response_stream", "PENSTOCK_LIFESPAN": "off"}

    async def main() -> None:
        async with make_api(ENDLESS, command, environ=environ) as api:
            pending = api.start(URL, streaming=True)
            await api.log.wait_for("streaming")
            await api.shut_down()
            with pytest.raises(FunctionFailed):
                await pending.payload()
            assert "told: the environment shuts down" in api.log.text
            assert "cut short, as the environment shuts down" in api.log.text
            assert "Traceback" not in api.log.text

    run(main())


STUBBORN = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.sleep(0.1)
        print("closing the pool")
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200})
    await ignore_the_end(send)

async def handler(event, context):
    await ignore_the_end(None)

async def ignore_the_end(send):
    print("begun", flush=True)
    while True:
        try:
            if send is not None:
                message = {"type": "http.response.body", "body": bytes(99_000), "more_body": True}
                await send(message)
            else:
                await asyncio.sleep(60)
        except OSError:
            print("nobody takes it", flush=True)
            send = None
        except asyncio.CancelledError:
            print("cancelled", flush=True)
"""


@pytest.mark.parametrize(
    ("slots", "processes"), [(None, 1), (3, 1), (4, 2)], ids=["one", "three", "two times two"]
)
@pytest.mark.parametrize("fault", [Hold(after_bytes=1000), Reset(after_bytes=1000)])
def test_a_stubborn_application_leaves_its_shutdown_time(
    make_api: Make, run: Run, fault: Any, slots: int | None, processes: int
) -> None:
    """It has a second where nobody takes its stream, but no longer than the environment."""
    environ = {"PENSTOCK_INVOKE_MODE": "response_stream", "PENSTOCK_PROCESSES": str(processes)}

    async def main() -> None:
        async with make_api(STUBBORN, environ=environ, concurrency=slots) as api:
            await api.ready()
            injection = api.inject("response", fault)
            api.start(URL, streaming=True)
            await injection.reached()
            await api.log.wait_for("begun")
            await api.shut_down()
            assert api.log.text.count("left behind, at") == 1
            assert api.log.text.count("closing the pool") == processes
            assert "the runtime is killed" not in api.log.text

    run(main())


@pytest.mark.parametrize("slots", [None, 3], ids=["one slot", "three slots"])
def test_a_stubborn_handler_is_left_behind(make_api: Make, run: Run, slots: int | None) -> None:
    environ = {"PENSTOCK_APP": "app:handler"}

    async def main() -> None:
        async with make_api(STUBBORN, environ=environ, concurrency=slots) as api:
            pending = api.start(None)
            await api.log.wait_for("begun")
            await api.shut_down()
            with pytest.raises(FunctionFailed, match="the environment shuts down"):
                await pending.result()
            assert "left behind, at" in api.log.text
            assert "the runtime is killed" not in api.log.text

    run(main())


def test_all_waits_after_the_signal_share_one_end() -> None:
    now = 100.0
    stop = StopSignal(lambda: now)
    assert stop.left_s() == INVOCATIONS_S
    now = 200.0
    stop.request()
    now += INVOCATIONS_S / 2
    stop.request()  # a second signal gives no more time
    assert stop.left_s() == pytest.approx(INVOCATIONS_S / 2)
    assert stop.grace_s == pytest.approx(INVOCATIONS_S / 6)
    assert stop.left_s(SHUTDOWN_S) == pytest.approx(SHUTDOWN_S - INVOCATIONS_S / 2)
    now += 60  # of code that blocks
    assert 0 < stop.left_s() == stop.left_s(SHUTDOWN_S) < INVOCATIONS_S


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


def test_in_a_stream_of_one_of_several_slots(make_api: Make, run: Run) -> None:
    environ = {"PENSTOCK_INVOKE_MODE": "response_stream"}

    async def main() -> None:
        async with make_api(APP, environ=environ, concurrency=3) as api:
            pending = [api.start(URL, streaming=True) for _ in range(2)]
            await asyncio.gather(*(one.begun() for one in pending))
            await api.shut_down()
            for one in pending:
                with pytest.raises(FunctionFailed) as raised:
                    await one.payload()
                assert "the environment shuts down" in raised.value.error.json()["errorMessage"]
            assert api.log.text.count("cancelled") == 2
            assert "closing the pool" in api.log.text

    run(main())
