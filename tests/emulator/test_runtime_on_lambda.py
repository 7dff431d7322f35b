"""penstock's runtime under AWS's emulator: by command, and in the process of AWS's client."""

from __future__ import annotations

import json
import re
import sys
import time
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from penstock.infra.gateway import ClientRequest, make_event

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from emulator import Emulator

    RunApp = Callable[..., AbstractContextManager[Emulator]]

PYTHON = (sys.executable, "-m")
WAYS = {
    "taken over": (*PYTHON, "awslambdaric", "penstock.adapter.runtime.handler"),
    "started": (*PYTHON, "penstock.adapter.runtime"),
}
FOUND_IN_TIME_S = 10


@pytest.fixture(params=WAYS)
def serve(request: pytest.FixtureRequest, run_app: RunApp) -> RunApp:
    """Serve one of the small applications: ``with serve("telling") as emulator``."""

    def serve(name: str, **environment: str) -> AbstractContextManager[Emulator]:
        variables = {"PENSTOCK_APP": f"{name}:app", **environment}
        return run_app(name, command=WAYS[request.param], environment=variables)

    return serve


class TestInvocation:
    """A plain handler: its context, its log, its errors."""

    def test_context_and_log(self, serve: RunApp) -> None:
        with serve("telling") as emulator:
            told = emulator.invoke({"n": 1})
            assert re.fullmatch(r"[0-9a-f-]{36}", told["request_id"])
            assert "penstock-example" == told["function"]
            assert 20_000 < told["left"] <= 30_000
            # The emulator hands out no trace id, and one of before must not stay.
            assert told["trace"] is None
            log = emulator.read_log()
            time_and_id = rf"\d{{4}}-\d\d-\d\dT[\d:]{{8}}\.\d{{3}}Z\t{told['request_id']}"
            assert re.search(rf"^\[WARNING\]\t{time_and_id}\twarned of 1$", log, re.MULTILINE)
            assert re.search(r"^printed 1$", log, re.MULTILINE)
            assert re.search(r"^logged as it is$", log, re.MULTILINE)

    def test_json_log(self, serve: RunApp) -> None:
        with serve("telling", AWS_LAMBDA_LOG_FORMAT="JSON") as emulator:
            told = emulator.invoke({"n": 1})
            (line,) = [
                json.loads(line) for line in emulator.read_log().splitlines() if "warned" in line
            ]
            assert told["request_id"] == line["requestId"]
            assert ("WARNING", "warned of 1", "shop") == (
                line["level"],
                line["message"],
                line["logger"],
            )

    def test_an_error_and_the_invocation_behind_it(self, serve: RunApp) -> None:
        with serve("telling") as emulator:
            error = emulator.invoke({"n": 13})
            assert ("LookupError", "no such order") == (error["errorType"], error["errorMessage"])
            assert ["in app" in entry for entry in error["stackTrace"]] == [True]
            assert "[ERROR] LookupError: no such order\rTraceback" in read_raw(emulator)
            assert "penstock-example" == emulator.invoke({"n": 2})["function"]


class TestInit:
    """What fails in the init phase is answered by the emulator as Lambda would."""

    @pytest.mark.parametrize(
        ("code", "kind", "message"),
        [
            ("import nothing_like_it", "Runtime.ImportModuleError", "nothing_like_it"),
            ("def app(:", "Runtime.UserCodeSyntaxError", "Syntax error in module"),
            ("", "Runtime.HandlerNotFound", "Handler 'app' missing on module 'failing_app'"),
            (
                (
                    "async def app(scope, receive, send):\n"
                    "    await receive()\n"
                    "    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})"
                ),
                "LifespanError",
                "no database",
            ),
        ],
        ids=["import", "syntax", "attribute", "start-up"],
    )
    def test_failures(
        self, code: str, kind: str, message: str, serve: RunApp, tmp_path: Path
    ) -> None:
        (tmp_path / "failing_app.py").write_text(code)
        with serve("failing_app", PYTHONPATH=str(tmp_path)) as emulator:
            status, body = emulator.post({})
            assert 502 == status
            error = json.loads(body)
            assert kind == error["errorType"]
            assert message in error["errorMessage"]
            assert f"[ERROR] {kind}" in read_raw(emulator)


class TestShutdown:
    """The emulator, told to end, sends SIGTERM only where an extension is registered."""

    @pytest.fixture
    def event(self) -> Any:
        return make_event("http-api", ClientRequest("GET", "/"))

    def test_idle(self, serve: RunApp, event: Any) -> None:
        with serve("closing") as emulator:
            assert 204 == emulator.invoke(event)["statusCode"]
        assert "closing the pool" in emulator.read_log()

    def test_in_flight(self, serve: RunApp) -> None:
        event = make_event("http-api", ClientRequest("GET", "/wait"))
        with serve("closing") as emulator:
            caller = Thread(target=post_quietly, args=(emulator, event))
            caller.start()
            assert found_in_time(emulator, "waiting")
        caller.join()
        assert "closing the pool" in emulator.read_log()


def post_quietly(emulator: Emulator, event: Any) -> None:
    """Post an event whose answer may never come."""
    try:
        emulator.post(event)
    except (OSError, EOFError):
        return


def found_in_time(emulator: Emulator, text: str) -> bool:
    """Wait until the log has a text; say whether it came."""
    deadline = time.monotonic() + FOUND_IN_TIME_S
    while time.monotonic() < deadline:
        if text in emulator.read_log():
            return True
        time.sleep(0.01)
    return False


def read_raw(emulator: Emulator) -> str:
    """Return the log with its carriage returns, which keep one record in one line."""
    return emulator.log.read_bytes().decode()
