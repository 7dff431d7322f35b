"""What has not ended by the deadline: cancelled, left behind, or replaced with its process."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from penstock.infra.runtime_api import FunctionFailed, Raw

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from penstock.infra.runtime_api import LocalRuntimeAPI

    Run = Callable[[Coroutine[Any, Any, None]], None]
    Serve = Callable[..., LocalRuntimeAPI]
    Get = Callable[..., dict[str, Any]]

WITHOUT = """
import asyncio, json, logging

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError
    await asyncio.sleep(0.01)
    left_s = scope["aws.context"].get_remaining_time_in_millis() / 1000
    ours = scope["extensions"]["penstock"]["deadline"]
    logging.warning("has an hour: %s", left_s > 3600 and ours > asyncio.get_running_loop().time())
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body"})
    logging.warning("has answered")
"""
START = """
import asyncio, os, time

def done(): return os.getpid()
"""
CANCELLED = """
async def app(event, context):
    if event == "wait":
        await asyncio.sleep(60)
    return done()
"""
SWALLOWS = """
async def app(event, context):
    while event == "wait":
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass
    return done()
"""
BLOCKS = """
def stuck():
    time.sleep(60)

async def app(event, context):
    if event == "wait":
        stuck()
    return done()
"""
BLOCKS_ALONE = BLOCKS.replace("async def app", "def app")


async def ended(api: LocalRuntimeAPI, process: int) -> None:
    """Return when the process has ended."""
    while api.pid == process:  # noqa: ASYNC110 - the process tells nobody
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("code", "says"),
    [(CANCELLED, "TimedOut"), (SWALLOWS, "ignored its cancellation")],
    ids=["cancelled", "swallows"],
)
def test_a_coroutine_costs_its_own_invocation(
    serve: Serve, run: Run, slots: int | None, code: str, says: str
) -> None:
    async def main() -> None:
        async with serve(START + code, concurrency=slots) as api:
            before = await api.invoke("go")
            with pytest.raises(FunctionFailed) as failed:
                await api.invoke("wait", timeout_s=1)
            assert failed.value.error.error_type == "Function.TimedOut"
            if "blocked up to the deadline" in api.log.text:
                return  # a busy machine has used up the 25 ms before the process is given up
            await api.log.wait_for(says)
            assert await api.invoke("go") == before

    run(main())


@pytest.mark.parametrize("code", [BLOCKS, BLOCKS_ALONE], ids=["async", "sync"])
def test_code_that_blocks_is_logged_with_its_stack_and_the_process_replaced(
    serve: Serve, run: Run, code: str
) -> None:
    async def main() -> None:
        async with serve(START + code) as api:
            before = await api.invoke("go")
            with pytest.raises(FunctionFailed) as failed:
                await api.invoke("wait", timeout_s=1, request_id="stuck-1")
            # Lambda's own word for it, if a busy machine takes the last 50 ms for something else.
            assert failed.value.error.error_type in {"Function.TimedOut", "Sandbox.Timedout"}
            await api.log.wait_for("request stuck-1: blocked")
            await api.log.wait_for("in stuck")
            assert await api.invoke("go") != before

    run(main())


def test_a_blocked_loop_of_several_slots_is_replaced(serve: Serve, run: Run) -> None:
    async def main() -> None:
        async with serve(START + BLOCKS, concurrency=3) as api:
            before = await api.invoke("go")
            with pytest.raises(FunctionFailed):
                await api.invoke("wait", timeout_s=1)
            await api.log.wait_for("in stuck")
            await ended(api, before)
            assert await api.invoke("go") != before

    run(main())


def test_threads_are_left_behind_until_none_is_left(serve: Serve, run: Run) -> None:
    async def main() -> None:
        async with serve(START + BLOCKS_ALONE, concurrency=2) as api:
            before = await api.invoke("go")
            for _ in range(2):
                assert await api.invoke("go") == before
                with pytest.raises(FunctionFailed):
                    await api.invoke("wait", timeout_s=1)
            await api.log.wait_for("in stuck")
            await api.log.wait_for("all threads are stuck")
            await ended(api, before)
            assert await api.invoke("go") != before

    run(main())


def test_an_application_gets_a_disconnect_and_its_client_a_504(
    serve: Serve, run: Run, get: Get, slots: int | None
) -> None:
    code = """
async def app(scope, receive, send):
    await receive()
    print("then", (await receive())["type"], flush=True)
    import asyncio
    await asyncio.sleep(60)
"""

    async def main() -> None:
        async with serve(code, concurrency=slots, environ={"PENSTOCK_LIFESPAN": "off"}) as api:
            assert (await api.invoke(get(), timeout_s=1))["statusCode"] == 504
            await api.log.wait_for("then http.disconnect")

    run(main())


@pytest.mark.parametrize("deadline", [None, "", "soon"])
def test_no_deadline_is_no_deadline(
    serve: Serve, run: Run, get: Get, slots: int | None, deadline: str | None
) -> None:
    """Neither the application nor the process is ended, and what cannot be read is warned of."""
    event = json.dumps(get()).encode()
    header = "" if deadline is None else f"Lambda-Runtime-Deadline-Ms: {deadline}\r\n"
    odd = (
        f"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: odd-1\r\n{header}"
        f"Content-Length: {len(event)}\r\n\r\n"
    ).encode() + event

    async def main() -> None:
        api = serve(WITHOUT, concurrency=slots)
        api.inject("next", Raw(odd), times=2)
        async with api:
            await api.log.wait_for("has answered")
            # This API knows nothing of the request, which says that it was answered.
            await api.log.wait_for("request odd-1: POST /2018-06-01/runtime/invocation/odd-1/resp")
            assert (await api.invoke(get()))["statusCode"] == 200
            text = api.log.text
            assert "has an hour: True" in text
            assert text.count("expected milliseconds of the epoch") == (deadline == "soon")
            assert "blocked" not in text

    run(main())
