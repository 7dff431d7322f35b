"""The status of a process that ends: 0 if Lambda has ended it, another if it is to replace it."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from runtime_process import STARTED

from penstock.infra.runtime_api import FunctionFailed, LocalRuntimeAPI, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    Run = Callable[[Coroutine[Any, Any, None]], None]
    Start = Callable[[LocalRuntimeAPI], Coroutine[Any, Any, asyncio.subprocess.Process]]

CODE = """
import asyncio, sys

def sync(event, context):
    sys.exit(event)

async def coroutine(event, context):
    sys.exit(event)

def interrupted(event, context):
    raise KeyboardInterrupt

async def application(scope, receive, send):
    if scope["type"] == "http":
        sys.exit(7)
    raise RuntimeError
"""


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start the runtime as a process of the test's own, which sees how it ends."""

    async def start(api: LocalRuntimeAPI) -> asyncio.subprocess.Process:
        (tmp_path / "app.py").write_text(CODE)
        environ = {**os.environ, **api.environ, "LAMBDA_TASK_ROOT": str(tmp_path)}
        return await asyncio.create_subprocess_exec(
            *STARTED, env=environ, stdout=asyncio.subprocess.DEVNULL
        )

    return start


def make_api(target: str, slots: int | None) -> LocalRuntimeAPI:
    return LocalRuntimeAPI(environ={"PENSTOCK_APP": f"app:{target}"}, concurrency=slots)


@pytest.mark.parametrize("target", ["sync", "coroutine"])
@pytest.mark.parametrize(
    ("code", "status"),
    [(4, 4), (0, 1), (None, 1), (256, 1), (259, 3), (-1, 255), ("no table", 1)],
)
def test_of_a_function_that_exits(
    run: Run, start: Start, slots: int | None, target: str, code: object, status: int
) -> None:
    """What os._exit takes of it, and never 0."""

    async def main() -> None:
        async with make_api(target, slots) as api:
            process = await start(api)
            await api.ready()
            with pytest.raises(FunctionFailed, match="SystemExit"):
                await api.invoke(code)
            assert await process.wait() == status

    run(main())


def test_of_a_function_that_is_interrupted(run: Run, start: Start, slots: int | None) -> None:
    async def main() -> None:
        async with make_api("interrupted", slots) as api:
            process = await start(api)
            await api.ready()
            with pytest.raises(FunctionFailed, match="KeyboardInterrupt"):
                await api.invoke(1)
            assert await process.wait() == 1

    run(main())


def test_of_an_application_that_exits(run: Run, start: Start, slots: int | None) -> None:
    async def main() -> None:
        async with make_api("application", slots) as api:
            process = await start(api)
            await api.ready()
            with pytest.raises(FunctionFailed, match="SystemExit"):
                await api.invoke({"httpMethod": "GET", "path": "/", "requestContext": {}})
            assert await process.wait() == 7

    run(main())


@pytest.mark.parametrize("target", ["sync", "coroutine", "application"])
def test_after_sigterm(run: Run, start: Start, slots: int | None, target: str) -> None:
    async def main() -> None:
        async with make_api(target, slots) as api:
            process = await start(api)
            await api.ready()
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0

    run(main())


def test_of_an_init_that_fails(run: Run, start: Start, slots: int | None) -> None:
    async def main() -> None:
        async with make_api("missing", slots) as api:
            process = await start(api)
            assert await process.wait() == 1
            assert api.init_error is not None
            assert api.init_error.error_type == "Runtime.HandlerNotFound"

    run(main())


@pytest.mark.parametrize("status", [403, 500])
def test_of_a_runtime_api_that_gives_no_events(
    run: Run, start: Start, slots: int | None, status: int
) -> None:
    async def main() -> None:
        api = make_api("sync", slots)
        api.inject("next", Status(status), times=9)
        async with api:
            process = await start(api)
            assert await process.wait() == 1

    run(main())


def test_of_a_runtime_api_that_is_gone(run: Run, start: Start, slots: int | None) -> None:
    async def main() -> None:
        async with make_api("sync", slots) as api:
            process = await start(api)
            await api.ready()
            async with api.refusing_connections():
                assert await process.wait() == 1

    run(main())


def test_of_a_runtime_api_that_is_gone_at_sigterm(
    run: Run, start: Start, slots: int | None
) -> None:
    """It tries for a second and a half to reach it, which the signal ends."""

    async def main() -> None:
        async with make_api("application", slots) as api:
            process = await start(api)
            await api.ready()
            async with api.refusing_connections():
                process.send_signal(signal.SIGTERM)
                assert await process.wait() == 0

    run(main())
