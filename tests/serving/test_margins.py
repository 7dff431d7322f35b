"""The last moments before a deadline: what is still to be answered is, and others go on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from penstock.infra.runtime_api import Hold, Raw

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from penstock.infra.runtime_api import LocalRuntimeAPI

    Run = Callable[[Coroutine[Any, Any, None]], None]
    Serve = Callable[..., LocalRuntimeAPI]
    Get = Callable[..., dict[str, Any]]

SLEEPS = """
import asyncio

async def app(scope, receive, send):
    await asyncio.sleep(60)
"""
ANSWERS = """
    await send({"type": "http.response.start", "status": 204})
    await send({"type": "http.response.body"})
"""
SWALLOWS = """
import asyncio

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass
"""
PROCESS = "import os\nasync def app(event, context): return os.getpid()"


@pytest.mark.parametrize("margin", ["0.03", "0.1"])
def test_a_short_margin_is_enough_for_the_answer(
    serve: Serve, run: Run, get: Get, slots: int | None, margin: str
) -> None:
    environ = {"PENSTOCK_LIFESPAN": "off", "PENSTOCK_DEADLINE_MARGIN": margin}

    async def main() -> None:
        async with serve(SLEEPS, environ=environ, concurrency=slots) as api:
            assert (await api.invoke(get(), timeout_s=1))["statusCode"] == 504
            await api.log.wait_for("no response before the deadline")
            assert "blocked" not in api.log.text

    run(main())


def test_a_margin_longer_than_the_time_that_is_left_leaves_half_of_it(
    serve: Serve, run: Run, get: Get, slots: int | None
) -> None:
    environ = {
        "PENSTOCK_LIFESPAN": "off",
        "PENSTOCK_DEADLINE_MARGIN": "60",
        "PENSTOCK_STREAM_DEADLINE_MARGIN": "60",
    }

    async def main() -> None:
        code = SLEEPS.replace("60", "0.1") + ANSWERS
        async with serve(code, environ=environ, concurrency=slots) as api:
            assert (await api.invoke(get(), timeout_s=4))["statusCode"] == 204

    run(main())


def test_an_event_that_comes_behind_its_deadline_costs_no_process(serve: Serve, run: Run) -> None:
    code = """
import os, time

def app(event, context):
    time.sleep(0.1)
    print("served", event, context.get_remaining_time_in_millis(), flush=True)
    return os.getpid()
"""
    late = (
        b"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: late-1\r\n"
        b'Lambda-Runtime-Deadline-Ms: 1000\r\nContent-Length: 6\r\n\r\n"late"'
    )

    async def main() -> None:
        api = serve(code)
        api.inject("next", Raw(late))
        async with api:
            await api.log.wait_for("served late 0")
            assert await api.invoke("next") == api.pid
            assert "blocked" not in api.log.text

    run(main())


def test_a_stream_is_left_behind_within_its_own_margin(
    serve: Serve, run: Run, get: Get, slots: int | None
) -> None:
    environ = {
        "PENSTOCK_LIFESPAN": "off",
        "PENSTOCK_DEADLINE_MARGIN": "0.6",
        "PENSTOCK_STREAM_DEADLINE_MARGIN": "0.2",
    }

    async def main() -> None:
        async with serve(SWALLOWS, environ=environ, streams=True, concurrency=slots) as api:
            pending = api.start(get(), streaming=True, timeout_s=1)
            with pytest.raises(Exception, match=r"Function\.TimeoutError"):
                await pending.payload()
            await api.log.wait_for("ignored its cancellation")
            assert "blocked" not in api.log.text

    run(main())


def test_an_api_that_is_slow_to_take_an_answer_costs_no_other_slot(serve: Serve, run: Run) -> None:
    """The deadline of that answer passes, and the others are served by the same process."""

    async def main() -> None:
        async with serve(PROCESS, concurrency=2) as api:
            before = await api.invoke(1)
            hold = api.inject("response", Hold(after_bytes=1))
            pending = api.start(2, timeout_s=1, request_id="slow-1")
            await hold.reached()
            record = await api.log.wait_for("request slow-1: ")
            assert (
                "the Runtime API has not taken the answer: the deadline came first" in record.text
            )
            assert await api.invoke(3) == before
            hold.release()
            pending.abandon()
            await api.ready()
            assert set(await asyncio.gather(api.invoke(4), api.invoke(5))) == {before}

    run(main())


def test_an_api_that_is_slow_to_take_a_stream_costs_no_slot(
    serve: Serve, run: Run, get: Get
) -> None:
    code = f"async def app(scope, receive, send):{ANSWERS}"
    environ = {"PENSTOCK_LIFESPAN": "off"}

    async def main() -> None:
        async with serve(code, environ=environ, streams=True, concurrency=2) as api:
            hold = api.inject("response", Hold(after_bytes=1))
            pending = api.start(get(), streaming=True, timeout_s=1, request_id="slow-1")
            await hold.reached()
            record = await api.log.wait_for("request slow-1: ")
            assert "has not taken the answer: the deadline came first" in record.text
            hold.release()
            pending.abandon()
            await api.ready()  # with both slots

    run(main())
