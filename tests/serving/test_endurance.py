"""Many invocations, after which the process is as it was after the first thousand."""

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

APP = """
import asyncio, json, os, threading

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError
    path = scope["path"]
    body = b"x" * 1000
    if path == "/wait":
        await asyncio.sleep(0)
    if path == "/fail":
        raise ValueError
    if path == "/census":
        with open("/proc/self/statm") as file:
            memory = int(file.read().split()[1]) * 4096
        files = len(os.listdir("/proc/self/fd"))
        body = json.dumps([memory, files, len(asyncio.all_tasks()), threading.active_count()])
        body = body.encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""


@pytest.mark.parametrize("streams", [False, True], ids=["buffered", "streamed"])
def test_nothing_grows(serve: Serve, run: Run, get: Get, slots: int | None, streams: bool) -> None:
    at_once = slots or 1

    async def main() -> None:
        async with serve(APP, streams=streams, concurrency=slots, refuse_when_busy=False) as api:

            async def census() -> Any:
                data = b""
                async for chunk in api.invoke_stream(get("/census")):
                    data += chunk
                if streams:
                    return json.loads(data.rpartition(bytes(8))[2])
                return json.loads(json.loads(data)["body"])

            async def some(count: int) -> None:
                for number in range(count):
                    path = ("/", "/wait", "/", "/fail")[number % 4 if number % 100 < 4 else 0]
                    await api.start(get(path), streaming=streams).payload()

            await asyncio.gather(*(some(1000 // at_once) for _ in range(at_once)))
            memory, files, tasks, threads = await census()
            await asyncio.gather(
                *(some((3000 if streams else 9000) // at_once) for _ in range(at_once))
            )
            after = await census()
            assert after[0] - memory < 1 << 20
            assert after[2:] == [tasks, threads]
            assert after[1] <= files + 1  # a stream's connection may be on its way out

    run(main())
