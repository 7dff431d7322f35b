from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import pytest

from penstock.infra.gateway import ClientRequest, make_event
from penstock.infra.runtime_api import LocalRuntimeAPI

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

COMMAND = [sys.executable, "-m", "penstock.adapter.runtime"]


@pytest.fixture
def serve(tmp_path: Path) -> Callable[..., LocalRuntimeAPI]:
    """The runtime, serving ``app`` in this code, behind a Runtime API of our own."""

    def serve(
        code: str, *, environ: dict[str, str] | None = None, streams: bool = False, **options: Any
    ) -> LocalRuntimeAPI:
        (tmp_path / "app.py").write_text(code)
        variables = {"PENSTOCK_APP": "app:app", **(environ or {})}
        if streams:
            variables["PENSTOCK_INVOKE_MODE"] = options["invoke_mode"] = "response_stream"
        # On a busy machine a slot may be on its way back to the Runtime API.
        options.setdefault("refuse_when_busy", False)
        return LocalRuntimeAPI(COMMAND, folder=tmp_path, environ=variables, **options)

    return serve


@pytest.fixture(params=[None, 3], ids=["one slot", "three slots"])
def slots(request: pytest.FixtureRequest) -> Any:
    """Classic Lambda, and Managed Instances."""
    return request.param


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, None]], None]:
    """Run a test's coroutine, for a minute at most."""

    def run(main: Coroutine[Any, Any, None]) -> None:
        async def within() -> None:
            async with asyncio.timeout(60):
                await main

        asyncio.run(within())

    return run


@pytest.fixture
def get() -> Callable[..., dict[str, Any]]:
    """Make the event of a GET request, of a Function URL unless said otherwise."""

    def get(target: str = "/", source: str = "function-url", method: str = "GET") -> dict[str, Any]:
        return make_event(source, ClientRequest(method, target))

    return get
