from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import pytest

from penstock.infra.runtime_api import LocalRuntimeAPI

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

STARTED = [sys.executable, "-m", "penstock.adapter.runtime"]
"""The runtime as a process of its own, by command, wrapper or bootstrap."""

TAKEN_OVER = [sys.executable, "-m", "awslambdaric", "penstock.adapter.runtime.handler"]
"""The runtime in the process of AWS's client, as on managed runtimes."""

WAYS = {"started": STARTED, "taken over": TAKEN_OVER}


@pytest.fixture(params=WAYS)
def command(request: pytest.FixtureRequest) -> list[str]:
    if request.param == "taken over" and sys.platform != "linux":
        pytest.skip("AWS's client is for Linux only")
    return WAYS[request.param]


@pytest.fixture
def make_api(tmp_path: Path) -> Callable[..., LocalRuntimeAPI]:
    """Make the Runtime API of a function whose ``app.py`` has this code."""

    def make(
        code: str,
        command: list[str] = STARTED,
        *,
        environ: dict[str, str] | None = None,
        **options: Any,
    ) -> LocalRuntimeAPI:
        (tmp_path / "app.py").write_text(code)
        variables = {"PENSTOCK_APP": "app:app", **(environ or {})}
        # On a busy machine a slot may be on its way back to the Runtime API.
        options.setdefault("refuse_when_busy", False)
        return LocalRuntimeAPI(command, folder=tmp_path, environ=variables, **options)

    return make


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, None]], None]:
    """Run a test's coroutine, for 30 seconds at most."""

    def run(main: Coroutine[Any, Any, None]) -> None:
        async def within() -> None:
            async with asyncio.timeout(30):
                await main

        asyncio.run(within())

    return run
