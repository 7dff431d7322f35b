"""One application under uvicorn and behind every front door of Lambda: the client sees the same."""

from __future__ import annotations

import socket
from http.client import HTTPResponse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.register_assert_rewrite("surface")

from surface import JSON, ServesTheExampleSurface, load_example, multipart  # noqa: E402
from uvicorn_server import serving  # noqa: E402 - after the registration

from penstock.infra.gateway import (  # noqa: E402 - the same
    SOURCES,
    ClientRequest,
    ClientResponse,
    make_event,
    read_answer,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).resolve().parents[2] / "examples" / "handler" / "app.py"
FORM_TYPE, FORM = multipart("file", "a.txt", b"content")

REQUESTS = {
    "a page": ClientRequest("GET", "/page"),
    "HEAD": ClientRequest("HEAD", "/page"),
    "OPTIONS": ClientRequest("OPTIONS", "/items"),
    "another method": ClientRequest("DELETE", "/items"),
    "nothing there": ClientRequest("GET", "/nowhere"),
    "a failure": ClientRequest("GET", "/boom"),
    "bad JSON": ClientRequest("POST", "/items", headers=(JSON,), body=b"{"),
    "a form": ClientRequest("POST", "/upload", headers=(FORM_TYPE,), body=FORM),
    "a form cut short": ClientRequest("POST", "/upload", headers=(FORM_TYPE,), body=FORM[:-10]),
    "server-sent events": ClientRequest("GET", "/ticks"),
    "a file": ClientRequest("GET", "/download"),
    "a range": ClientRequest("GET", "/download", headers=(("Range", "bytes=10-19"),)),
    "a suffix": ClientRequest("GET", "/download", headers=(("Range", "bytes=-7"),)),
    "no such range": ClientRequest("GET", "/download", headers=(("Range", "bytes=999999-"),)),
    "HEAD of a range": ClientRequest("HEAD", "/download", headers=(("Range", "bytes=0-9"),)),
    "another version": ClientRequest(
        "GET", "/download", headers=(("Range", "bytes=0-9"), ("If-Range", '"old"'))
    ),
    "a new file": ClientRequest(
        "GET", "/download", headers=(("If-Modified-Since", "Thu, 01 Jan 1970 00:00:01 GMT"),)
    ),
    "an old file": ClientRequest(
        "GET", "/download", headers=(("If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT"),)
    ),
}
# What belongs to one connection or to one request, and what a front door sets by itself.
OWN = frozenset(
    ("connection", "content-length", "date", "server", "transfer-encoding", "x-request-id")
)
# CloudFront: "Restrictions on edge functions", disallowed headers.
REFUSED = {"edge": frozenset(("x-accel-buffering",))}


def over_http(host: str, request: ClientRequest) -> ClientResponse:
    """Send the request as it is, over a connection of its own."""
    name, _, port = host.partition(":")
    headers = [("Host", "tea.example"), *request.headers, ("Connection", "close")]
    if request.body:
        headers.append(("Content-Length", str(len(request.body))))
    lines = [f"{request.method} {request.target} HTTP/1.1", *(f"{n}: {v}" for n, v in headers)]
    with socket.create_connection((name, int(port)), timeout=30) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + request.body)
        response = HTTPResponse(connection, method=request.method)
        response.begin()
        pairs = [(key.lower(), value) for key, value in response.getheaders()]
        answer = ClientResponse(response.status, pairs, response.read())
        response.close()
    return answer


class OverHTTP:
    """The client of the examples' contract, whose front door is uvicorn."""

    source = "uvicorn"

    def __init__(self, host: str) -> None:
        self.host = host

    def request(
        self,
        method: str,
        target: str,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
    ) -> ClientResponse:
        return over_http(self.host, ClientRequest(method, target, headers=headers, body=body))


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with serving(load_example("handler").app) as host:
        yield host


class TestUnderUvicorn(ServesTheExampleSurface):
    """The examples' contract, over a socket."""

    @pytest.fixture
    def example(self) -> str:
        return "handler"

    @pytest.fixture
    def client(self, host: str) -> OverHTTP:
        return OverHTTP(host)

    def test_absolute_urls_are_the_ones_that_the_client_uses(self, client: Any) -> None:
        """Here the connection is not encrypted, and there is no stage."""
        response = client.request("GET", "/url")
        assert b'{"url": "http://tea.example/items/tea"}' == response.body


@pytest.mark.parametrize("name", REQUESTS)
def test_every_front_door_answers_as_uvicorn_does(name: str, host: str) -> None:
    request = REQUESTS[name]
    expected = over_http(host, request)
    invoke = load_example("handler").handler
    for source in SOURCES:
        answer = read_answer(source, invoke(make_event(source, request)), method=request.method)
        assert (expected.status, expected.body) == (answer.status, answer.body), source
        wanted, got = seen(expected, source), seen(answer, source)
        if "content-type" not in wanted:  # some front doors then send a default of their own
            got.pop("content-type", None)
        assert wanted == got, source


def seen(response: ClientResponse, source: str) -> dict[str, str]:
    """Return the headers that are the application's to decide behind this front door."""
    left_out = OWN | REFUSED.get(source, frozenset())
    return {key: value for key, value in response.headers if key not in left_out}


def test_the_requests_above_have_the_answers_that_they_are_named_after(host: str) -> None:
    statuses = {name: over_http(host, request).status for name, request in REQUESTS.items()}
    assert statuses == {
        "a page": 200,
        "HEAD": 200,
        "OPTIONS": 204,
        "another method": 405,
        "nothing there": 404,
        "a failure": 500,
        "bad JSON": 400,
        "a form": 200,
        "a form cut short": 400,
        "server-sent events": 200,
        "a file": 200,
        "a range": 206,
        "a suffix": 206,
        "no such range": 416,
        "HEAD of a range": 206,
        "another version": 200,
        "a new file": 200,
        "an old file": 304,
    }
    content = SOURCE.read_bytes()
    assert over_http(host, REQUESTS["a range"]).body == content[10:20]
    assert over_http(host, REQUESTS["a suffix"]).body == content[-7:]


def test_a_websocket_under_uvicorn(host: str) -> None:
    from websockets.sync.client import connect

    with connect(f"ws://{host}/echo") as ws:
        ws.send("hello")
        assert ws.recv(timeout=10) == "you said: hello"


def test_a_websocket_that_is_refused_under_uvicorn(host: str) -> None:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    with pytest.raises(InvalidStatus) as raised, connect(f"ws://{host}/nowhere"):
        pass
    assert raised.value.response.status_code == 404
