"""What has not ended by the deadline: cancelled, left behind, or replaced with its process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from penstock.infra.runtime_api import FunctionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from penstock.infra.runtime_api import LocalRuntimeAPI

    Run = Callable[[Coroutine[Any, Any, None]], None]
    Serve = Callable[..., LocalRuntimeAPI]
    Get = Callable[..., dict[str, Any]]

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
