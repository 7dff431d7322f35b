"""The runtime's process: started, watched, replaced, frozen and stopped."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from penstock.infra.runtime_api import FunctionFailed, LocalRuntimeAPI

# A runtime in a few lines: takes events until it is told to do something else.
RUNTIME = """
import http.client, json, os, signal, struct, sys, time
base = "/2018-06-01/runtime"
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])

def ask(method, path, body=None, headers={}):
    api.request(method, path, body, headers)
    reply = api.getresponse()
    return reply.getheader("Lambda-Runtime-Aws-Request-Id"), reply.read(), reply

exec(os.environ.get("BEFORE", ""))
while True:
    request_id, body, reply = ask("GET", base + "/invocation/next")
    event = json.loads(body)
    answer = eval(event) if event else None
    ask("POST", f"{base}/invocation/{request_id}/response", json.dumps(answer))
"""
COMMAND = (sys.executable, "-c", RUNTIME)
REGISTER = """
register = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
register.request("POST", "/2020-01-01/extension/register", '{"events":[]}',
                 {"Lambda-Extension-Name": "mine"})
reply = register.getresponse()
reply.read()
register.request("GET", "/2020-01-01/extension/event/next", None,
                 {"Lambda-Extension-Identifier": reply.getheader("Lambda-Extension-Identifier")})
"""


async def test_it_finds_lambdas_environment_and_nothing_of_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("SECRET_OF_THIS_SHELL", "x")
    async with LocalRuntimeAPI(
        COMMAND, folder=tmp_path, handler="a.b", memory_mb=512, environ={"TEA": "green"}
    ) as api:
        found = await api.invoke("dict(os.environ)")
        assert api.environ.items() <= found.items()
        assert {"AWS_PROFILE", "SECRET_OF_THIS_SHELL"}.isdisjoint(found)
        assert {
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "LAMBDA_TASK_ROOT": str(tmp_path),
            "TEA": "green",
            "TZ": ":UTC",
            "_HANDLER": "a.b",
        }.items() <= found.items()
        assert await api.invoke("os.getcwd()") == str(tmp_path)
        assert await api.invoke("os.getpid()") == api.pid


async def test_its_output_is_kept_line_by_line() -> None:
    async with LocalRuntimeAPI(COMMAND) as api:
        await api.invoke("print('tea', flush=True), print('milk', file=sys.stderr, flush=True)")
        assert (await api.log.wait_for("tea")).source == "stdout"
        assert (await api.log.wait_for("milk")).source == "stderr"


async def test_a_framed_log_is_decoded() -> None:
    async with LocalRuntimeAPI(COMMAND, framed_log=True) as api:
        frame = "struct.pack('>IIQ', 0xA55A0016, 3, 1700) + b'tea'"
        descriptor = "int(os.environ['_LAMBDA_TELEMETRY_LOG_FD'])"
        await api.invoke(f"os.write({descriptor}, {frame})")
        record = await api.log.wait_for("tea")
        assert ("telemetry", "ERROR", "json", 1700) == (
            record.source,
            record.level,
            record.kind,
            record.timestamp_us,
        )


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("sys.exit(3)", "exit status 3"),
        ("sys.exit(0)", "without providing a reason"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "signal: killed"),
        ("os.abort()", "signal: aborted"),
    ],
)
async def test_when_it_ends_the_invocation_fails_and_the_next_starts_it_again(
    code: str, reason: str
) -> None:
    async with LocalRuntimeAPI(COMMAND) as api:
        first = await api.invoke("os.getpid()")
        with pytest.raises(FunctionFailed, match=reason) as failed:
            await api.invoke(code)
        assert failed.value.error.error_type == "Runtime.ExitError"
        assert await api.invoke("os.getpid()") != first


async def test_at_the_deadline_the_whole_process_group_is_killed() -> None:
    async with LocalRuntimeAPI(COMMAND, timeout_s=30) as api:
        child = "__import__('subprocess').Popen(['sleep', '1000'])"
        child_pid = await api.invoke(f"globals().setdefault('child', {child}).pid")
        pid = api.pid
        pending = api.start("print('sleeping', flush=True) or time.sleep(1000)")
        await api.log.wait_for("sleeping")
        pending.expire()
        with pytest.raises(FunctionFailed, match="Task timed out"):
            await pending.result()
        assert await api.invoke("os.getpid()") != pid
        while _state(child_pid) not in {"Z", "gone"}:  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.01)


def _state(pid: int) -> str:
    """The letter of a process's state, such as T when it has been stopped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "gone"


async def test_a_command_that_is_not_there_fails_the_invocation() -> None:
    async with LocalRuntimeAPI(["/no/such/command"]) as api:
        with pytest.raises(FunctionFailed, match=r"Runtime\.InvalidEntrypoint"):
            await api.invoke({})


async def test_one_that_ends_in_its_initialisation_fails_the_invocation() -> None:
    async with LocalRuntimeAPI(COMMAND, environ={"BEFORE": "sys.exit(7)"}) as api:
        for _ in range(2):
            with pytest.raises(FunctionFailed, match="exit status 7"):
                await api.invoke("1")


async def test_an_initialisation_that_takes_too_long_begins_again_in_the_invocation(
    tmp_path: Path,
) -> None:
    mark = tmp_path / "mark"
    before = f"os.path.exists({str(mark)!r}) or open({str(mark)!r}, 'w') and time.sleep(1000)"
    async with LocalRuntimeAPI(COMMAND, environ={"BEFORE": before}, init_limit_s=0.5) as api:
        assert await api.invoke("1") == 1
        assert "INIT_REPORT" in api.log.text


async def test_the_second_initialisation_has_the_functions_time_only() -> None:
    async with LocalRuntimeAPI(
        COMMAND, environ={"BEFORE": "time.sleep(1000)"}, init_limit_s=0.1, timeout_s=0.2
    ) as api:
        with pytest.raises(FunctionFailed, match=r"Task timed out after 0\.20 seconds"):
            await api.invoke("1")


class TestShutdown:
    SAY = "signal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), os._exit(0)))"

    async def test_without_an_extension_it_is_killed(self) -> None:
        async with LocalRuntimeAPI(COMMAND, environ={"BEFORE": self.SAY}) as api:
            await api.ready()
        assert "bye" not in api.log.text

    async def test_with_an_extension_it_gets_sigterm(self) -> None:
        before = f"{REGISTER}\n{self.SAY}"
        async with LocalRuntimeAPI(COMMAND, environ={"BEFORE": before}, shutdown_s=30) as api:
            await api.ready()
        assert "bye" in api.log.text
        assert "killed" not in api.log.text

    async def test_one_that_does_not_go_is_killed(self) -> None:
        before = f"{REGISTER}\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)"
        async with LocalRuntimeAPI(COMMAND, environ={"BEFORE": before}, shutdown_s=0.05) as api:
            await api.ready()
        assert "the runtime is killed" in api.log.text

    async def test_its_answer_in_flight_fails(self) -> None:
        async with LocalRuntimeAPI(COMMAND) as api:
            pending = api.start("print('sleeping', flush=True) or time.sleep(1000)")
            await api.log.wait_for("sleeping")
            await api.shut_down()
            with pytest.raises(FunctionFailed, match="signal: killed"):
                await pending.result()


async def test_between_invocations_it_is_frozen_if_wanted() -> None:
    before = """
import threading
count = [0]
def tick():
    while True:
        count[0] += 1
        time.sleep(0.001)
threading.Thread(target=tick, daemon=True).start()
"""
    async with LocalRuntimeAPI(COMMAND, environ={"BEFORE": before}, freeze=True) as api:
        pending = api.start("count[0]")
        await pending.result()
        await pending.ended()
        assert api.pid is not None
        while _state(api.pid) != "T":  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0)
        assert await api.invoke("os.getpid()") == api.pid


async def test_it_may_be_closed_before_the_process_has_begun() -> None:
    async with LocalRuntimeAPI(COMMAND) as api:
        pass
    assert api.pid is None


async def test_nothing_is_left_behind() -> None:
    async with LocalRuntimeAPI(COMMAND) as api:
        await api.invoke("1")
        pid = api.pid
        assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
