"""What an application does when its response is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from penstock.infra.runtime_api import LocalRuntimeAPI

    Run = Callable[[Coroutine[Any, Any, None]], None]
    Serve = Callable[..., LocalRuntimeAPI]
    Get = Callable[..., dict[str, Any]]

BACKGROUND = """
import asyncio, os
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def work():
    while not os.path.exists("answer-seen"):
        await asyncio.sleep(0.01)
    print("work is done", flush=True)

async def page(request):
    return PlainTextResponse("hello", background=BackgroundTask(work))

app = Starlette(routes=[Route("/", page)])
"""


@pytest.mark.parametrize("streams", [False, True])
def test_the_answer_does_not_wait_for_it(
    serve: Serve, run: Run, get: Get, tmp_path: Path, slots: int | None, streams: bool
) -> None:
    """It waits for a file that is made when the answer has come."""

    async def main() -> None:
        async with serve(BACKGROUND, streams=streams, concurrency=slots) as api:
            pending = api.start(get(), streaming=streams)
            assert b"hello" in await pending.payload()
            assert "work is done" not in api.log.text
            (tmp_path / "answer-seen").touch()
            await pending.ended()
            await api.log.wait_for("work is done")
            assert "cut short" not in api.log.text

    run(main())


def test_it_is_cut_at_the_deadline(serve: Serve, run: Run, get: Get, slots: int | None) -> None:
    async def main() -> None:
        async with serve(BACKGROUND, concurrency=slots) as api:
            pending = api.start(get(), timeout_s=1)
            assert (await pending.result())["body"] == "hello"
            await api.log.wait_for("work after the response was cut at the deadline")

    run(main())


def test_an_error_in_it_is_logged_and_the_answer_stays(
    serve: Serve, run: Run, get: Get, slots: int | None
) -> None:
    code = BACKGROUND.replace("while not", "raise ValueError('too late')\n    while not")

    async def main() -> None:
        environ = {"PENSTOCK_RAISE_ERRORS": "1"}
        async with serve(code, concurrency=slots, environ=environ) as api:
            assert (await api.invoke(get()))["body"] == "hello"
            await api.log.wait_for("too late")
            assert (await api.invoke(get()))["body"] == "hello"

    run(main())


def test_a_task_factory_of_the_application_stays(
    serve: Serve, run: Run, get: Get, slots: int | None
) -> None:
    code = """
import asyncio

def factory(loop, coroutine, **options):
    return asyncio.Task(coroutine, loop=loop, **options)

async def app(scope, receive, send):
    loop = asyncio.get_running_loop()
    if scope["type"] == "lifespan":
        await receive()
        loop.set_task_factory(factory)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    status = 200 if loop.get_task_factory() is factory else 500
    await send({"type": "http.response.start", "status": status})
    await send({"type": "http.response.body"})
"""

    async def main() -> None:
        async with serve(code, concurrency=slots) as api:
            assert (await api.invoke(get()))["statusCode"] == 200

    run(main())


@pytest.mark.parametrize("way", ["handler", "application", "at_once"])
def test_tasks_left_behind_are_logged_and_not_awaited(
    serve: Serve, run: Run, get: Get, slots: int | None, way: str
) -> None:
    code = """
import asyncio
tasks = []
async def never(): await asyncio.Event().wait()
async def briefly(): await asyncio.sleep(0)
def leave():
    if not tasks:
        tasks.append(asyncio.create_task(never()))
async def handler(event, context):
    await asyncio.create_task(briefly())
    leave()
    return "answered"
async def application(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError
    await asyncio.create_task(briefly())
    await at_once(scope, receive, send)
async def at_once(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError
    leave()
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"answered"})
"""

    async def main() -> None:
        environ = {"PENSTOCK_APP": f"app:{way}"}
        async with serve(code, concurrency=slots, environ=environ) as api:
            assert b"answered" in await api.start(get(), request_id="leaves-1").payload()
            await api.log.wait_for("request leaves-1: left a task behind")
            pending = api.start(get(), request_id="leaves-2")
            assert b"answered" in await pending.payload()
            await pending.ended()
            assert api.log.text.count("left a task behind") == 1

    run(main())


def test_tasks_of_the_start_up_are_not_left_behind(
    serve: Serve, run: Run, get: Get, slots: int | None
) -> None:
    """A pool that looks after its connections, say."""
    code = """
import asyncio

async def look_after():
    while True:
        await asyncio.sleep(0.01)

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        caretaker = asyncio.create_task(look_after())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await asyncio.sleep(0)
    await send({"type": "http.response.start", "status": 204})
    await send({"type": "http.response.body"})
"""

    async def main() -> None:
        async with serve(code, concurrency=slots) as api:
            pending = api.start(get())
            assert (await pending.result())["statusCode"] == 204
            await pending.ended()
            assert "left a task behind" not in api.log.text

    run(main())
