"""Ordinary Lambda handlers on the runtime, and what they may answer."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from penstock.infra.runtime_api import FunctionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from penstock.infra.runtime_api import LocalRuntimeAPI

    Run = Callable[[Coroutine[Any, Any, None]], None]
    Serve = Callable[..., LocalRuntimeAPI]

SYNC = """
import asyncio, contextvars, decimal, os
seen = contextvars.ContextVar("seen", default=0)
def handle(event, context):
    if event == "loop":
        return asyncio.run(asyncio.sleep(0, "a loop of its own"))
    if event == "context":
        seen.set(seen.get() + 1)
        return seen.get()
    if event == "decimals":
        return {"price": [decimal.Decimal("1.10"), decimal.Decimal("12345678901234567890.5")]}
    if event == "bytes":
        return bytes(range(256))
    if event == "set":
        return {1, 2}
    if event in ("circle", "deep"):
        outer = inner = []
        for _ in range(100_000 if event == "deep" else 0):
            outer = [outer]
        inner.append(outer if event == "circle" else 1)
        return outer
    if event == "surrogate":
        return "\\ud800é"
    if event == "large":
        return "x" * 6_291_600
    if event == "trace":
        return os.environ.get("_X_AMZN_TRACE_ID")
    if event == "cancelled":
        raise asyncio.CancelledError
    if event == "exit":
        raise SystemExit(4)
    if event == "pid":
        return os.getpid()
    return event if isinstance(event, bytes) else [event]
app = handle
"""
ASYNC = SYNC + "\nasync def app(event, context):\n    return handle(event, context)\n"


@pytest.fixture(params=[SYNC, ASYNC], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest, serve: Serve, run: Run, slots: int | None) -> Any:
    """Return what the handler answers to some events, one after the other; errors as they are."""

    def ask(*events: Any, **options: Any) -> list[Any]:
        answers: list[Any] = []

        async def main() -> None:
            async with serve(request.param, concurrency=slots) as api:
                for event in events:
                    try:
                        answers.append(await api.start(event, **options).payload())
                    except FunctionFailed as failed:
                        answers.append(failed.error.error_type)

        run(main())
        return answers

    return ask


def test_json(ask: Any) -> None:
    """As short as it can be: Lambda takes so many bytes."""
    assert ask({"a": [1, None], "b": 2}, "é", 1.5) == [
        b'[{"a":[1,null],"b":2}]',
        '["é"]'.encode(),
        b"[1.5]",
    ]


def test_decimals_are_numbers(ask: Any) -> None:
    assert ask("decimals") == [b'{"price":[1.10,12345678901234567890.5]}']


def test_bytes_go_as_they_are(ask: Any) -> None:
    assert ask("bytes") == [bytes(range(256))]


def test_half_a_surrogate_pair_is_escaped(ask: Any) -> None:
    assert json.loads(ask("surrogate")[0]) == "\ud800é"


def test_context_variables_end_with_the_invocation(ask: Any) -> None:
    assert ask("context", "context") == [b"1", b"1"]


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ("set", "Runtime.MarshalError"),
        ("circle", "Runtime.MarshalError"),
        ("deep", "Runtime.MarshalError"),
        ("large", "Function.ResponseSizeTooLarge"),
    ],
)
def test_what_lambda_would_not_take(ask: Any, event: str, name: str) -> None:
    assert ask(event, 1) == [name, b"[1]"]


def test_a_cancellation_of_the_handlers_own_is_no_deadline(ask: Any) -> None:
    """Of a task that it has awaited, for example."""
    assert ask("cancelled", 1) == ["Function.CancelledError", b"[1]"]


def test_an_event_that_is_no_json(ask: Any) -> None:
    assert ask(None, payload=b"{") == ["Runtime.UnmarshalError"]
    assert ask(None, payload=b"1 2") == ["Runtime.UnmarshalError"]


def test_an_event_that_does_not_claim_to_be_json(ask: Any) -> None:
    assert ask(None, payload=b"\x00\xff", content_type="application/octet-stream") == [b"\x00\xff"]


def test_a_sync_handler_may_run_a_loop_of_its_own(
    serve: Serve, run: Run, slots: int | None
) -> None:
    async def main() -> None:
        async with serve(SYNC, concurrency=slots) as api:
            assert await api.invoke("loop") == "a loop of its own"

    run(main())


def test_the_trace_id_is_in_the_environment_of_who_is_alone(serve: Serve, run: Run) -> None:
    async def main() -> None:
        async with serve(SYNC) as api:
            assert await api.invoke("trace", trace_id="Root=1-2") == "Root=1-2"

    run(main())


def test_a_handler_that_exits_is_reported_and_its_process_replaced(serve: Serve, run: Run) -> None:
    async def main() -> None:
        async with serve(SYNC) as api:
            before = await api.invoke("pid")
            with pytest.raises(FunctionFailed, match="SystemExit"):
                await api.invoke("exit")
            while api.pid == before:  # noqa: ASYNC110 - the process tells nobody
                await asyncio.sleep(0.01)
            assert await api.invoke("pid") != before

    run(main())


def test_what_has_no_end_of_line_is_in_the_log_before_the_process_is_frozen(
    serve: Serve, run: Run
) -> None:
    code = "def app(event, context): print('half a line', end='')"

    async def main() -> None:
        async with serve(code, environ={"PENSTOCK_EXTENSION": "0"}) as api:
            await api.invoke(1)
            await api.ready()
            await api.shut_down()  # by SIGKILL, without the extension
            assert "half a line" in api.log.text

    run(main())
