"""What all examples offer, as one contract: the same in process and on Lambda's own parts."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import random
import sys
import zlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from penstock.infra.gateway import (
    TRIGGERS,
    ClientRequest,
    ClientResponse,
    make_event,
    make_trigger_event,
    read_answer,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = ("handler", "fastapi", "starlette", "django", "litestar", "quart", "asgi")
TITLES = {
    "handler": "penstock",
    "fastapi": "FastAPI",
    "starlette": "Starlette",
    "django": "Django",
    "litestar": "Litestar",
    "quart": "Quart",
    "asgi": "ASGI",
}
JSON = ("Content-Type", "application/json")
ITEM = {"name": "Crème brûlée \N{CUSTARD}, \u201c\u0438\u201d\\ \u0007", "price": 3.5}
BLUE = b"\x1e\x90\xff"

TRIGGER_DATA: dict[str, list[Any]] = {
    "sqs": ["good", "a bad one", "good again"],
    "sns": ["hello"],
    "eventbridge": [{"order": 1}],
    "schedule": [],
    "s3": ["a folder/naïve.txt"],
    "dynamodb": [{"id": "1", "name": "tea"}],
    "kinesis": [b"\x00\xff"],
}


@cache
def load_example(name: str) -> ModuleType:
    """Import ``examples/<name>/app.py`` once, under a name of its own."""
    return load_module(f"example_{name}", ROOT / "examples" / name / "app.py")


def load_module(name: str, path: Path) -> ModuleType:
    """Import a file as a module that is called differently from all others."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Django and Quart look the module up by its name while it is being imported.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class Client:
    """A client of one front door, behind which one function is invoked."""

    def __init__(self, source: str, invoke: Callable[[Any], Any]) -> None:
        self.source = source
        self._invoke = invoke

    def request(
        self,
        method: str,
        target: str,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
        **door: Any,
    ) -> ClientResponse:
        """Send a request through the front door and return what its client sees."""
        request = ClientRequest(method, target, headers=headers, body=body)
        answer = self._invoke(make_event(self.source, request, **door))
        return read_answer(self.source, answer, method=method)


def json_of(response: ClientResponse, status: int = 200) -> Any:
    """Return the JSON that the client reads, if status and type are right."""
    types = [value.partition(";")[0] for value in response.values("content-type")]
    assert (response.status, types) == (status, ["application/json"]), response
    return json.loads(response.body)


def multipart(name: str, filename: str, content: bytes) -> tuple[tuple[str, str], bytes]:
    """Return the content type and the body of a form with one file."""
    boundary = "=-boundary-42"
    disposition = f'form-data; name="{name}"; filename="{filename}"'
    head = f"Content-Disposition: {disposition}\r\nContent-Type: application/octet-stream"
    body = f"--{boundary}\r\n{head}\r\n\r\n".encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return ("Content-Type", f'multipart/form-data; boundary="{boundary}"'), body


class ServesTheExampleSurface:
    """The contract. Fixtures needed: ``client`` (a Client) and ``example`` (its name)."""

    def test_json_comes_with_what_the_start_up_made_once(
        self, client: Client, example: str
    ) -> None:
        first, second = (json_of(client.request("GET", "/")) for _ in range(2))
        assert first.keys() == {"hello", "started_at"}
        assert first["hello"] == TITLES[example]
        assert first == second

    def test_path_and_query_arrive_decoded_once(self, client: Client) -> None:
        target = "/items/caf%C3%A9%20cr%C3%A8me+1?q=a%20b%26c%3D%C3%A9%2B"
        expected = {"name": "café crème+1", "q": "a b&c=é+"}
        assert expected == json_of(client.request("GET", target))

    def test_a_missing_query_is_missing(self, client: Client) -> None:
        assert {"name": "tea", "q": None} == json_of(client.request("GET", "/items/tea"))

    def test_json_in_any_script_comes_back_as_it_was(self, client: Client) -> None:
        body = json.dumps(ITEM, ensure_ascii=False).encode()
        assert ITEM == json_of(client.request("POST", "/items", headers=(JSON,), body=body), 201)

    def test_an_uploaded_file_arrives_byte_by_byte(self, client: Client) -> None:
        content = bytes(range(256)) + random.Random(7).randbytes(20_000)
        content_type, body = multipart("file", "photo 1.bin", content)
        response = client.request("POST", "/upload", headers=(content_type,), body=body)
        sha256 = hashlib.sha256(content).hexdigest()
        expected = {"filename": "photo 1.bin", "size": len(content), "sha256": sha256}
        assert expected == json_of(response)

    def test_cookies_arrive_and_each_new_one_is_set(self, client: Client) -> None:
        cookie = ("Cookie", "other=1; visits=41")
        response = client.request("GET", "/cookies", headers=(cookie,))
        assert {"visits": 41} == json_of(response)
        found = sorted(line.partition(";")[0] for line in response.values("set-cookie"))
        # VPC Lattice's first event version has one value for a header, and the last one wins.
        expected = ["theme=dark"] if client.source == "lattice-1" else ["theme=dark", "visits=42"]
        assert expected == found

    def test_an_image_is_the_same_bytes(self, client: Client) -> None:
        response = client.request("GET", "/image")
        assert (200, ["image/png"]) == (response.status, response.values("content-type"))
        assert response.body.startswith(b"\x89PNG\r\n\x1a\n")
        length = int.from_bytes(response.body[33:37])
        assert (b"\0" + BLUE * 8) * 8 == zlib.decompress(response.body[41 : 41 + length])

    def test_a_streamed_answer_is_complete(self, client: Client) -> None:
        response = client.request("GET", "/stream")
        expected = b"".join(b"line %d\n" % number for number in range(5))
        assert (200, expected) == (response.status, response.body)
        assert ["text/plain; charset=utf-8"] == response.values("content-type")

    def test_absolute_urls_are_the_ones_that_the_client_uses(self, client: Client) -> None:
        url = json_of(client.request("GET", "/url", headers=(("Host", "tea.example"),)))["url"]
        stage = "/prod" if client.source == "rest-api" else ""
        assert url == f"https://tea.example{stage}/items/tea"

    def test_an_error_of_the_application_is_a_500_without_details(self, client: Client) -> None:
        response = client.request("GET", "/boom")
        assert response.status == 500
        assert b"always fails" not in response.body
        assert b"Traceback" not in response.body

    def test_an_unknown_path_is_a_404(self, client: Client) -> None:
        assert client.request("GET", "/nowhere").status == 404

    def test_a_client_cannot_pose_as_lambda(self, client: Client) -> None:
        response = client.request("POST", "/events", headers=(JSON,), body=b'{"Records": []}')
        assert response.status == 404


class TakesOtherEvents:
    """The contract for what is not HTTP. Fixture ``invoke``: from an event to its result."""

    @pytest.mark.parametrize("kind", TRIGGERS)
    def test_the_answer_is_the_bare_json(self, kind: str, invoke: Callable[[Any], Any]) -> None:
        event = make_trigger_event(kind, TRIGGER_DATA[kind])
        failed = [
            {"itemIdentifier": record["messageId"]}
            for record in event.get("Records", [])
            if "bad" in record.get("body", "")
        ]
        assert {"batchItemFailures": failed} == invoke(event)
        assert len(failed) == (1 if kind == "sqs" else 0)
