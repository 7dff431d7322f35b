"""The built functions on AWS's runtime interface emulator, started in every documented way."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import sam_project
from emulator import Emulator
from own_script import WRAPPER, with_wrapper
from surface import Client, ServesTheExampleSurface

from penstock.infra.gateway import ClientRequest, make_event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SENTENCE = "A penstock carries water from the reservoir to the turbine"


@contextmanager
def running(function: str, way: str, folder: Path) -> Iterator[Emulator]:
    """Run a built function as a managed runtime does, with the environment of the template."""
    code = sam_project.BUILD / function
    template = sam_project.read_template(sam_project.BUILD / "template.yaml")
    handler, environment = sam_project.settings_of(template, function)
    if way == "aws":
        handler = "app.handler"
    elif way == "wrapper":
        code = with_wrapper(code, folder / "code")
        handler = "app.app"
        environment["AWS_LAMBDA_EXEC_WRAPPER"] = str(code / WRAPPER)
    environment["AWS_LAMBDA_FUNCTION_HANDLER"] = handler
    command = [str(sam_project.RUNTIME / "bootstrap")]
    with Emulator(code, folder / "log", command=command, environment=environment) as emulator:
        yield emulator


@pytest.fixture(scope="module", params=["aws", "takeover", "wrapper"])
def api(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Emulator]:
    with running("ApiFunction", request.param, tmp_path_factory.mktemp("api")) as emulator:
        yield emulator


class TestApi(ServesTheExampleSurface):
    """The whole example, through both APIs, by AWS's client and by penstock's in either way."""

    @pytest.fixture(params=["http-api", "rest-api"])
    def client(self, request: pytest.FixtureRequest, api: Emulator) -> Client:
        return Client(request.param, api.invoke)


@pytest.mark.parametrize("way", ["takeover", "wrapper"])
class TestStreaming:
    """Only penstock's client sends a stream: the emulator collects it and passes it on as it is."""

    @pytest.mark.parametrize("source", ["function-url", "rest-api"])
    def test_words_leave_behind_their_prelude(self, way: str, source: str, tmp_path: Path) -> None:
        with running("StreamingFunction", way, tmp_path) as emulator:
            prelude, body = self.ask(emulator, source, "/chat?pause=0")
        assert prelude["statusCode"] == 200
        assert self.header(prelude, "content-type") == "text/event-stream; charset=utf-8"
        events = [json.dumps({"token": word}) for word in SENTENCE.split()] + ["[DONE]"]
        assert body == "".join(f"data: {event}\n\n" for event in events).encode()

    def test_a_file_that_no_buffered_answer_could_carry(self, way: str, tmp_path: Path) -> None:
        # 5 MiB would be 7 MB in base64; the emulator itself takes 6.
        with running("StreamingFunction", way, tmp_path) as emulator:
            prelude, body = self.ask(emulator, "function-url", "/download?mebibytes=5")
        assert prelude["statusCode"] == 200
        assert body == bytes(range(256)) * (5 << 12)

    def ask(self, emulator: Emulator, source: str, target: str) -> tuple[dict[str, Any], bytes]:
        status, answer = emulator.post(make_event(source, ClientRequest("GET", target)))
        assert status == 200, emulator.read_log()
        prelude, delimiter, body = answer.partition(b"\0" * 8)
        assert delimiter, (answer[:500], emulator.read_log())
        found: dict[str, Any] = json.loads(prelude)
        return found, body

    def header(self, prelude: dict[str, Any], name: str) -> str | None:
        single = prelude.get("headers", {}).items()
        several = prelude.get("multiValueHeaders", {}).items()
        values = [value for key, value in single if key.lower() == name]
        values += [value for key, items in several if key.lower() == name for value in items]
        (value,) = values
        return str(value)
