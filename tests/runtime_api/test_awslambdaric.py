"""AWS's own Python client takes the local Runtime API for the real one."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from penstock.infra.runtime_api import FunctionFailed, Hold, LocalRuntimeAPI, ThreadedRuntimeAPI

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytest.importorskip("awslambdaric")

COMMAND = (sys.executable, "-m", "awslambdaric", "app.handler")
APP = """
import json, logging, os, sys, time

def handler(event, context):
    return globals()[event["do"]](event, context)

def echo(event, context):
    return event

def facts(event, context):
    return {
        "request_id": context.aws_request_id,
        "arn": context.invoked_function_arn,
        "memory": context.memory_limit_in_mb,
        "tenant": context.tenant_id,
        "cognito": context.identity.cognito_identity_id,
        "client": context.client_context.custom,
        "left": context.get_remaining_time_in_millis(),
        "trace": os.environ.get("_X_AMZN_TRACE_ID"),
    }

def raw(event, context):
    return bytes(range(256))

def fail(event, context):
    raise ValueError("no tea")

def leave(event, context):
    sys.exit(3)

def sleep(event, context):
    print("sleeping", flush=True)
    time.sleep(1000)

def large(event, context):
    return "x" * event["size"]

def log(event, context):
    print("printed")
    logging.getLogger().warning("logged")
    return os.getpid()
"""


@pytest.fixture
def folder(app: Callable[[str], Path]) -> Path:
    return app(APP)


async def test_events_and_answers_of_any_size(folder: Path) -> None:
    async with LocalRuntimeAPI(COMMAND, folder=folder) as api:
        for size in (0, 1000, 5_000_000):
            event = {"do": "echo", "text": "é" * (size // 2)}
            assert await api.invoke(event) == event


async def test_the_context(folder: Path) -> None:
    async with LocalRuntimeAPI(COMMAND, folder=folder, memory_mb=512, timeout_s=20) as api:
        facts = await api.invoke(
            {"do": "facts"},
            request_id="r-1",
            trace_id="Root=1-2-3",
            tenant_id="blue",
            cognito_identity={"cognitoIdentityId": "i", "cognitoIdentityPoolId": "p"},
            client_context='{"custom":{"a":"b"}}',
        )
    assert 0 < facts.pop("left") <= 20_000
    assert facts == {
        "request_id": "r-1",
        "arn": "arn:aws:lambda:us-east-1:123456789012:function:local",
        "memory": "512",
        "tenant": "blue",
        "cognito": "i",
        "client": {"a": "b"},
        "trace": "Root=1-2-3",
    }


async def test_an_answer_of_bytes(folder: Path) -> None:
    async with LocalRuntimeAPI(COMMAND, folder=folder) as api:
        pending = api.start({"do": "raw"})
        assert await pending.payload() == bytes(range(256))
        assert pending.content_type == "application/unknown"


async def test_errors(folder: Path) -> None:
    async with LocalRuntimeAPI(COMMAND, folder=folder) as api:
        with pytest.raises(FunctionFailed) as failed:
            await api.invoke({"do": "fail"})
        assert failed.value.error.error_type == "Runtime.Unknown"
        body = failed.value.error.json()
        assert ("ValueError", "no tea") == (body["errorType"], body["errorMessage"])
        assert await api.invoke({"do": "echo"}) == {"do": "echo"}


async def test_the_process_may_exit_or_run_out_of_time(folder: Path) -> None:
    async with LocalRuntimeAPI(COMMAND, folder=folder) as api:
        with pytest.raises(FunctionFailed, match=r"Runtime\.ExitError.*exit status 3"):
            await api.invoke({"do": "leave"})
        pending = api.start({"do": "sleep"})
        await api.log.wait_for("sleeping")
        pending.expire()
        with pytest.raises(FunctionFailed, match=r"Sandbox\.Timedout"):
            await pending.result()
        assert await api.invoke({"do": "echo"}) == {"do": "echo"}


async def test_an_answer_that_is_too_long(folder: Path) -> None:
    async with LocalRuntimeAPI(COMMAND, folder=folder) as api:
        text = await api.invoke({"do": "large", "size": 6_291_556 - 2})
        assert len(text) == 6_291_554
        with pytest.raises(FunctionFailed, match=r"Function\.ResponseSizeTooLarge"):
            await api.invoke({"do": "large", "size": 6_291_556})
        # AWS's client ends its process when it is refused, and Lambda starts another.
        assert await api.invoke({"do": "echo"}) == {"do": "echo"}


@pytest.mark.parametrize(
    ("source", "error_type"),
    [
        ("import nothing_of_this_name", "Runtime.ImportModuleError"),
        ("def handler(:", "Runtime.UserCodeSyntaxError"),
        ("x = 1", "Runtime.HandlerNotFound"),
    ],
)
async def test_a_module_that_cannot_be_loaded(
    app: Callable[[str], Path], source: str, error_type: str
) -> None:
    async with LocalRuntimeAPI(COMMAND, folder=app(source)) as api:
        for _ in range(2):
            with pytest.raises(FunctionFailed) as failed:
                await api.invoke({})
            assert error_type == failed.value.error.error_type
            assert error_type == failed.value.error.json()["errorType"]


@pytest.mark.parametrize("log_format", ["TEXT", "JSON"])
async def test_its_framed_log(folder: Path, log_format: str) -> None:
    async with LocalRuntimeAPI(
        COMMAND, folder=folder, framed_log=True, log_format=log_format
    ) as api:
        await api.invoke({"do": "log"})
        record = await api.log.wait_for("logged")
        level = "WARN" if log_format == "JSON" else None
        assert ("telemetry", level) == (record.source, record.level)
        assert log_format.lower() == record.kind
        assert (await api.log.wait_for("printed")).source in {"stdout", "telemetry"}


async def test_snapstart(app: Callable[[str], Path]) -> None:
    source = """
from snapshot_restore_py import register_after_restore, register_before_snapshot
seen = []
register_before_snapshot(lambda: seen.append("before"))
register_after_restore(lambda: seen.append("after"))
def handler(event, context):
    return seen
"""
    async with LocalRuntimeAPI(COMMAND, folder=app(source), snap_start=True) as api:
        await api.ready()
        await api.restore(lose_sockets=True)
        assert await api.invoke({}) == ["before", "after"]


async def test_many_slots_are_many_processes(folder: Path) -> None:
    async with LocalRuntimeAPI(COMMAND, folder=folder, concurrency=3) as api:
        await api.ready()
        pending = [api.start({"do": "log"}) for _ in range(3)]
        pids = {await one.result() for one in pending}
        assert len(pids) == 3
        await api.ready()
        with pytest.raises(FunctionFailed, match="no tea"):
            await api.invoke({"do": "fail"})


async def test_the_log_socket_of_many_slots(folder: Path) -> None:
    async with LocalRuntimeAPI(COMMAND, folder=folder, concurrency=2, framed_log=True) as api:
        await api.ready()
        await api.invoke({"do": "log"}, request_id="r-1")
        record = await api.log.wait_for("logged")
        assert record.source == "telemetry"
        assert json.loads(record.text)["requestId"] == "r-1"


def test_from_a_thread_of_its_own(folder: Path) -> None:
    with ThreadedRuntimeAPI(COMMAND, folder=folder) as local:
        local.ready(timeout_s=20)
        assert local.invoke({"do": "echo"}) == {"do": "echo"}
        assert b"".join(local.stream({"do": "raw"})) == bytes(range(256))
        with pytest.raises(FunctionFailed, match="no tea"):
            local.invoke({"do": "fail"})
        hold = local.inject("response", Hold())
        with ThreadPoolExecutor() as threads:
            answer = threads.submit(local.invoke, {"do": "echo"})
            local.run(hold.reached(), timeout_s=20)
            assert not answer.done()
            local.call(hold.release)
            assert answer.result() == {"do": "echo"}


def test_a_thread_that_cannot_start_says_why() -> None:
    options: dict[str, Any] = {"no_such_option": 1}
    with pytest.raises(TypeError, match="no_such_option"):
        ThreadedRuntimeAPI(**options).__enter__()
