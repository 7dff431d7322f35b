"""``sam local`` with the built functions, AWS's Python client and penstock's in its containers."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
import sam_project
from emulator import free_ports
from own_script import WRAPPER, with_wrapper
from sam_local import OPTIONS, invoke
from samcli.yamlhelper import yaml_dump
from surface import ServesTheExampleSurface, json_of

from penstock.infra.gateway import ClientRequest, ClientResponse, make_event, read_answer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from surface import Client

pytestmark = pytest.mark.engine

START_SECONDS = 60
ANSWER_SECONDS = 60


def derived_template(folder: Path, way: str, *, without: str = "") -> Path:
    """Write the built template, changed as a user would: another handler, one API fewer."""
    template = sam_project.read_template(sam_project.BUILD / "template.yaml")
    for name in ("ApiFunction", "StreamingFunction"):
        settings = template["Resources"][name]["Properties"]
        code = sam_project.BUILD / name
        if way == "aws":
            settings["Handler"] = "app.handler"
        elif way == "wrapper":
            code = with_wrapper(code, folder / name)
            settings["Handler"] = "app.app"
            variables = settings.setdefault("Environment", {}).setdefault("Variables", {})
            variables["AWS_LAMBDA_EXEC_WRAPPER"] = f"/var/task/{WRAPPER}"
        settings["CodeUri"] = str(code)
        events = settings.get("Events", {})
        for event in [key for key, event in events.items() if event["Type"] == without]:
            del events[event]
    file = folder / "template.yaml"
    file.write_text(yaml_dump(template))
    return file


class TestInvoke:
    """``sam local invoke``, with an event from a file."""

    @pytest.mark.parametrize("source", ["http-api", "rest-api"])
    @pytest.mark.parametrize("way", ["aws", "takeover", "wrapper"])
    def test_the_answer_is_printed(self, way: str, source: str, tmp_path: Path) -> None:
        request = ClientRequest("GET", "/items/tea?q=1")
        answer, _ = invoke(
            "ApiFunction", derived_template(tmp_path, way), make_event(source, request)
        )
        assert json_of(read_answer(source, answer)) == {"name": "tea", "q": "1"}

    def test_a_stream_is_printed_as_a_buffered_answer(self, tmp_path: Path) -> None:
        event = make_event("function-url", ClientRequest("GET", "/chat?pause=0"))
        answer, log = invoke("StreamingFunction", derived_template(tmp_path, "takeover"), event)
        assert answer["statusCode"] == 200
        assert answer["body"].endswith("data: [DONE]\n\n")
        assert "sam local cannot stream" in log


class LocalClient:
    """An HTTP client of ``sam local start-api``."""

    def __init__(self, source: str, port: int) -> None:
        self.source = source
        self._port = port

    def request(
        self,
        method: str,
        target: str,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
    ) -> ClientResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS)
        try:
            # Any client sends Accept, and without it SAM does not decode a REST API's answer.
            connection.request(method, target, body, {"Accept": "*/*", **dict(headers)})
            response = connection.getresponse()
            received = [(name.lower(), value) for name, value in response.getheaders()]
            return ClientResponse(response.status, received, response.read())
        finally:
            connection.close()


@contextmanager
def started_api(template: Path, log: Path) -> Iterator[int]:
    """Run ``sam local start-api`` and return its port; a function's container is kept."""
    port, _ = free_ports()
    # SIGINT ends it in good order, but not where a job of a shell in the background has handed down
    # that the signal is to be ignored.
    command = ["env", "--default-signal=INT"]
    command += sam_project.sam("local", "start-api", "--template", str(template), *OPTIONS)
    command += ["--port", str(port), "--warm-containers", "LAZY"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=template.parent,
            env=sam_project.environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            deadline = time.monotonic() + START_SECONDS
            while process.poll() is None and time.monotonic() < deadline:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.05)
            else:
                pytest.fail(f"sam local start-api did not listen:\n{log.read_text()}")
            yield port
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


APIS = {"http-api": "Api", "rest-api": "HttpApi"}
"""An API, and the type of event to take out: start-api has one port for all of a template's."""


@pytest.fixture(
    scope="module",
    params=[(way, source) for way in ("aws", "takeover", "wrapper") for source in APIS],
    ids="-".join,
)
def client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalClient]:
    way, source = request.param
    folder = tmp_path_factory.mktemp("local")
    template = derived_template(folder, way, without=APIS[source])
    with started_api(template, folder / "log") as port:
        yield LocalClient(source, port)


class TestStartApi(ServesTheExampleSurface):
    """The whole example over HTTP, through each API."""

    def test_absolute_urls_are_the_ones_that_the_client_uses(self, client: Client) -> None:
        # On this machine that is a URL without a stage, and without TLS.
        url = json_of(client.request("GET", "/url", headers=(("Host", "127.0.0.1:3000"),)))["url"]
        assert url == "http://127.0.0.1:3000/items/tea"


def test_streamed_routes_answer_too(tmp_path: Path) -> None:
    with started_api(derived_template(tmp_path, "takeover"), tmp_path / "log") as port:
        client = LocalClient("rest-api", port)
        response = client.request("GET", "/chat?pause=0")
        assert response.status == 200
        assert response.values("content-type") == ["text/event-stream; charset=utf-8"]
        assert response.body.endswith(b"data: [DONE]\n\n")
        assert client.request("GET", "/items/tea").status == 200
