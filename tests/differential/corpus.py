"""Requests, responses and options that together touch every rule."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.infra.gateway import ClientRequest, RequestRefused, make_event
from tests.differential.both import Options, Response

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCES = ("rest-api", "http-api", "http-api-1", "function-url", "alb", "alb-multi", "edge")

PNG = b"\x89PNG\r\n\x1a\n\x00\xff"
JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
MULTIPART = ("Content-Type", 'multipart/form-data; boundary="=-42"')
UPLOAD = (
    b'--=-42\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n\xff\x00\r\n--=-42--'
)

TARGETS = (
    "/",
    "/users",
    "/users/",
    "/a//b",
    "//a",
    "/a/../b/./c",
    "/a%20b",
    "/a+b",
    "/a%2Bb",
    "/a%2Fb",
    "/a%2541",
    "/a%252F",
    "/caf%C3%A9",
    "/%E9",
    "/%zz%",
    "/~a_b-c.d!$&'()*,;=:@",
    "/prod/users",
    "/?",
    "/?a=1&b=2",
    "/?b=2&a=1",
    "/?a=1&a=2&b=3&a=4",
    "/?flag",
    "/?a=&b",
    "/?a=x+y&b=x%20y&c=x%2By",
    "/?a+b=1&a%20b=2",
    "/?q=caf%C3%A9",
    "/?q=%E9",
    "/?a%5B%5D=1&a%5B%5D=2",
    "/?u=https%3A%2F%2Fexample.com%2F%3Fa%3Db%26c",
    "/?a=b=c&=d",
    "/?a,b=c,d;e",
)
REQUESTS = (
    *(ClientRequest("GET", target) for target in TARGETS),
    ClientRequest("HEAD", "/users"),
    ClientRequest("OPTIONS", "/users", (("Origin", "https://example.com"),)),
    ClientRequest("DELETE", "/users/1"),
    ClientRequest("POST", "/items", (JSON,), json.dumps({"name": "crème"}).encode()),
    ClientRequest("PUT", "/items", (JSON,), '{"name": "crème \u2603"}'.encode()),
    ClientRequest("PATCH", "/items", (JSON, ("Content-Length", "3")), b"[1]"),
    ClientRequest("POST", "/form", (FORM,), b"a=1&b=x+y"),
    ClientRequest("POST", "/upload", (MULTIPART,), UPLOAD),
    ClientRequest("POST", "/bytes", (("Content-Type", "application/octet-stream"),), PNG),
    ClientRequest("POST", "/untyped", (), b"abc"),
    ClientRequest("POST", "/empty", (JSON, ("Content-Length", "0"))),
    ClientRequest("POST", "/wrong-length", (("Content-Length", "7"), JSON)),
    ClientRequest("POST", "/chunked", (("Transfer-Encoding", "chunked"), JSON), b"{}"),
    ClientRequest("GET", "/", (("X-Trace", "1"), ("X-Trace", "2"), ("x-trace", "3"))),
    ClientRequest("GET", "/", (("If-Modified-Since", "Wed, 21 Oct 2015 07:28:00 GMT"),)),
    ClientRequest("GET", "/", (("Cookie", "a=1; b=2"),)),
    ClientRequest("GET", "/", (("Cookie", "a=1"), ("Cookie", "b=2; c=3"))),
    ClientRequest("GET", "/", (("X-Empty", ""), ("X-Utf-8", "café"))),
    ClientRequest("GET", "/", (("Host", "example.com"),)),
    ClientRequest("GET", "/", (("Host", "example.com:8080"),)),
    ClientRequest("GET", "/", (("X-Forwarded-For", "10.0.0.1"), ("X-Forwarded-Proto", "http"))),
    ClientRequest("GET", "/", (("X-Forwarded-Proto", "http, https"),)),
    ClientRequest("GET", "/", (("CloudFront-Forwarded-Proto", "http"),)),
    ClientRequest("GET", "/", (("X-Penstock-Event-Source", "aws:sqs"),)),
    ClientRequest("GET", "/", client_ip="2001:db8::1"),
    ClientRequest("PURGE", "/cache"),
    ClientRequest("GET", "/" + "a" * 2000 + "?" + "b" * 2000),
)

TEXT = (b"content-type", b"text/plain; charset=utf-8")


def typed(content_type: bytes, *chunks: bytes, status: int = 200) -> Response:
    return Response(status, ((b"content-type", content_type),), chunks)


RESPONSES = (
    Response(),
    Response(201, (), (b"untyped",)),
    Response(200, (), (PNG,)),
    Response(204, (), ()),
    Response(204, (TEXT,), (b"not allowed",)),
    Response(304, ((b"etag", b'"1"'),), (b"not allowed",)),
    Response(404, (TEXT,), (b"a", b"b", b"", b"c")),
    Response(299, (TEXT,), (b"odd",)),
    typed(b"application/json", b'{"a": "caf\xc3\xa9"}'),
    typed(b"application/problem+json", b"{}"),
    typed(b"application/vnd.api+json", b"{}"),
    typed(b"application/vnd.oai.openapi", b"openapi: 3"),
    typed(b"image/svg+xml", b"<svg/>"),
    typed(b"application/xml", b"<a/>"),
    typed(b"application/yaml", b"a: 1"),
    typed(b"application/x-ndjson", b"1\n2\n"),
    typed(b"application/x-www-form-urlencoded", b"a=1"),
    typed(b"TEXT/HTML", b"<p>"),
    typed(b"text/plain", b"\xff\xfe"),
    typed(b"text/plain; charset=utf-16", b"a\x00"),
    typed(b"text/plain; charset=iso-8859-1", b"caf\xe9"),
    typed(b'text/plain; charset="UTF-8"', b"caf\xc3\xa9"),
    typed(b"application/octet-stream; x=text/", b"abc"),
    typed(b"application/octet-stream", b"abc"),
    typed(b"image/png", PNG),
    typed(b"", b"abc"),
    typed(b"text/html; charset=utf-8"),
    Response(200, (TEXT, (b"content-encoding", b"gzip")), (gzip.compress(b"a" * 99, mtime=0),)),
    Response(200, (TEXT, (b"content-encoding", b"br")), (b"\x0b\x02\x80abc"[:2],)),
    Response(200, (TEXT, (b"content-encoding", b"identity")), (b"abc",)),
    Response(
        200, (TEXT, (b"content-encoding", b"br"), (b"content-encoding", b"identity")), (b"abc",)
    ),
    Response(200, (TEXT, (b"Content-Type", b"text/html")), (b"abc",)),
    Response(200, ((b"Content-Type", b"image/png"), TEXT), (b"abc",)),
    Response(200, (TEXT, (b"X-A", b"1"), (b"x-a", b"2"), (b"X-B", b"3"))),
    Response(200, (TEXT, (b"1", b"a"), (b"1", b"b"), (b"x", b"c"), (b"x", b"d"))),
    Response(200, (TEXT, (b"set-cookie", b"a=1; Expires=Wed, 21 Oct 2015"))),
    Response(200, (TEXT, *((b"Set-Cookie", b"c%d=1; Path=/" % n) for n in range(5)))),
    Response(200, (TEXT, (b"vary", b"a"), (b"set-cookie", b"a=1"), (b"vary", b"b"))),
    Response(200, (TEXT, (b"connection", b"keep-alive"), (b"keep-alive", b"timeout=5"))),
    Response(200, (TEXT, (b"transfer-encoding", b"chunked"), (b"trailer", b"x"), (b"te", b"x"))),
    Response(200, (TEXT, (b"upgrade", b"h2c"), (b"content-length", b"5"))),
    Response(200, (TEXT, (b"via", b"1.1 x"), (b"x-cache", b"hit"), (b"server", b"x"))),
    Response(302, ((b"location", b"/a?b=c"),), ()),
    Response(200, (TEXT, (b"x-name", b"caf\xe9"))),
    Response(200, (TEXT, (b"x-name", b"caf\xc3\xa9"), (b"x-empty", b""))),
    Response(200, (TEXT, (b"x-name", b"a\r\nset-cookie: b=c"))),
    Response(200, (TEXT, (b"x name", b"a"))),
    Response(200, (TEXT, ("x-name", b"a"))),
    Response(99, (TEXT,)),
    Response("200", (TEXT,)),
    Response(600, (TEXT,)),
    Response(200, (TEXT,), (b'"' * 50_000,)),
    Response(200, (TEXT,), (b"a" * 1_000_001,)),
)
OPTIONS = (
    Options(),
    Options(lifespan="auto"),
    Options(exclude_headers=("X-A", "Set-Cookie", "content-encoding")),
    Options(text_mime_types=("image/svg", "application/octet")),
    Options(exclude_headers=("content-type",)),
)
BASE_PATHS = (
    "/api",
    "/api/",
    "api",
    "/a",
    "/a%20b",
    "/a b",
    "/café",
)
BASE_PATH_TARGETS = (
    "/api",
    "/api/",
    "/api/users",
    "/apiary/x",
    "/api//x",
    "/API/x",
    "/api/api/x",
    "/a%20b/c",
    "/a",
    "/a/%2541",
    "/caf%C3%A9/x",
    "/other",
)

RECORDED = Path(__file__).parents[2].parent / "shared" / "events"
FOLDERS = {
    "api-gateway-rest": "rest-api",
    "http-api-v1": "http-api-1",
    "http-api-v2": "http-api",
    "function-url": "function-url",
    "alb": "alb",
    "lambda-edge": "edge",
    "vpc-lattice-v1": "lattice-1",
    "vpc-lattice-v2": "lattice-2",
    "websocket": "websocket",
    "lookalikes": "lookalike",
    "non-http": "event",
}


def recorded_events() -> list[tuple[str, str, Any]]:
    """Front door, file and event of everything that was recorded from AWS; none if not there."""
    result = []
    for path in sorted(RECORDED.glob("*/*.json")):
        event = json.loads(path.read_text(encoding="utf-8"))
        source = FOLDERS[path.parent.name]
        if source == "alb" and isinstance(event.get("multiValueHeaders"), dict):
            source = "alb-multi"
        result.append((source, f"{path.parent.name}/{path.name}", event))
    return result


def events(requests: tuple[ClientRequest, ...] = REQUESTS) -> Iterator[tuple[str, Any]]:
    """Every request through every front door that would let it in."""
    for source in SOURCES:
        for request in requests:
            try:
                yield source, make_event(source, request)
            except RequestRefused:
                continue
