"""What Lambda and API Gateway take at the most, and no byte less."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from penstock.infra.runtime_api import FunctionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from penstock.infra.runtime_api import LocalRuntimeAPI

    Run = Callable[[Coroutine[Any, Any, None]], None]
    Serve = Callable[..., LocalRuntimeAPI]
    Get = Callable[..., dict[str, Any]]

LIMIT = 6_291_556
LONG_HEADER = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError
    headers = [(b"x-long", b"x" * int(scope["path"].rpartition("/")[2]))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"whole"})
"""
RESULT = """
async def app(event, context):
    return "x" * (event - 2)
"""
RETURNS_LATE = """
import threading

late = threading.Event()

def app(event, context):
    if event == "wait":
        late.wait()
    if event == "go":
        late.set()
        late.clear()
    return event
"""


def test_of_a_prelude_behind_a_rest_api(
    serve: Serve, run: Run, get: Get, slots: int | None
) -> None:
    """API Gateway looks for its end in the first 16 KB, and answers 502 of its own otherwise."""

    async def main() -> None:
        async with serve(LONG_HEADER, streams=True, concurrency=slots) as api:
            statuses = []
            for length in (16_000, 17_000):
                payload = await api.start(get(f"/{length}", "rest-api"), streaming=True).payload()
                prelude, _, body = payload.partition(bytes(8))
                assert len(prelude) + 8 <= 16_384
                statuses.append((json.loads(prelude)["statusCode"], body == b"whole"))
            assert statuses == [(200, True), (502, False)]

    run(main())


def test_of_a_handlers_result(serve: Serve, run: Run, slots: int | None) -> None:
    async def main() -> None:
        async with serve(RESULT, concurrency=slots) as api:
            assert len(await api.start(LIMIT).payload()) == LIMIT
            with pytest.raises(FunctionFailed) as failed:
                await api.invoke(LIMIT + 1)
            assert failed.value.error.error_type == "Function.ResponseSizeTooLarge"

    run(main())


def test_a_thread_that_comes_back_counts_no_more_as_stuck(serve: Serve, run: Run) -> None:
    """Two slots, and one thread is stuck at a time: the process is never given up."""

    async def main() -> None:
        async with serve(RETURNS_LATE, concurrency=2) as api:
            for _ in range(3):
                with pytest.raises(FunctionFailed):
                    await api.invoke("wait", timeout_s=1)
                assert await api.invoke("go") == "go"
            assert "all threads are stuck" not in api.log.text

    run(main())
