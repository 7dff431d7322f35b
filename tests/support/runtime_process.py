"""A function of a few lines, run in a process of its own behind the local Runtime API."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from penstock.infra.runtime_api import LocalRuntimeAPI

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

STARTED = [sys.executable, "-m", "penstock.adapter.runtime"]
"""The runtime as a process of its own, by command, wrapper or bootstrap."""

TAKEN_OVER = [sys.executable, "-m", "awslambdaric", "penstock.adapter.runtime.handler"]
"""The runtime in the process of AWS's client, as on managed runtimes."""

WAYS = {"started": STARTED, "taken over": TAKEN_OVER}
LIMIT_S = 60


def api_of(
    folder: Path, code: str, command: list[str], environ: dict[str, str] | None, **options: Any
) -> LocalRuntimeAPI:
    """The Runtime API of a function whose ``app.py`` has this code, and ``app`` in it."""
    (folder / "app.py").write_text(code)
    variables = {"PENSTOCK_APP": "app:app", **(environ or {})}
    # On a busy machine a slot may be on its way back to the Runtime API.
    options.setdefault("refuse_when_busy", False)
    return LocalRuntimeAPI(command, folder=folder, environ=variables, **options)


def run_limited(main: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine, for a minute at most."""

    async def limited() -> None:
        async with asyncio.timeout(LIMIT_S):
            await main

    asyncio.run(limited())
