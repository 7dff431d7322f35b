from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from runtime_process import STARTED, api_of, run_limited

from penstock.infra.gateway import ClientRequest, make_event

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from penstock.infra.runtime_api import LocalRuntimeAPI


@pytest.fixture
def serve(tmp_path: Path) -> Callable[..., LocalRuntimeAPI]:
    """The runtime, serving ``app`` in this code, behind a Runtime API of our own."""

    def serve(
        code: str, *, environ: dict[str, str] | None = None, streams: bool = False, **options: Any
    ) -> LocalRuntimeAPI:
        if streams:
            environ = {**(environ or {}), "PENSTOCK_INVOKE_MODE": "response_stream"}
            options["invoke_mode"] = "response_stream"
        return api_of(tmp_path, code, STARTED, environ, **options)

    return serve


@pytest.fixture(params=[None, 3], ids=["one slot", "three slots"])
def slots(request: pytest.FixtureRequest) -> Any:
    """Classic Lambda, and Managed Instances."""
    return request.param


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, None]], None]:
    return run_limited


@pytest.fixture
def get() -> Callable[..., dict[str, Any]]:
    """Make the event of a GET request, of a Function URL unless said otherwise."""

    def get(target: str = "/", source: str = "function-url", method: str = "GET") -> dict[str, Any]:
        return make_event(source, ClientRequest(method, target))

    return get
