"""Several invocations at once in one process, as on Managed Instances."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from penstock.infra.runtime_api import FunctionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from penstock.infra.runtime_api import LocalRuntimeAPI

    Run = Callable[[Coroutine[Any, Any, None]], None]
    Serve = Callable[..., LocalRuntimeAPI]
    Get = Callable[..., dict[str, Any]]

SLOTS = 16
APP = """
import asyncio, contextvars, json, logging, os
from penstock.adapter import LambdaAdapter

everybody = asyncio.Barrier(16)
mine = contextvars.ContextVar("mine", default="nobody")

async def asgi(scope, receive, send):
    before = mine.get()
    mine.set(scope["query_string"].decode())
    await everybody.wait()
    logging.error("from %s", mine.get())
    body = json.dumps([before, mine.get(), scope["aws.context"].aws_request_id,
        scope["aws.context"].trace_id, os.getpid(), os.environ.get("_X_AMZN_TRACE_ID")])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body.encode()})

app = LambdaAdapter(asgi, lifespan="off")
"""
ASYNC = """
import asyncio
everybody = asyncio.Barrier(16)
async def app(event, context):
    await everybody.wait()
    return [event, context.aws_request_id]
"""
SYNC = """
import asyncio, threading
everybody = threading.Barrier(16)
def app(event, context):
    everybody.wait()
    assert asyncio.get_event_loop() is not None
    return [event, context.aws_request_id]
"""


def test_invocations_run_at_once_and_know_nothing_of_each_other(
    serve: Serve, run: Run, get: Get
) -> None:
    """None would end if one waited for another to end first."""

    async def main() -> None:
        async with serve(APP, concurrency=SLOTS) as api:
            for _ in range(2):  # the second time, each slot has served before
                await api.ready()
                pending = [
                    api.start(get(f"/?n{n}"), request_id=f"id-{n}", trace_id=f"Root=1-{n}")
                    for n in range(SLOTS)
                ]
                answers = [json.loads((await one.result())["body"]) for one in pending]
                assert {answer[4] for answer in answers} == {api.pid}
                for n, answer in enumerate(answers):
                    assert answer[:4] == ["nobody", f"n{n}", f"id-{n}", f"Root=1-{n}"]
                    assert answer[5] is None
                await asyncio.gather(*(one.ended() for one in pending))
            for n in range(SLOTS):
                record = json.loads((await api.log.wait_for(f'"from n{n}"')).text)
                assert record["requestId"] == f"id-{n}"

    run(main())


@pytest.mark.parametrize("code", [ASYNC, SYNC], ids=["async", "sync"])
def test_ordinary_handlers_run_at_once(serve: Serve, run: Run, code: str) -> None:
    async def main() -> None:
        async with serve(code, concurrency=SLOTS) as api:
            pending = [api.start(n, request_id=f"id-{n}") for n in range(SLOTS)]
            for n, one in enumerate(pending):
                assert await one.result() == [n, f"id-{n}"]

    run(main())


def test_a_failure_is_one_invocations_own(serve: Serve, run: Run) -> None:
    code = ASYNC.replace("return [", "assert event != 7\n    return [")

    async def main() -> None:
        async with serve(code, concurrency=SLOTS) as api:
            pending = [api.start(n) for n in range(SLOTS)]
            for n, one in enumerate(pending):
                if n == 7:
                    with pytest.raises(FunctionFailed, match="AssertionError"):
                        await one.result()
                else:
                    assert (await one.result())[0] == n

    run(main())


def test_others_end_before_a_process_that_is_told_to(serve: Serve, run: Run) -> None:
    code = """
import asyncio, sys
leaving = asyncio.Event()
async def app(event, context):
    if event == "exit":
        leaving.set()
        sys.exit(3)
    await leaving.wait()
    await asyncio.sleep(0.05)
    return "ended"
"""

    async def main() -> None:
        async with serve(code, concurrency=3) as api:
            other = api.start("other")
            with pytest.raises(FunctionFailed, match="SystemExit"):
                await api.invoke("exit")
            assert await other.result() == "ended"
            while api.pid is not None:  # noqa: ASYNC110 - the process tells nobody
                await asyncio.sleep(0.01)

    run(main())


def test_a_slot_that_ends_by_an_error_of_the_runtime_is_logged(serve: Serve, run: Run) -> None:
    """Here: the machine has no more threads, of which the watchdog wants one."""
    code = """
import threading

def refuse(thread):
    raise RuntimeError("can't start new thread")

threading.Thread.start = refuse

async def app(event, context): ...
"""

    async def main() -> None:
        async with serve(code, concurrency=2) as api:
            await api.ready()
            api.start(1)
            record = await api.log.wait_for("of 2 ends")
            assert json.loads(record.text)["errorMessage"] == "can't start new thread"

    run(main())
