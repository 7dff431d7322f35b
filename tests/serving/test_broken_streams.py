"""Streams that come to no good end: nobody is left waiting, and no event is served twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from penstock.infra.runtime_api import FunctionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from penstock.infra.runtime_api import LocalRuntimeAPI

    Run = Callable[[Coroutine[Any, Any, None]], None]
    Serve = Callable[..., LocalRuntimeAPI]
    Get = Callable[..., dict[str, Any]]

APP = """
import asyncio, os, resource, sys

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError
    path = scope["path"]
    print("served", path, flush=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if path == "/full":
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        await send({"type": "http.response.start", "status": 200})
        if path == "/at-once":
            while not os.path.exists("refused"):
                await asyncio.sleep(0.01)
            parts = [{"type": "http.response.body", "body": b"x", "more_body": True}] * 3
            ends = await asyncio.gather(*map(send, parts), return_exceptions=True)
            print("broken:", [isinstance(end, OSError) for end in ends], flush=True)
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        if path == "/exit":
            sys.exit(3)
        pid = str(os.getpid()).encode()
        await send({"type": "http.response.body", "body": pid, "more_body": path == "/exit-after"})
        if path == "/exit-after":
            await send({"type": "http.response.body"})
            sys.exit(4)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
"""


async def read(pending: Any) -> tuple[bytes, Any]:
    """Return the body, and the error behind it."""
    data, error = b"", None
    try:
        async for chunk in pending.chunks():
            data += chunk
    except FunctionFailed as failed:
        error = failed.error
    return data.partition(bytes(8))[2], error


@pytest.mark.parametrize(
    ("path", "ends_with"), [("/exit", "Function.SystemExit"), ("/exit-after", None)]
)
def test_an_application_that_exits_ends_its_stream_and_then_the_process(
    serve: Serve, run: Run, get: Get, slots: int | None, path: str, ends_with: str | None
) -> None:
    async def main() -> None:
        async with serve(APP, streams=True, concurrency=slots) as api:
            before, _ = await read(api.start(get("/"), streaming=True))
            body, error = await read(api.start(get(path), streaming=True))
            assert body.startswith(b"begun")
            assert (error and error.error_type) == ends_with
            await api.log.wait_for("SystemExit")
            assert "blocked" not in api.log.text
            # An event that is on its way to another slot is still served by the process that ends.
            while (await read(api.start(get("/"), streaming=True)))[0] == before:
                pass

    run(main())


def test_a_stream_that_cannot_be_opened_is_an_error_and_the_event_is_served_once(
    serve: Serve, run: Run, get: Get, slots: int | None
) -> None:
    """The application has taken the last file descriptor."""

    async def main() -> None:
        async with serve(APP, streams=True, concurrency=slots) as api:
            await read(api.start(get("/"), streaming=True))  # all modules are there from now on
            pending = api.start(get("/full"), streaming=True)
            body, error = await read(pending)
            assert body == b""
            report = json.loads(error.body)
            assert report["errorType"] == "InterruptedError"
            assert "there is no connection for it" in report["errorMessage"]
            assert report["requestId"] == pending.request_id
            body, error = await read(api.start(get("/"), streaming=True))
            assert (body[:5], error) == (b"begun", None)
            assert api.log.text.count("served /full") == 1

    run(main())


def test_all_that_send_to_a_stream_that_cannot_be_opened_are_told(
    serve: Serve, run: Run, get: Get, slots: int | None, tmp_path: Path
) -> None:
    async def main() -> None:
        async with serve(APP, streams=True, concurrency=slots) as api:
            api.start(get("/at-once"), streaming=True)
            await api.log.wait_for("served /at-once")
            async with api.refusing_connections():
                (tmp_path / "refused").touch()
                await api.log.wait_for("broken: [True, True, True]")

    run(main())
