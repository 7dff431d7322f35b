"""What is left in memory of an invocation that is over."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from penstock.infra.runtime_api import LocalRuntimeAPI

    Run = Callable[[Coroutine[Any, Any, None]], None]
    Serve = Callable[..., LocalRuntimeAPI]
    Get = Callable[..., dict[str, Any]]

COUNT = """
import gc, json

def left():
    gc.collect()
    found = [type(thing).__name__ for thing in gc.get_objects()]
    names = ("Invocation", "EarlyCycle", "StreamingCycle", "Stream", "Connection")
    return {name: found.count(name) for name in names if name in found}
"""
HANDLER = (
    COUNT
    + """
async def app(event, context):
    return left()
"""
)
ADAPTER = (
    COUNT
    + """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(left()).encode()})
"""
)
WATCHED = (
    COUNT
    + """
import threading, time

def watch():
    while "Invocation" in left():
        time.sleep(0.01)
    print("there is none", flush=True)

def sync(event, context):
    threading.Thread(target=watch, daemon=True).start()

async def coroutine(event, context):
    sync(event, context)

async def application(scope, receive, send):
    sync(None, None)
    await send({"type": "http.response.start", "status": 204})
    await send({"type": "http.response.body"})
"""
)


def test_no_slot_keeps_an_event_while_it_waits_for_the_next(serve: Serve, run: Run) -> None:
    """Each of many slots could have megabytes of it."""

    async def main() -> None:
        async with serve(HANDLER, concurrency=4) as api:
            await asyncio.gather(*(api.invoke(number) for number in range(4)))
            await api.ready()
            assert (await api.invoke("last"))["Invocation"] == 1

    run(main())


@pytest.mark.parametrize("kind", ["sync", "coroutine", "application"])
def test_nothing_of_an_invocation_is_kept_while_the_process_waits(
    serve: Serve, run: Run, get: Get, slots: int | None, kind: str
) -> None:
    """A thread of the function sees that all of it has gone."""

    async def main() -> None:
        environ = {"PENSTOCK_APP": f"app:{kind}", "PENSTOCK_LIFESPAN": "off"}
        async with serve(WATCHED, environ=environ, concurrency=slots) as api:
            await api.start(get()).payload()
            await api.log.wait_for("there is none")

    run(main())


@pytest.mark.parametrize("streams", [False, True])
def test_nothing_of_a_request_is_kept(
    serve: Serve, run: Run, get: Get, slots: int | None, streams: bool
) -> None:
    """The watchdog, which sleeps up to the deadline of the first one, least of all."""

    async def main() -> None:
        async with serve(ADAPTER, streams=streams, concurrency=slots) as api:
            for _ in range(3):
                await api.start(get(), streaming=streams).payload()
                await api.ready()
            payload = await api.start(get(), streaming=streams).payload()
            body = payload.rpartition(bytes(8))[2] if streams else json.loads(payload)["body"]
            left = json.loads(body)
            # A connection for each slot; the stream of this one is not made yet.
            assert left.pop("Connection", 0) == (slots or 0)
            cycle = "StreamingCycle" if streams else "EarlyCycle"
            assert left == {"Invocation": 1, cycle: 1}

    run(main())
