"""The parent of several processes (PENSTOCK_PROCESSES): whom it starts anew, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.infra.runtime_api import LocalRuntimeAPI

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    Run = Callable[..., None]

COMMAND = """
import os, sys, time
from penstock.adapter.runtime import processes
from penstock.adapter.runtime.__main__ import main
{before}
main([])
"""

LIFESPAN = """
async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    print("closing the pool")
    await send({"type": "lifespan.shutdown.complete"})
"""
ONE_DIES = """
import asyncio, os

async def app(event, context):
    if event == "die":
        os._exit(7)
    print("at work", flush=True)
    await asyncio.sleep(60)
"""
IMPORTS_FOR_LONG = """
import time
print("importing", flush=True)
time.sleep(60)
"""
ONE_OF_TWO_FAILS = """
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: print("told to end", flush=True))
print("importing", flush=True)
while not os.path.exists("go"):
    time.sleep(0.01)
try:
    os.mkdir("first")
except FileExistsError:
    while not os.path.exists("end"):
        time.sleep(0.01)
os._exit(9)
"""


class Parent:
    """The process that the test has started, and what it has written."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.text = ""

    @property
    def pid(self) -> int:
        return self.process.pid

    async def says(self, text: str, times: int = 1) -> None:
        """Return when it has said that."""
        assert self.process.stdout is not None
        while self.text.count(text) < times:
            line = await self.process.stdout.readline()
            assert line, self.text
            self.text += line.decode()

    async def status(self) -> int:
        """Return the exit status, when all of them have ended."""
        assert self.process.stdout is not None
        self.text += (await self.process.stdout.read()).decode()
        return await self.process.wait()


@asynccontextmanager
async def started(
    folder: Path, code: str, before: str = "", **environ: str
) -> AsyncIterator[tuple[LocalRuntimeAPI, Parent]]:
    """Start two processes, which serve ``code``; ``before`` is run in their parent."""
    (folder / "app.py").write_text(code)
    variables = {"PENSTOCK_APP": "app:app", "PENSTOCK_PROCESSES": "2", **environ}
    async with LocalRuntimeAPI(environ=variables, concurrency=2, refuse_when_busy=False) as api:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            COMMAND.format(before=before),
            cwd=folder,
            env={**os.environ, **api.environ, "LAMBDA_TASK_ROOT": str(folder)},
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            yield api, Parent(process)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()


def test_it_passes_sigterm_on_and_ends_behind_the_others(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with started(tmp_path, LIFESPAN) as (api, parent):
            await api.ready()
            os.kill(parent.pid, signal.SIGTERM)
            assert await parent.status() == 0
            assert parent.text.count("closing the pool") == 2

    run(main())


def test_it_passes_sigterm_on_to_those_that_are_not_ready(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with started(tmp_path, IMPORTS_FOR_LONG) as (_, parent):
            await parent.says("importing", 2)
            os.kill(parent.pid, signal.SIGTERM)
            assert await parent.status() == 0

    run(main())


def test_one_that_was_never_ready_ends_the_environment_with_its_status(
    run: Run, tmp_path: Path
) -> None:
    """A SIGTERM that comes meanwhile does not hide it."""

    async def main() -> None:
        async with started(tmp_path, ONE_OF_TWO_FAILS) as (_, parent):
            await parent.says("importing", 2)
            (tmp_path / "go").touch()
            await parent.says("told to end")
            os.kill(parent.pid, signal.SIGTERM)
            (tmp_path / "end").touch()
            assert await parent.status() == 9
            assert parent.text.count("the environment ends with it") == 1
            assert "it is started again" not in parent.text

    run(main())


def test_three_short_lives_in_a_row_end_the_environment(run: Run, tmp_path: Path) -> None:
    """No life begins less than a second behind the one before it."""
    before = 'os.register_at_fork(before=lambda: print("fork at", time.monotonic(), flush=True))'

    async def main() -> None:
        async with started(tmp_path, ONE_DIES, before) as (api, parent):
            api.start("work")
            await parent.says("at work")
            for _ in range(3):
                api.start("die")  # as the other is at work, to the same one
            assert await parent.status() == 7
            assert parent.text.count("it is started again") == 2
            assert parent.text.count("the environment ends with it") == 1
            lines = [line for line in parent.text.splitlines() if line.startswith("fork at")]
            _, second, third, fourth = (float(line.split()[-1]) for line in lines)
            assert third - second > 0.5  # not 1: the first may be the one that died
            assert fourth - third > 0.9

    run(main())


def test_long_lives_have_no_end(run: Run, tmp_path: Path) -> None:
    """And nothing of those that have ended is left in their parent."""
    before = "processes.SHORT_LIFE_S = processes.PAUSE_S = 0.0"

    def descriptors(pid: int) -> int:
        return len(list(Path(f"/proc/{pid}/fd").iterdir())) if sys.platform == "linux" else 0

    async def main() -> None:
        async with started(tmp_path, ONE_DIES, before) as (api, parent):
            api.start("work")
            await parent.says("at work")
            at_first = descriptors(parent.pid)
            for _ in range(5):
                api.start("die")
            await parent.says("it is started again", 5)
            api.start("work")
            await parent.says("at work", 2)
            assert descriptors(parent.pid) == at_first
            os.kill(parent.pid, signal.SIGTERM)
            assert await parent.status() == 0
            assert "the environment ends with it" not in parent.text

    run(main())


def test_without_a_socket_their_log_stays_with_that_of_the_parent(run: Run, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    environ = {"_LAMBDA_TELEMETRY_LOG_FD_PROVIDER_SOCKET": missing}

    async def main() -> None:
        async with started(tmp_path, ONE_DIES, **environ) as (api, parent):
            await parent.says(f"{missing}: [Errno 2] No such file or directory; the log stays", 2)
            api.start("work")
            await parent.says("at work")

    run(main())
