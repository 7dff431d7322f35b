"""The scope is the one that uvicorn gives for the same request, but for what a front door loses.

uvicorn listens on a loopback port and gets each request over a socket; penstock gets the event
that each front door makes of it. ``LOSSES`` is what cannot arrive, and nothing else may differ.
"""

from __future__ import annotations

import socket
import threading
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote

import httpx
import pytest
import uvicorn

from penstock.adapter import LambdaAdapter
from penstock.infra.gateway import SOURCES, ClientRequest, RequestRefused, make_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PNG = b"\x89PNG\r\n\x1a\n\x00\xff"
UPLOAD = (
    b'--42\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n\xff\0\r\n--42--\r\n'
)

# Headers that say something about one connection, or that front doors write themselves.
OWN_OF_THE_DOOR = frozenset(
    name.encode()
    for name in (
        "connection",
        "transfer-encoding",
        "via",
        "x-amzn-tls-cipher-suite",
        "x-amzn-tls-version",
        "x-amzn-trace-id",
        "x-forwarded-for",
        "x-forwarded-port",
        "x-forwarded-proto",
    )
)
PREFIXES = {"rest-api": "/prod"}
"""What the client's URL has before the target: the stage."""


@dataclass
class Arrived:
    """What reached the application."""

    scope: dict[str, Any]
    body: bytes


class Recorder:
    """An application that keeps what it gets."""

    def __init__(self) -> None:
        self.arrived: list[Arrived] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message.get("more_body", False)
        self.arrived.append(Arrived(scope, body))
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})


class Server:
    """uvicorn in a thread, and a client that writes requests as they are."""

    def __init__(self) -> None:
        self._recorder = Recorder()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        config = uvicorn.Config(
            self._recorder, http="h11", ws="none", loop="asyncio", lifespan="off", log_config=None
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()

    def last(self) -> Arrived:
        (arrived,) = self._recorder.arrived
        self._recorder.arrived.clear()
        return arrived

    def send(self, request: ClientRequest, prefix: str) -> Arrived:
        lines = [f"{request.method} {prefix}{request.target} HTTP/1.1".encode()]
        headers = [*request.headers, ("Connection", "close")]
        if request.body:
            headers.append(("Content-Length", str(len(request.body))))
        lines += [f"{name}: {value}".encode() for name, value in headers]
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(b"\r\n".join([*lines, b"", request.body]))
            answer = b""
            while received := connection.recv(65536):
                answer += received
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        return self.last()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


def through_lambda(source: str, request: ClientRequest) -> Arrived:
    recorder = Recorder()
    adapter = LambdaAdapter(recorder, lifespan="off")
    adapter(make_event(source, request), None)
    (arrived,) = recorder.arrived
    return arrived


@dataclass(frozen=True)
class Loss:
    """What a front door loses: in which key of the scope, when, and what is left of it."""

    sources: tuple[str, ...]
    key: str
    left: Callable[[Any, Arrived, str], Any]
    why: str


def decoded_path(_: Any, truth: Arrived, source: str) -> str:
    return unquote(truth.scope["raw_path"].decode()).partition("?")[0]


def quoted_path(_: Any, truth: Arrived, source: str) -> bytes:
    return quote(decoded_path(None, truth, source), safe="/:@!$&'()*+,;=-._~").encode()


def one_slash(path: str, truth: Arrived, source: str) -> str:
    """What is behind the stage begins with one slash."""
    return "/prod/" + path.removeprefix("/prod").lstrip("/")


def one_raw_slash(path: bytes, truth: Arrived, source: str) -> bytes:
    return one_slash(path.decode(), truth, source).encode()


def sorted_query(query: bytes, truth: Arrived, source: str) -> bytes:
    """Names sorted, ``flag`` is ``flag=``, and without multi-value maps the last of each name."""
    pairs: dict[str, list[str]] = defaultdict(list)
    for piece in query.decode().split("&"):
        if piece:
            name, _, value = piece.partition("=")
            pairs[name].append(value)
    names = sorted(pairs)
    if source == "alb":
        return "&".join(f"{name}={pairs[name][-1]}" for name in names).encode()
    return "&".join(f"{name}={value}" for name in names for value in pairs[name]).encode()


def reencoded_query(query: bytes, truth: Arrived, source: str) -> bytes:
    pairs = sorted(parse_qsl(query.decode(), keep_blank_values=True), key=lambda pair: pair[0])
    return "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in pairs).encode()


Map = dict[bytes, list[bytes]]


def joined_with(separator: bytes) -> Callable[[Map, Arrived, str], Map]:
    def left(headers: Map, truth: Arrived, source: str) -> Map:
        return {name: [separator.join(values)] for name, values in headers.items()}

    return left


def cookies_joined(headers: Map, truth: Arrived, source: str) -> Map:
    lines = [value for name, value in truth.scope["headers"] if name == b"cookie"]
    return headers | ({b"cookie": [b", ".join(lines)]} if lines else {})


def last_only(headers: Map, truth: Arrived, source: str) -> Map:
    lines = [value for name, value in truth.scope["headers"] if name == b"cookie"]
    cookie = {b"cookie": lines[-1:]} if lines else {}
    return {name: values[-1:] for name, values in headers.items()} | cookie


def zero_length(headers: Map, truth: Arrived, source: str) -> Map:
    return {b"content-length": [b"0"]} | headers


def without_length(headers: Map, truth: Arrived, source: str) -> Map:
    if not truth.body:
        headers.pop(b"content-length", None)
    return headers


REST_DROPS = (b"te", b"trailer", b"expect", b"max-forwards", b"content-md5", b"server")


def without_dropped(headers: Map, truth: Arrived, source: str) -> Map:
    return {name: values for name, values in headers.items() if name not in REST_DROPS}


LOSSES = (
    Loss(
        ("http-api",),
        "path",
        decoded_path,
        "API Gateway decodes the path and cuts it at a question mark that was encoded.",
    ),
    Loss(
        ("http-api",),
        "raw_path",
        quoted_path,
        "The encoded path is gone: %2F is a slash, %E9 a replacement character.",
    ),
    Loss(("rest-api",), "path", one_slash, "Several slashes at the beginning become one."),
    Loss(("rest-api",), "raw_path", one_raw_slash, "The same, encoded."),
    Loss(
        ("alb", "alb-multi"),
        "query_string",
        sorted_query,
        "Maps keep no order between names, and know no name without a value.",
    ),
    Loss(
        ("rest-api", "http-api-1"),
        "query_string",
        reencoded_query,
        "The maps are decoded: how the client escaped it is gone, too.",
    ),
    Loss(
        ("http-api", "function-url"),
        "headers",
        joined_with(b","),
        "API Gateway joins repeated headers.",
    ),
    Loss(("lattice-1",), "headers", joined_with(b", "), "VPC Lattice does so, too."),
    Loss(("lattice-1",), "headers", cookies_joined, "Several cookie lines are no exception."),
    Loss(("alb",), "headers", last_only, "Without multi-value headers the last one arrives."),
    Loss(
        ("http-api", "http-api-1"),
        "headers",
        zero_length,
        "HTTP APIs add a length of 0 where the client sent none.",
    ),
    Loss(("rest-api",), "headers", without_length, "REST APIs take the length out."),
    Loss(("rest-api",), "headers", without_dropped, "Dropped, by the developer guide."),
)


def header_map(headers: list[tuple[bytes, bytes]]) -> Map:
    """Values by name, without the door's own; several cookie lines are one (RFC 9113 8.2.3)."""
    result: Map = defaultdict(list)
    for name, value in headers:
        if name not in OWN_OF_THE_DOOR:
            result[name].append(value)
    if b"cookie" in result:
        result[b"cookie"] = [b"; ".join(result[b"cookie"])]
    return dict(result)


def facts(arrived: Arrived) -> dict[str, Any]:
    keys = ("type", "http_version", "method", "path", "raw_path", "query_string")
    return {
        **{key: arrived.scope[key] for key in keys},
        "headers": header_map(arrived.scope["headers"]),
        "body": arrived.body,
    }


def compare(source: str, truth: Arrived, ours: Arrived) -> None:
    expected = facts(truth)
    for loss in LOSSES:
        if source in loss.sources:
            expected[loss.key] = loss.left(expected[loss.key], truth, source)
    actual = facts(ours)
    for key, value in expected.items():
        assert value == actual[key], f"{source}, {key}"
    assert ours.scope["asgi"]["version"] == truth.scope["asgi"]["version"]
    assert ours.scope["asgi"]["spec_version"] >= truth.scope["asgi"]["spec_version"]
    assert ours.scope["root_path"] == PREFIXES.get(source, "")
    assert truth.scope.keys() - {"state"} <= ours.scope.keys()


def request(
    target: str, *headers: tuple[str, str], method: str = "GET", body: bytes = b""
) -> ClientRequest:
    host = () if any(name.lower() == "host" for name, _ in headers) else (("Host", "tea.example"),)
    return ClientRequest(method, target, (*host, *headers), body)


def post(content_type: str, body: bytes, method: str = "POST") -> ClientRequest:
    return request("/items", ("Content-Type", content_type), method=method, body=body)


PATHS = (
    "/",
    "/users",
    "/users/",
    "/a//b",
    "//a",
    "///",
    "/a/../b/./c/..",
    "/a%20b",
    "/a+b",
    "/a%2Bb",
    "/a%2Fb",
    "/a%2fb",
    "/a%2541",
    "/a%252F",
    "/a%00b",
    "/a%0Ab",
    "/a%3Fb%3Dc",
    "/a%23b",
    "/caf%C3%A9",
    "/caf%c3%a9",
    "/%E9",
    "/%C3%28",
    "/%F0%9F%8D%AE",
    "/%",
    "/%zz",
    "/%u00e9",
    "/~a_b-c.d!$&'()*,;=:@",
    '/a|b{c}[d]^`"<>\\',
    "/prod/users",
    "/" + "a" * 3000,
)
QUERIES = (
    "",
    "a=1&b=2",
    "b=2&a=1",
    "a=1&a=2&b=3&a=4",
    "flag",
    "flag=&a",
    "a=x+y&b=x%20y&c=x%2By",
    "a+b=1&a%20b=2&a%2Bb=3",
    "q=caf%C3%A9&caf%C3%A9=q",
    "q=%E9",
    "q=%zz&r=%",
    "a%5B%5D=1&a%5B%5D=2",
    "u=https%3A%2F%2Fexample.com%2F%3Fa%3Db%26c",
    "a=b=c&=d&==",
    "&&a=1&",
    "a,b=c,d;e",
    "?=?",
    "a=%00%0A",
    "a={b}|c",
)
REQUESTS = (
    *(request(path) for path in PATHS),
    *(request(f"/q?{query}") for query in QUERIES),
    *(request("/", method=method) for method in ("HEAD", "OPTIONS", "DELETE", "PURGE")),
    post("application/json", '{"name": "crème \u2603"}'.encode()),
    post("application/json", b'{"name": "\xff"}'),
    post("application/json; charset=utf-8", b"[]", "PUT"),
    post("application/problem+json", b"{}", "PATCH"),
    post("application/octet-stream", PNG),
    post("image/png", PNG),
    post("text/plain", b"line\r\nline\0"),
    post("application/x-www-form-urlencoded", b"a=1&b=x+y&c=%E9"),
    post('multipart/form-data; boundary="42"', UPLOAD),
    request("/", method="POST", body=b"untyped"),
    request("/", method="POST"),
    request("/", ("Content-Length", "0"), method="POST"),
    request("/", ("Content-Encoding", "gzip"), method="POST", body=b"\x1f\x8b\x08\x00"),
    request("/", method="POST", body=bytes(range(256)) * 100),
    request("/", ("X-UPPER", "A"), ("x-lower", "b"), ("X-Mixed-Case", "C")),
    request("/", ("X-A", "1"), ("X-A", "2"), ("x-a", "3")),
    request("/", ("Accept", "text/html, */*;q=0.1"), ("Accept", "application/json")),
    request("/", ("Cookie", "a=1; b=2")),
    request("/", ("Cookie", "a=1"), ("Cookie", "b=2; c=3"), ("cookie", 'd="4"')),
    request("/", ("If-Modified-Since", "Wed, 21 Oct 2015 07:28:00 GMT")),
    request("/", ("X-Empty", ""), ("X-Utf-8", "café"), ("X-Quoted", '"a, b", \\"c')),
    request("/", ("Host", "tea.example:8443")),
    request("/", ("Authorization", "Bearer a.b-c_d=="), ("Origin", "https://tea.example")),
    request("/", ("TE", "trailers"), ("Max-Forwards", "3"), ("X-1!#$%&'*.^_`|~", "token")),
)


@pytest.mark.parametrize("source", SOURCES)
def test_requests(source: str, server: Server) -> None:
    refused = 0
    for item in REQUESTS:
        try:
            ours = through_lambda(source, item)
        except RequestRefused:
            refused += 1
            continue
        compare(source, server.send(item, PREFIXES.get(source, "")), ours)
    # A load balancer wants text to be UTF-8.
    assert (1 if source.startswith("alb") else 0) == refused


CALLS: dict[str, dict[str, Any]] = {
    "query": {
        "method": "GET",
        "url": "/search",
        "params": [("q", "a b+c&é"), ("q", ""), ("r", "1")],
    },
    "json": {"method": "POST", "url": "/items/café crème", "json": {"name": "crème ☃"}},
    "form": {"method": "POST", "url": "/form", "data": {"a": ["1", "2"], "b": "x y"}},
    "multipart": {
        "method": "POST",
        "url": "/upload",
        "data": {"note": "é"},
        "files": {"file": ("photo 1.png", PNG, "image/png")},
    },
    "binary": {"method": "PUT", "url": "/bytes", "content": PNG},
    "cookies": {"method": "GET", "url": "/", "headers": {"Cookie": "a=1; b=2"}},
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("call", CALLS)
def test_what_httpx_sends(source: str, call: str, server: Server) -> None:
    prefix = PREFIXES.get(source, "")
    base_url = f"http://127.0.0.1:{server.port}{prefix}"
    with httpx.Client(base_url=base_url, trust_env=False) as client:
        sent = client.build_request(**CALLS[call])
        assert 200 == client.send(sent).status_code
    target = sent.url.raw_path.decode().removeprefix(prefix)
    headers = tuple((name.decode(), value.decode()) for name, value in sent.headers.raw)
    item = ClientRequest(sent.method, target, headers, sent.read())
    compare(source, server.last(), through_lambda(source, item))


def test_each_loss_is_one(server: Server) -> None:
    """No entry of the table is idle: behind each of its doors, some request loses by it."""
    idle = {(loss.why, source) for loss in LOSSES for source in loss.sources}
    for item in REQUESTS:
        truth = server.send(item, "/prod")
        for loss in LOSSES:
            for source in loss.sources:
                whole = facts(truth)[loss.key]
                if loss.left(facts(truth)[loss.key], truth, source) != whole:
                    idle.discard((loss.why, source))
    assert set() == idle
