"""AWS's own emulator of Managed Instances: many invocations at once for one runtime.

Its paths and its user are fixed, so it runs in a mount namespace of its own, which takes root.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from emulator import free_ports
from fetch_emulator import fetch_emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Deploy = Callable[..., AbstractContextManager[tuple[str, Path]]]

ADAPTER = Path(__file__).parents[2] / "adapter"
SLOTS = 8
USER = 993
"""Whom the emulator runs the function as."""

START_SECONDS = 20

APP = """
import asyncio, os

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("closing the pool")
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/meet":
        # The processes have only files in common.
        open(f"/var/task/met/{os.getpid()}-{id(scope)}", "w").close()
        while len(os.listdir("/var/task/met")) < SLOTS:
            await asyncio.sleep(0.01)
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""

BOOTSTRAP = """#!/bin/sh
exec {python} -c '
import sys
sys.path.insert(0, "/var/task")
from penstock.adapter.runtime.__main__ import main
main([])
'
"""

# "$1": what to lay out as /var/task and /var/runtime; then the command.
NAMESPACE = """
set -e
mkdir -p /var/task /var/runtime
mount -t tmpfs tmpfs /var/task
mount -t tmpfs tmpfs /var/runtime
cp -R "$1"/task/. /var/task
cp -R "$1"/runtime/. /var/runtime
mkdir -m 777 /var/task/met
chmod -R a+rX /var/task /var/runtime
cd /var/task
shift
exec "$@"
"""


def find_python() -> str | None:
    """Return a Python that the emulator's user can run; those in root's home are none."""
    probe = "import sys; sys.exit(sys.version_info < (3, 11))"
    for python in (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3"):
        with suppress(OSError):
            command = [os.path.realpath(python), "-c", probe]
            if not subprocess.run(command, user=USER, cwd="/", check=False).returncode:
                return command[0]
    return None


if not hasattr(os, "geteuid") or os.geteuid() != 0:
    pytest.skip("needs root", allow_module_level=True)
if shutil.which("unshare") is None:
    pytest.skip("needs the command unshare", allow_module_level=True)
PYTHON = find_python()
pytestmark = pytest.mark.skipif(
    PYTHON is None, reason=f"needs a Python that user {USER} may run, in none of root's own folders"
)


@pytest.fixture
def deploy(tmp_path: Path) -> Deploy:
    """Run the application with so many slots: ``with deploy() as (url, log)``."""
    (tmp_path / "task").mkdir()
    (tmp_path / "runtime").mkdir()
    (tmp_path / "task" / "app.py").write_text(f"SLOTS = {SLOTS}\n{APP}")
    shutil.copytree(
        ADAPTER,
        tmp_path / "task" / "penstock" / "adapter",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    bootstrap = tmp_path / "runtime" / "bootstrap"
    bootstrap.write_text(BOOTSTRAP.format(python=PYTHON))
    bootstrap.chmod(0o755)
    log = tmp_path / "log"

    @contextmanager
    def deploy(**environment: str) -> Iterator[tuple[str, Path]]:
        port, runtime_port = free_ports()
        variables = {
            "PATH": os.environ["PATH"],
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
            "AWS_LAMBDA_FUNCTION_NAME": "penstock-example",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_MAX_CONCURRENCY": str(SLOTS),
            "AWS_REGION": "us-east-1",
            "LAMBDA_TASK_ROOT": "/var/task",
            "PENSTOCK_APP": "app:app",
            **environment,
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    *("unshare", "--mount", "sh", "-c", NAMESPACE, "sh", str(tmp_path)),
                    *(fetch_emulator(), f"--runtime-api-address=127.0.0.1:{runtime_port}"),
                    f"--runtime-interface-emulator-address=127.0.0.1:{port}",
                ],
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_for(log, "Internal agent registered")
            yield f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations", log
        finally:
            process.terminate()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    return deploy


def wait_for(log: Path, text: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while text not in log.read_text(errors="replace"):
        if time.monotonic() > deadline:
            msg = f"{text!r} did not come:\n{log.read_text(errors='replace')}"
            raise TimeoutError(msg)
        time.sleep(0.01)


def invoke(url: str, path: str) -> str:
    """Return the process that served the invocation; for ``/meet``, once all slots are in it."""
    event = {"httpMethod": "GET", "path": path, "requestContext": {"stage": "prod"}}
    request = urllib.request.Request(
        url, json.dumps(event).encode(), {"Content-Type": "application/json"}
    )
    deadline = time.monotonic() + START_SECONDS
    while True:
        with suppress(urllib.error.HTTPError):  # refused: the slots are not there yet
            answer = json.loads(urllib.request.urlopen(request, timeout=20).read())
            assert answer["statusCode"] == 200
            return str(answer["body"])
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("processes", [1, 2])
def test_all_slots_are_served_at_once(processes: int, deploy: Deploy) -> None:
    with deploy(PENSTOCK_PROCESSES=str(processes)) as (url, log):
        with ThreadPoolExecutor(SLOTS) as pool:
            served = list(pool.map(invoke, [url] * SLOTS, ["/meet"] * SLOTS))
        share = SLOTS // processes
        assert processes == len(set(served))
        assert [share] * processes == [served.count(process) for process in set(served)]
    assert processes == log.read_text(errors="replace").count("closing the pool")
