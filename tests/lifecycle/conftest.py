from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from runtime_process import STARTED, WAYS, api_of, run_limited

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from penstock.infra.runtime_api import LocalRuntimeAPI


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
        return api_of(tmp_path, code, command, environ, **options)

    return make


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, None]], None]:
    return run_limited
