"""The init phase: what fails in it reaches Lambda with its type, and the log with its stack."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from runtime_process import STARTED

from penstock.infra.runtime_api import Close, FunctionFailed, LocalRuntimeAPI, Reset, Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Make = Callable[..., LocalRuntimeAPI]
    Run = Callable[..., None]

HTTP = {"httpMethod": "GET", "path": "/", "requestContext": {"stage": "prod"}}

STARTS = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["started"] = "in init"
        await send({"type": "lifespan.startup.complete"})
        await receive()
    else:
        body = scope["state"]["started"].encode()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": body})
"""

FAILURES: dict[str, tuple[str, str, str, str]] = {
    "import": (
        "import nothing_like_it",
        "Runtime.ImportModuleError",
        "Unable to import module 'app': No module named 'nothing_like_it'",
        "import nothing_like_it",
    ),
    "syntax": (
        "def app(:\n    pass",
        "Runtime.UserCodeSyntaxError",
        "Syntax error in module 'app'",
        "def app(:",
    ),
    "attribute": (
        "application = 1",
        "Runtime.HandlerNotFound",
        "Handler 'app' missing on module 'app'",
        "",
    ),
    "raising": (
        "def connect():\n    raise LookupError('no such table')\nconnect()",
        "Function.LookupError",
        "no such table",
        "in connect",
    ),
    "attribute error in the module": (
        "import os\nos.nothing_like_it",
        "Function.AttributeError",
        "nothing_like_it",
        "os.nothing_like_it",
    ),
    "exit": ("import sys\nsys.exit(3)", "Function.SystemExit", "3", "sys.exit(3)"),
    "start-up": (
        (
            "async def app(scope, receive, send):\n"
            "    await receive()\n"
            "    await send({'type': 'lifespan.startup.failed', 'message': 'the database is away'})"
        ),
        "Function.LifespanError",
        "the database is away",
        "",
    ),
    "start-up that must be": (
        (
            "from penstock.adapter import LambdaAdapter\n"
            "async def start(scope, receive, send):\n"
            "    raise OSError('no route to the database')\n"
            "app = LambdaAdapter(start, lifespan='on')"
        ),
        "Function.LifespanError",
        "no route to the database",
        "raise OSError('no route to the database')",
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_is_reported_and_logged(
    failure: str, command: list[str], make_api: Make, run: Run
) -> None:
    code, kind, message, in_stack = FAILURES[failure]

    async def main() -> None:
        async with make_api(code, command) as api:
            with pytest.raises(FunctionFailed) as raised:
                await api.invoke(HTTP)
            error = raised.value.error
            details = error.json()
            assert kind == error.error_type
            assert message in details["errorMessage"]
            assert {"errorMessage", "errorType", "requestId", "stackTrace"} == details.keys()
            assert in_stack in "".join(details["stackTrace"])
            record = await api.log.wait_for("[ERROR]")
            assert message in record.text
            assert "Handler 'handler' missing" not in api.log.text

    run(main())


def test_the_application_starts_in_the_init_phase(
    command: list[str], make_api: Make, run: Run
) -> None:
    async def main() -> None:
        async with make_api(STARTS, command) as api:
            await api.ready()
            assert "in init" == (await api.invoke(HTTP))["body"]

    run(main())


def test_without_a_target_it_is_said_which_variable_is_missing(
    command: list[str], make_api: Make, run: Run
) -> None:
    async def main() -> None:
        name = "penstock.adapter.runtime.handler"
        async with make_api("", command, handler=name, environ={"PENSTOCK_APP": ""}) as api:
            with pytest.raises(FunctionFailed) as raised:
                await api.invoke(HTTP)
            assert "Runtime.MalformedHandlerName" == raised.value.error.error_type
            assert "PENSTOCK_APP=app:app" in raised.value.error.json()["errorMessage"]

    run(main())


@pytest.mark.parametrize(
    ("code", "target", "factory", "expected"),
    [
        ("def answer(event, context): return context.aws_request_id", "app.answer", "", "id"),
        ("async def answer(event, context): return event['n'] + 1", "app:answer", "", 3),
        (
            f"{STARTS}\ndef make(): return app",
            "app:make",
            "1",
            "http",
        ),
    ],
    ids=["handler", "async handler", "factory"],
)
def test_targets(
    code: str,
    target: str,
    factory: str,
    expected: Any,
    command: list[str],
    make_api: Make,
    run: Run,
) -> None:
    environ = {"PENSTOCK_APP": target, "PENSTOCK_FACTORY": factory}

    async def main() -> None:
        async with make_api(code, command, environ=environ) as api:
            event = HTTP if expected == "http" else {"n": 2}
            answer = await api.invoke(event, request_id="id")
            if expected == "http":
                assert "in init" == answer["body"]
            else:
                assert expected == answer

    run(main())


@pytest.mark.parametrize(("own", "expected"), [("", None), ("gc.set_threshold(9, 9, 9)", 9)])
def test_garbage_is_collected_as_usual_behind_the_init_phase(
    make_api: Make, run: Run, own: str, expected: int | None
) -> None:
    """And as the function wants it, if it has said so."""
    code = f"""
import gc
in_init = gc.get_threshold()[0]
{own}
def app(event, context): return [in_init, gc.get_threshold()[0]]
"""
    usual = subprocess.run(
        [sys.executable, "-c", "import gc; print(gc.get_threshold()[0])"],
        capture_output=True,
        check=True,
    )

    async def main() -> None:
        async with make_api(code) as api:
            in_init, behind = await api.invoke(None)
            assert behind == (expected or int(usual.stdout))
            assert in_init > behind

    run(main())


def test_a_target_and_that_it_is_a_factory_may_be_arguments(make_api: Make, run: Run) -> None:
    code = f"{STARTS}\ndef make(): return app"
    command = [*STARTED, "--factory", "app:make"]

    async def main() -> None:
        async with make_api(code, command, environ={"PENSTOCK_APP": "app:missing"}) as api:
            assert "in init" == (await api.invoke(HTTP))["body"]

    run(main())


def test_the_log_goes_on_in_the_frames_of_the_managed_runtimes(
    command: list[str], make_api: Make, run: Run
) -> None:
    code = """
import logging
def app(event, context):
    logging.getLogger("shop").warning("seen %s", event["n"], extra={"order": 7})
    print("printed")
    context.log("as it is")
"""

    async def main() -> None:
        options = {"framed_log": True, "log_format": "JSON", "log_level": "INFO"}
        async with make_api(code, command, **options) as api:
            await api.invoke({"n": 2}, request_id="id-1")
            record = await api.log.wait_for("seen 2")
            assert ("telemetry", "WARN", "json") == (record.source, record.level, record.kind)
            line = json.loads(record.text)
            assert ("id-1", "shop", 7) == (line["requestId"], line["logger"], line["order"])
            assert 1 == api.log.text.count("seen 2")
            printed = await api.log.wait_for("printed")
            assert "stdout" == printed.source
            assert "telemetry" == (await api.log.wait_for("as it is")).source

    run(main())


def test_an_error_of_an_invocation_is_logged_once_with_its_stack(
    command: list[str], make_api: Make, run: Run
) -> None:
    code = "def app(event, context):\n    raise KeyError('order')"

    async def main() -> None:
        async with make_api(code, command) as api:
            with pytest.raises(FunctionFailed) as raised:
                await api.invoke({}, request_id="id-1")
            details = raised.value.error.json()
            assert "Function.KeyError" == raised.value.error.error_type
            assert ("'order'", "KeyError", "id-1") == (
                details["errorMessage"],
                details["errorType"],
                details["requestId"],
            )
            assert "in app" in details["stackTrace"][0]
            assert 1 == len(details["stackTrace"])
            await api.log.wait_for("KeyError")
            assert 1 == api.log.text.count("[ERROR]")

    run(main())


def test_the_trace_id_is_where_xrays_library_looks(
    command: list[str], make_api: Make, run: Run
) -> None:
    code = """
import os
def app(event, context):
    return [os.environ.get("_X_AMZN_TRACE_ID"), context.trace_id]
"""

    async def main() -> None:
        async with make_api(code, command) as api:
            for trace_id in ("Root=1-a;Parent=b;Sampled=1", "Root=1-c;Parent=d;Sampled=0"):
                assert [trace_id, trace_id] == await api.invoke({}, trace_id=trace_id)

    run(main())


@pytest.mark.parametrize("script", ["exec", "bootstrap"])
def test_the_scripts_serve(script: str, make_api: Make, run: Run, tmp_path: Path) -> None:
    """What AWS_LAMBDA_EXEC_WRAPPER, or the entry point of ``provided.al2023``, names."""
    file = tmp_path / script
    write = [sys.executable, "-m", "penstock.adapter.runtime", f"--write-{script}", str(file)]
    subprocess.run(write, check=True, timeout=60)
    by_lambda = [str(file), sys.executable, "/var/runtime/bootstrap.py"]
    command = by_lambda if script == "exec" else [str(file)]

    async def main() -> None:
        async with make_api(STARTS, command, environ={"PENSTOCK_PYTHON": sys.executable}) as api:
            assert "in init" == (await api.invoke(HTTP))["body"]

    run(main())


@pytest.mark.parametrize("fault", [Status(500), Reset(), Close()])
def test_a_report_that_cannot_be_made_is_in_the_log(
    fault: Any, command: list[str], make_api: Make, run: Run
) -> None:
    """The process ends all the same, so that Lambda starts another one."""

    async def main() -> None:
        api = make_api("raise LookupError('no such table')", command)
        api.inject("init/error", fault, times=9)
        async with api:
            with pytest.raises(FunctionFailed) as raised:
                await api.invoke(HTTP)
            assert "exit status 1" in raised.value.error.json()["errorMessage"]
            await api.log.wait_for("no such table")
            await api.log.wait_for("/2018-06-01/runtime/init/error")

    run(main())
