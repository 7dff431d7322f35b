"""SIGTERM while ``before_freeze`` runs, which is code of the application like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from penstock.infra.gateway import ClientRequest, make_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.infra.runtime_api import LocalRuntimeAPI

    Make = Callable[..., LocalRuntimeAPI]
    Run = Callable[..., None]

APP = """
import asyncio
from penstock.adapter import LambdaAdapter

async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("closing the pool")
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/wait":
        print("waiting", flush=True)
        await asyncio.sleep(60)
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"all", "more_body": False})

async def hanging():
    print("flushing", flush=True)
    await asyncio.Event().wait()

async def stubborn():
    print("flushing", flush=True)
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass

app = LambdaAdapter(asgi, before_freeze=HOOK)
"""


@pytest.mark.parametrize("slots", [None, 3], ids=["one slot", "three slots"])
@pytest.mark.parametrize("mode", ["buffered", "response_stream"])
@pytest.mark.parametrize("path", ["/", "/wait"])
@pytest.mark.parametrize("hook", ["hanging", "stubborn"])
def test_a_hook_that_hangs_leaves_the_shutdown_its_time(
    make_api: Make, run: Run, slots: int | None, mode: str, path: str, hook: str
) -> None:
    """Whether the signal finds it under way, or the application before it."""
    code = APP.replace("HOOK", hook)
    environ = {"PENSTOCK_INVOKE_MODE": mode}

    async def main() -> None:
        async with make_api(code, environ=environ, concurrency=slots) as api:
            event = make_event("function-url", ClientRequest("GET", path))
            pending = api.start(event, streaming=mode != "buffered", request_id="hangs-1")
            await api.log.wait_for("waiting" if path == "/wait" else "flushing")
            await api.shut_down()
            if path == "/":
                assert b"all" in await pending.payload()
            line = await api.log.wait_for("request hangs-1: before_freeze failed")
            assert "was cancelled as the environment shuts down" in line.text
            if slots is None:  # lines in JSON have an error's own stack, and not that of its cause
                assert f"in {hook}" in api.log.text
            assert ("left behind" in api.log.text) is (hook == "stubborn")
            assert "closing the pool" in api.log.text
            assert "the runtime is killed" not in api.log.text

    run(main())
