"""Managed Instances: many invocations at once, in one process or in several."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from runtime_process import STARTED, TAKEN_OVER, WAYS

from penstock.infra.runtime_api import FunctionFailed, LocalRuntimeAPI

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Make = Callable[..., LocalRuntimeAPI]
    Run = Callable[..., None]

MEETING = """
import asyncio, logging, os
logger = logging.getLogger("shop")
logger.setLevel("INFO")
here = 0
met = asyncio.Event()

async def app(event, context):
    global here
    here += 1
    logger.info("came %s", event["n"])
    if here == event["wait_for"]:
        met.set()
    await met.wait()
    logger.info("left %s", event["n"])
    return [event["n"], context.aws_request_id, os.getpid(), os.environ.get("_X_AMZN_TRACE_ID")]
"""

PROCESS = """
import os
async def app(event, context):
    if event.get("die"):
        os._exit(9)
    return os.getpid()
"""

LIFESPAN = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] != "lifespan":
        print("waiting")
        await asyncio.sleep(60)
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    print("closing the pool")
    await send({"type": "lifespan.shutdown.complete"})
"""


def test_invocations_meet_in_one_process_and_their_lines_do_not_mix(
    make_api: Make, run: Run
) -> None:
    async def main() -> None:
        async with make_api(MEETING, concurrency=16) as api:
            await api.ready()
            answers = await asyncio.gather(
                *(
                    api.invoke({"n": n, "wait_for": 16}, request_id=f"id-{n}", trace_id=f"Root={n}")
                    for n in range(16)
                )
            )
            assert list(range(16)) == [answer[0] for answer in answers]
            assert [f"id-{n}" for n in range(16)] == [answer[1] for answer in answers]
            assert 1 == len({answer[2] for answer in answers})
            assert {None} == {answer[3] for answer in answers}
            for n in range(16):
                for word in ("came", "left"):
                    line = json.loads((await api.log.wait_for(f'"{word} {n}"')).text)
                    assert (f"id-{n}", f"Root={n}") == (line["requestId"], line["traceId"])

    run(main())


def test_plain_handlers_meet_in_threads_and_their_lines_do_not_mix(
    make_api: Make, run: Run
) -> None:
    code = """
import logging, threading
met = threading.Barrier(4)
def app(event, context):
    met.wait()
    logging.warning("came %s", event["n"])
    return context.aws_request_id
"""

    async def main() -> None:
        async with make_api(code, concurrency=4) as api:
            for turn in range(2):
                await api.ready()
                ids = [f"id-{turn}-{n}" for n in range(4)]
                answers = [api.invoke({"n": name}, request_id=name) for name in ids]
                assert ids == await asyncio.gather(*answers)
                for name in ids:
                    line = json.loads((await api.log.wait_for(f"came {name}")).text)
                    assert name == line["requestId"]

    run(main())


@pytest.mark.parametrize("event", [None, {"httpMethod": "GET", "path": "/", "requestContext": {}}])
def test_sigterm_idle_and_in_flight(event: Any, make_api: Make, run: Run) -> None:
    async def main() -> None:
        async with make_api(LIFESPAN, concurrency=4) as api:
            await api.ready()
            if event:
                for _ in range(3):
                    api.start(event)
                await api.log.wait_for("waiting")
            await api.shut_down()
            assert "closing the pool" in api.log.text
            assert "the runtime is killed" not in api.log.text

    run(main())


def test_sigterm_costs_a_plain_handler_its_invocation_with_an_error(
    make_api: Make, run: Run
) -> None:
    code = """
import time
def stuck():
    print("stuck", flush=True)
    time.sleep(60)
def app(event, context):
    stuck()
"""

    async def main() -> None:
        async with make_api(code, concurrency=4, shutdown_s=10) as api:
            pending = api.start(1, request_id="stuck-1")
            await api.log.wait_for("stuck")
            await api.shut_down()
            with pytest.raises(FunctionFailed) as failed:
                await pending.payload()
            error = failed.value.error
            assert error.error_type == "Function.TimedOut"
            assert "the environment shuts down" in error.json()["errorMessage"]
            line = json.loads((await api.log.wait_for("the handler has not returned")).text)
            assert line["requestId"] == "stuck-1"
            assert "in stuck" in line["message"]
            assert "the runtime is killed" not in api.log.text

    run(main())


def test_what_a_slot_logs_between_two_invocations_is_of_neither(make_api: Make, run: Run) -> None:
    code = "async def app(event, context): return event"

    async def main() -> None:
        async with make_api(code, concurrency=2) as api:
            assert await api.invoke(1, request_id="before-1") == 1
            await api.ready()
            async with api.refusing_connections():
                line = json.loads((await api.log.wait_for("slot 1 of 2 ends")).text)
                assert not line.get("requestId")
                line = json.loads((await api.log.wait_for("slot 2 of 2 ends")).text)
                assert not line.get("requestId")

    run(main())


def test_taken_over_each_process_of_awss_client_serves_one(make_api: Make, run: Run) -> None:
    async def main() -> None:
        async with make_api(MEETING, TAKEN_OVER, concurrency=4) as api:
            await api.ready()
            answers = await asyncio.gather(
                *(api.invoke({"n": n, "wait_for": 1}, request_id=f"id-{n}") for n in range(4))
            )
            assert [f"id-{n}" for n in range(4)] == [answer[1] for answer in answers]
            assert len({answer[2] for answer in answers}) > 1

    run(main())


@pytest.mark.parametrize("way", ["started", "taken over"])
def test_processes_log_to_the_socket_that_lambda_has_for_them(
    way: str, make_api: Make, run: Run, tmp_path: Path
) -> None:
    environ = {
        "_LAMBDA_TELEMETRY_LOG_FD_PROVIDER_SOCKET": str(tmp_path / "socket"),
        "PENSTOCK_PROCESSES": "2",
    }
    lines: list[dict[str, Any]] = []

    readings: list[asyncio.Task[None] | None] = []

    async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        readings.append(asyncio.current_task())
        lines.extend([json.loads(line) async for line in reader])
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        server = await asyncio.start_unix_server(read, tmp_path / "socket")
        async with server, make_api(MEETING, WAYS[way], concurrency=2, environ=environ) as api:
            await api.ready()
            await asyncio.gather(
                *(api.invoke({"n": n, "wait_for": 1}, request_id=f"id-{n}") for n in range(2))
            )
            await api.shut_down()
            await asyncio.wait(filter(None, readings))
        assert 4 == len(readings)  # stdout and stderr of each
        left = {line["requestId"]: line["message"] for line in lines if "left" in line["message"]}
        assert {"id-0": "left 0", "id-1": "left 1"} == left
        assert "left" not in api.log.text

    run(main())


class TestProcesses:
    """PENSTOCK_PROCESSES."""

    @pytest.fixture
    def make(self, make_api: Make) -> Make:
        def make(code: str, processes: str = "2", **options: Any) -> LocalRuntimeAPI:
            return make_api(
                code, environ={"PENSTOCK_PROCESSES": processes}, concurrency=5, **options
            )

        return make

    def test_the_slots_are_shared_out(self, make: Make, run: Run) -> None:
        async def main() -> None:
            async with make(MEETING) as api:
                await api.ready()
                # Two processes with three and two slots: the events meet in each of them.
                events = [{"n": n, "wait_for": 2} for n in range(5)]
                answers = await asyncio.gather(*(api.invoke(event) for event in events))
                assert 2 == len({answer[2] for answer in answers})

        run(main())

    def test_one_that_ends_is_started_again(self, make: Make, run: Run) -> None:
        async def main() -> None:
            async with make(PROCESS) as api:
                await api.ready()
                before = {await api.invoke({}) for _ in range(10)}
                with pytest.raises(FunctionFailed):
                    await api.invoke({"die": True}, timeout_s=1)
                await api.log.wait_for("it is started again")
                await api.ready()
                after = {await api.invoke({}) for _ in range(20)}
                assert before != after
                assert api.pid not in before | after

        run(main())

    def test_sigterm_reaches_all_of_them(self, make: Make, run: Run) -> None:
        async def main() -> None:
            async with make(LIFESPAN) as api:
                await api.ready()
                assert api.pid is not None
                os.kill(api.pid, signal.SIGTERM)  # Lambda's goes to the whole group
                await api.shut_down()
                assert 2 == api.log.text.count("closing the pool")
                assert "the runtime is killed" not in api.log.text

        run(main())

    def test_processes_of_a_wrapper_script_are_none_of_them(
        self, make: Make, run: Run, tmp_path: Path
    ) -> None:
        """A script that starts an agent and then becomes the runtime leaves it its children."""
        agent = "{ read line < end-the-agent; echo the agent ends; }"
        script = f"mkfifo end-the-agent; {agent} & exec {' '.join(STARTED)}"

        async def main() -> None:
            async with make(PROCESS, command=["/bin/sh", "-c", script]) as api:
                await api.ready()
                before = {await api.invoke({}) for _ in range(10)}
                (tmp_path / "end-the-agent").write_text("now\n")
                await api.log.wait_for("the agent ends")
                with pytest.raises(FunctionFailed):
                    await api.invoke({"die": True}, timeout_s=1)
                await api.log.wait_for("it is started again")
                assert before & {await api.invoke({}) for _ in range(20)}

        run(main())

    def test_a_failure_of_init_ends_the_environment(self, make: Make, run: Run) -> None:
        async def main() -> None:
            async with make("raise LookupError('no such table')") as api:
                with pytest.raises(FunctionFailed) as raised:
                    await api.invoke({})
                assert "no such table" in raised.value.error.json()["errorMessage"]
                await api.log.wait_for("the environment ends with it")

        run(main())

    def test_more_than_there_are_slots_is_said_to_be_too_many(self, make: Make, run: Run) -> None:
        async def main() -> None:
            async with make(PROCESS, "9") as api:
                await api.ready()
                await api.log.wait_for("PENSTOCK_PROCESSES=9: expected at most one for each")
                assert api.pid != await api.invoke({})

        run(main())

    def test_a_classic_function_has_no_use_for_them(self, make_api: Make, run: Run) -> None:
        async def main() -> None:
            async with make_api(PROCESS, environ={"PENSTOCK_PROCESSES": "2"}) as api:
                await api.ready()
                assert api.pid == await api.invoke({})
                await api.log.wait_for("this process can have 1 ")

        run(main())

    @pytest.mark.parametrize("processes", ["many", "0", "-1"])
    def test_what_is_no_number_is_one(self, processes: str, make: Make, run: Run) -> None:
        async def main() -> None:
            async with make(PROCESS, processes) as api:
                await api.ready()
                assert api.pid == await api.invoke({})

        run(main())
