"""A Runtime API that fails costs one invocation at most, and is never passed over in silence."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from penstock.infra.runtime_api import Close, FunctionFailed, Hold, Raw, Reset, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from penstock.infra.runtime_api import LocalRuntimeAPI

    Run = Callable[[Coroutine[Any, Any, None]], None]
    Serve = Callable[..., LocalRuntimeAPI]

ECHO = "import os\ndef app(event, context): return [event, os.getpid()]"
LONG = "x" * 300_000


@pytest.mark.parametrize(
    "fault",
    [
        Reset(),
        Close(),
        Close(after_bytes=100_000),
        Reset(after_bytes=100_000),
        Raw(b"nonsense\r\n\r\n"),
        Raw(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"),
        Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
    ],
    ids=str,
)
def test_an_event_that_does_not_arrive_whole_is_asked_for_again(
    serve: Serve, run: Run, slots: int | None, fault: Any
) -> None:
    async def main() -> None:
        api = serve(ECHO, concurrency=slots)
        api.inject("next", fault)
        async with api:
            pending = [api.start([n, LONG]) for n in range(slots or 1)]
            for n, one in enumerate(pending):
                try:
                    answer = await one.result()
                except FunctionFailed:
                    if slots is None:
                        raise
                    continue  # Managed Instances give an event out once: its invoker is told
                assert answer[0] == [n, LONG]
            await api.ready()
            assert (await api.invoke(LONG))[0] == LONG

    run(main())


def test_an_api_that_is_away_for_a_moment(serve: Serve, run: Run, slots: int | None) -> None:
    async def main() -> None:
        async with serve(ECHO, concurrency=slots) as api:
            first = await api.invoke(1)
            await api.ready()
            async with api.refusing_connections():
                await asyncio.sleep(0.2)  # longer than tries without a pause would take
            # Until it has come back, Managed Instances have no place for an invocation.
            assert [2, first[1]] == await answered(api, 2)
            await api.shut_down()  # of which the extension, lost and back, is told
            assert "the runtime is killed" not in api.log.text

    run(main())


async def answered(api: LocalRuntimeAPI, event: Any) -> Any:
    """Return the answer, asked for until there is a place for the invocation."""
    while True:
        try:
            return await api.invoke(event)
        except FunctionFailed as failed:
            if failed.error.error_type != "Runtime.Unavailable":
                raise
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("status", [202, 403, 500])
def test_an_api_that_gives_no_events_ends_the_process(serve: Serve, run: Run, status: int) -> None:
    async def main() -> None:
        async with serve(ECHO) as api:
            before = (await api.invoke(1))[1]
            await api.ready()
            api.inject("next", Status(status))
            api.drop_connections()
            await api.log.wait_for(f"got {status}")
            assert (await api.invoke(2))[1] != before

    run(main())


def test_a_slot_that_gets_no_events_ends_alone(serve: Serve, run: Run) -> None:
    async def main() -> None:
        api = serve(ECHO, concurrency=2)
        api.inject("next", Status(403))
        async with api:
            record = await api.log.wait_for("got 403")
            assert "of 2 ends" in record.text
            answers = [await api.invoke(n) for n in range(3)]
            assert answers == [[n, api.pid] for n in range(3)]

    run(main())


def test_an_api_that_is_gone_ends_the_process(serve: Serve, run: Run, slots: int | None) -> None:
    async def main() -> None:
        async with serve(ECHO, concurrency=slots) as api:
            before = (await api.invoke(1))[1]
            async with api.refusing_connections():
                record = await api.log.wait_for("this process ends: no event from the Runtime API")
            assert "ConnectionRefusedError" in record.text
            assert (await answered(api, 2))[1] != before

    run(main())


@pytest.mark.parametrize("status", [200, 403, 410, 413, 500])
@pytest.mark.parametrize("early", [False, True])
def test_a_refused_answer_is_logged_and_costs_no_other(
    serve: Serve, run: Run, slots: int | None, status: int, early: bool
) -> None:
    async def main() -> None:
        async with serve(ECHO, concurrency=slots) as api:
            before = (await api.invoke(1))[1]
            api.inject("response", Status(status, early=early))
            with pytest.raises(FunctionFailed):
                await api.invoke(LONG * 10, request_id="refused-1")
            record = await api.log.wait_for(f"got {status}")
            assert "refused-1" in record.text
            assert "this fault was asked for" in record.text
            assert [2, before] == await api.invoke(2)

    run(main())


def test_a_refusal_that_is_no_text_costs_no_other(
    serve: Serve, run: Run, slots: int | None
) -> None:
    refusal = b"HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\nno \xff"

    async def main() -> None:
        async with serve(ECHO, concurrency=slots) as api:
            before = (await api.invoke(1))[1]
            api.inject("response", Raw(refusal))
            with pytest.raises(FunctionFailed):
                await api.invoke(2)
            await api.log.wait_for("got 500 no \N{REPLACEMENT CHARACTER}")
            assert [3, before] == await api.invoke(3)

    run(main())


@pytest.mark.parametrize("fault", [Reset(), Close(), Reset(after_bytes=100_000)], ids=str)
def test_an_answer_that_is_torn_is_logged_and_costs_no_other(
    serve: Serve, run: Run, slots: int | None, fault: Any
) -> None:
    async def main() -> None:
        async with serve(ECHO, concurrency=slots) as api:
            before = (await api.invoke(1))[1]
            api.inject("response", fault)
            with pytest.raises(FunctionFailed):
                await api.invoke(LONG, request_id="torn-1")
            record = await api.log.wait_for("expected 202")
            assert "torn-1" in record.text
            assert [2, before] == await api.invoke(2)

    run(main())


def test_a_connection_that_breaks_while_the_function_works(
    serve: Serve, run: Run, slots: int | None, tmp_path: Path
) -> None:
    """The answer goes over another one."""
    code = """
import os, time
def app(event, context):
    print("at work", flush=True)
    while not os.path.exists("broken"):
        time.sleep(0.01)
    return "answer"
"""

    async def main() -> None:
        async with serve(code, concurrency=slots) as api:
            pending = api.start(1)
            await api.log.wait_for("at work")
            api.drop_connections()
            (tmp_path / "broken").touch()
            assert await pending.result() == "answer"

    run(main())


def test_a_slow_api_is_waited_for(serve: Serve, run: Run, slots: int | None) -> None:
    async def main() -> None:
        async with serve(ECHO, concurrency=slots) as api:
            hold = api.inject("response", Hold(after_bytes=1000))
            pending = api.start(LONG * 10)
            await hold.reached()
            hold.release()
            assert (await pending.result())[0] == LONG * 10

    run(main())


def test_an_error_report_that_is_refused_is_logged(
    serve: Serve, run: Run, slots: int | None
) -> None:
    code = "def app(event, context): return 1 / event"

    async def main() -> None:
        async with serve(code, concurrency=slots) as api:
            api.inject("error", Status(410))
            with pytest.raises(FunctionFailed):
                await api.invoke(0)
            await api.log.wait_for("expected 202, got 410")
            assert await api.invoke(1) == 1

    run(main())


def test_an_error_is_reported_with_its_type_and_stack(
    serve: Serve, run: Run, slots: int | None
) -> None:
    code = "def app(event, context): return 1 / event"

    async def main() -> None:
        async with serve(code, concurrency=slots) as api:
            with pytest.raises(FunctionFailed) as failed:
                await api.invoke(0)
            error = failed.value.error
            assert error.error_type == "Function.ZeroDivisionError"
            assert error.json()["errorType"] == "ZeroDivisionError"
            assert "in app" in error.json()["stackTrace"][0]
            assert await api.invoke(1) == 1

    run(main())
