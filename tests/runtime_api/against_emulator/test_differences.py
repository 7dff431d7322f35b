"""The same scripted runtime under AWS's emulator and on the local Runtime API.

Status codes, bodies and content types are the same, but for the known differences, which are
checked too.
"""

from __future__ import annotations

import http.client
import json
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from emulator import Emulator

from penstock.infra.runtime_api import ThreadedRuntimeAPI
from tests.runtime_api.against_emulator.scenarios import CALLER, KNOWN, SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.skipif(sys.platform != "linux", reason="AWS publishes its emulator for Linux only"),
]
COMMAND = (sys.executable, str(Path(__file__).parent / "scripted_runtime.py"))
EVENT = {"n": 1}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def outcome(post: Callable[[], tuple[int, bytes]], record: Path) -> dict[int | str, Any]:
    """Invoke the function; return what the runtime was answered, and what the caller was."""
    with ThreadPoolExecutor() as threads:
        invocation = threads.submit(post)
        while not record.exists():
            time.sleep(0.005)
        status, body = invocation.result()
    steps = json.loads(record.read_text(encoding="utf-8"))
    found: dict[int | str, Any] = {
        number: [code, parsed(text), kind] for number, (code, text, kind) in enumerate(steps)
    }
    found[CALLER] = [status, parsed(UUID.sub("<id>", body.decode()))]
    return found


@pytest.mark.parametrize("name", SCENARIOS)
def test_it_answers_like_awss_emulator(name: str, tmp_path: Path) -> None:
    steps = tmp_path / "steps"
    steps.write_text(json.dumps(SCENARIOS[name]), encoding="utf-8")
    variables = {"STEPS": str(steps), "AWS_LAMBDA_FUNCTION_NAME": "tea"}

    record = tmp_path / "theirs"
    with Emulator(
        tmp_path,
        tmp_path / "log",
        command=COMMAND,
        timeout_s=1,
        environment={**variables, "RECORD": str(record)},
    ) as emulator:
        theirs = outcome(lambda: emulator.post(EVENT), record)

    record = tmp_path / "ours"
    with ThreadedRuntimeAPI(
        COMMAND,
        folder=tmp_path,
        handler="",
        function_name="tea",
        timeout_s=1,
        init_limit_s=4,  # two scenarios wait for it; a busy machine needs some to start Python
        invocation_ids=False,
        environ={**variables, "RECORD": str(record)},
    ) as local:

        def post() -> tuple[int, bytes]:
            connection = http.client.HTTPConnection(local.api.endpoint_url.removeprefix("http://"))
            path = "/2015-03-31/functions/function/invocations"
            connection.request("POST", path, json.dumps(EVENT))
            response = connection.getresponse()
            try:
                return response.status, response.read()
            finally:
                connection.close()

        ours = outcome(post, record)

    assert theirs.keys() == ours.keys()
    different = {
        place: (_without_type(place, theirs[place]), _without_type(place, ours[place]))
        for place in theirs
        if theirs[place] != ours[place]
    }
    assert KNOWN.get(name, {}) == different


def _without_type(place: int | str, found: list[Any]) -> list[Any]:
    return found if place == CALLER else found[:2]


def test_the_known_differences_belong_to_a_scenario() -> None:
    assert SCENARIOS.keys() >= KNOWN.keys()
