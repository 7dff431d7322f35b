"""One event for every difference that a single invocation shows, with the values on both sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.infra.gateway import ClientRequest, make_event, make_trigger_event
from tests.differential.both import HELLO, PLAIN, Options, Response
from tests.differential.difference import outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.differential.both import Seen

GET = ClientRequest("GET", "/")
TEXT = (b"content-type", b"text/plain")
TWO_COOKIES = (("Cookie", "a=1"), ("Cookie", "b=2"))


@dataclass(frozen=True)
class Demo:
    """An invocation, where to look, and what is to be seen there."""

    id: str
    look: Callable[[Seen], Any]
    theirs: Any
    ours: Any
    source: str
    event: Any
    response: Response = HELLO
    options: Options = PLAIN


def scope(key: str) -> Callable[[Seen], Any]:
    def look(seen: Seen) -> Any:
        assert seen.scope is not None
        return seen.scope.get(key, "absent")

    return look


def header(name: bytes) -> Callable[[Seen], Any]:
    def look(seen: Seen) -> Any:
        assert seen.scope is not None
        return [value for key, value in seen.scope["headers"] if key == name]

    return look


def names(seen: Seen) -> Any:
    assert seen.scope is not None
    return [name for name, _ in seen.scope["headers"]]


def answer(*keys: str) -> Callable[[Seen], Any]:
    def look(seen: Seen) -> Any:
        found = [seen.answer.get(key, "absent") for key in keys]
        return found[0] if len(found) == 1 else found

    return look


def event(source: str, request: ClientRequest = GET, **changes: Any) -> Any:
    """The event of a request, with top-level keys replaced (a dict updates a map)."""
    made = make_event(source, request)
    for key, value in changes.items():
        made[key] = {**made[key], **value} if isinstance(value, dict) else value
    return made


def edge(request: ClientRequest = GET, **changes: Any) -> Any:
    made = make_event("edge", request)
    made["Records"][0]["cf"]["request"].update(changes)
    return made


def get(target: str = "/", *headers: tuple[str, str]) -> ClientRequest:
    return ClientRequest("GET", target, headers)


def sends(
    *headers: tuple[Any, bytes], status: Any = 200, body: bytes = b"hello", plain: bool = True
) -> Response:
    return Response(status, (TEXT, *headers) if plain else headers, (body,))


REQUEST_DEMOS = (
    Demo("raw-path", scope("raw_path"), None, b"/a%2Fb", "alb", event("alb", get("/a%2Fb"))),
    Demo(
        "asgi-version",
        scope("asgi"),
        {"version": "3.0", "spec_version": "2.0"},
        {"version": "3.0", "spec_version": "2.5"},
        "http-api",
        event("http-api"),
    ),
    Demo(
        "http-version",
        scope("http_version"),
        "1.1",
        "2",
        "rest-api",
        event("rest-api", requestContext={"protocol": "HTTP/2.0"}),
    ),
    Demo(
        "extensions",
        lambda seen: sorted(seen.scope.get("extensions", ())) if seen.scope else None,
        [],
        ["http.response.pathsend", "penstock"],
        "edge",
        edge(),
    ),
    Demo("state", scope("state"), "absent", {}, "alb", event("alb")),
    Demo(
        "header-pairs",
        lambda seen: seen.scope["headers"][0] if seen.scope else None,
        [b"host", b"x"],
        (b"host", b"x"),
        "edge",
        edge(get("/", ("Host", "x"))),
    ),
    Demo(
        "decoded-once",
        scope("path"),
        "/aA",
        "/a%41",
        "function-url",
        event("function-url", get("/a%2541")),
    ),
    Demo(
        "path-key",
        scope("path"),
        "/my/path",
        "/my/path/",
        "http-api",
        event("http-api", get("/my/path"), rawPath="/my/path/"),
    ),
    Demo("edge-path", scope("path"), "/a%20b", "/a b", "edge", edge(get("/a%20b"))),
    Demo(
        "leading-slash",
        scope("path"),
        "users",
        "/users",
        "rest-api",
        event("rest-api", path="users"),
    ),
    Demo(
        "base-path",
        scope("path"),
        "ary/x",
        "/apiary/x",
        "rest-api",
        event("rest-api", get("/apiary/x")),
        options=Options(base_path="/api"),
    ),
    Demo(
        "query-blanks",
        scope("query_string"),
        b"a=x+y",
        b"a=x%20y",
        "rest-api",
        event("rest-api", get("/?a=x%20y")),
    ),
    Demo(
        "query-nulls",
        scope("query_string"),
        b"a=None",
        b"a=",
        "rest-api",
        event("rest-api", multiValueQueryStringParameters=None, queryStringParameters=None)
        | {"multiValueQueryStringParameters": {"a": [None]}},
    ),
    Demo(
        "alb-query",
        scope("query_string"),
        b"q=%EF%BF%BD+",
        b"q=%E9%20",
        "alb",
        event("alb", get("/?q=%E9%20")),
    ),
    Demo(
        "query-ascii",
        scope("query_string"),
        "a=é".encode(),
        b"a=%C3%A9",
        "function-url",
        event("function-url", rawQueryString="a=é"),
    ),
    Demo(
        "repeated-headers",
        header(b"x-a"),
        [b"1, 2"],
        [b"1", b"2"],
        "rest-api",
        event("rest-api", get("/", ("X-A", "1"), ("X-A", "2"))),
    ),
    Demo(
        "both-header-maps",
        header(b"x-a"),
        [],
        [b"1"],
        "alb-multi",
        event("alb-multi") | {"headers": {"x-a": "1"}},
    ),
    Demo(
        "cookie-lines",
        header(b"cookie"),
        [b"a=1, b=2"],
        [b"a=1; b=2"],
        "rest-api",
        event("rest-api", get("/", *TWO_COOKIES)),
    ),
    Demo(
        "content-length",
        header(b"content-length"),
        [],
        [b"3"],
        "rest-api",
        event("rest-api", ClientRequest("POST", "/", (), b"a=b")),
    ),
    Demo(
        "framing-headers",
        header(b"transfer-encoding"),
        [b"chunked"],
        [],
        "http-api",
        event("http-api", headers={"transfer-encoding": "chunked"}),
    ),
    Demo(
        "header-order",
        names,
        [b"x-b", b"x-a"],
        [b"x-a", b"x-b"],
        "rest-api",
        event("rest-api")
        | {
            "headers": {"X-B": "1", "X-A": "1"},
            "multiValueHeaders": {"X-A": ["1"], "X-B": ["1"]},
        },
    ),
    Demo(
        "scheme",
        scope("scheme"),
        "https, http",
        "https",
        "rest-api",
        event("rest-api", multiValueHeaders={"X-Forwarded-Proto": ["https", "http"]}),
    ),
    Demo(
        "server-port",
        scope("server"),
        ("example.com", 80),
        ("example.com", 443),
        "edge",
        edge(get("/", ("Host", "example.com"))),
    ),
    Demo(
        "server-name",
        scope("server"),
        ("mangum", 80),
        ("d111111abcdef8.cloudfront.net", 443),
        "edge",
        edge(headers={}),
    ),
    Demo(
        "client-address",
        scope("client"),
        ("10.0.0.1, 203.0.113.7", 0),
        ("203.0.113.7", 0),
        "alb",
        event("alb", get("/", ("X-Forwarded-For", "10.0.0.1"))),
    ),
    Demo(
        "client-absent",
        scope("client"),
        (None, 0),
        None,
        "rest-api",
        event("rest-api", requestContext={"identity": {}}),
    ),
    Demo(
        "method-case",
        scope("method"),
        "get",
        "GET",
        "rest-api",
        event("rest-api", httpMethod="get"),
    ),
)

ANSWER_DEMOS = (
    Demo(
        "always-all-keys",
        answer("cookies"),
        "absent",
        [],
        "http-api",
        event("http-api"),
    ),
    Demo(
        "content-type-made-up",
        answer("headers"),
        {"content-type": "application/json"},
        {},
        "http-api",
        event("http-api"),
        Response(204, (), ()),
    ),
    Demo(
        "text-without-type",
        answer("body", "isBase64Encoded"),
        ["aGVsbG8=", True],
        ["hello", False],
        "rest-api",
        event("rest-api"),
        sends(plain=False),
    ),
    Demo(
        "content-type-once",
        answer("headers", "multiValueHeaders", "body"),
        [{}, {"content-type": ["text/plain", "text/html"]}, "aGVsbG8="],
        [{"content-type": "text/plain"}, {}, "hello"],
        "rest-api",
        event("rest-api"),
        sends((b"content-type", b"text/html")),
    ),
    Demo(
        "text-types",
        answer("body", "isBase64Encoded"),
        ["aGVsbG8=", True],
        ["hello", False],
        "alb",
        event("alb"),
        sends((b"content-type", b"application/problem+json"), plain=False),
    ),
    Demo(
        "text-charset",
        answer("body", "isBase64Encoded"),
        ["a\0", False],
        ["YQA=", True],
        "alb",
        event("alb"),
        sends((b"content-type", b"text/plain; charset=utf-16"), plain=False, body=b"a\0"),
    ),
    Demo(
        "text-parameters",
        answer("body", "isBase64Encoded"),
        ["hello", False],
        ["aGVsbG8=", True],
        "alb",
        event("alb"),
        sends((b"content-type", b"application/octet-stream; x=text/"), plain=False),
    ),
    Demo(
        "content-encoding",
        answer("body", "isBase64Encoded"),
        ["hello", False],
        ["aGVsbG8=", True],
        "alb",
        event("alb"),
        sends((b"content-encoding", b"br")),
    ),
    Demo(
        "no-body",
        answer("body"),
        "hello",
        "",
        "http-api",
        event("http-api", ClientRequest("HEAD", "/")),
    ),
    Demo(
        "joined-with-blank",
        lambda seen: seen.answer["headers"]["vary"],
        "a,b",
        "a, b",
        "http-api",
        event("http-api"),
        sends((b"vary", b"a"), (b"vary", b"b")),
    ),
    Demo(
        "alb-repeats",
        answer("headers"),
        {"content-type": "text/plain", "vary": "a", "Vary": "b", "1": "c"},
        {"content-type": "text/plain", "vary": "a, b", "1": "c, d"},
        "alb",
        event("alb"),
        sends((b"vary", b"a"), (b"vary", b"b"), (b"1", b"c"), (b"1", b"d")),
    ),
    Demo(
        "edge-repeats",
        lambda seen: [entry["value"] for entry in seen.answer["headers"]["set-cookie"]],
        ["b=2"],
        ["a=1", "b=2"],
        "edge",
        edge(),
        sends((b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")),
    ),
    Demo(
        "hop-by-hop",
        lambda seen: "connection" in seen.answer["headers"],
        True,
        False,
        "rest-api",
        event("rest-api"),
        sends((b"connection", b"keep-alive")),
    ),
    Demo(
        "edge-refused",
        lambda seen: "via" in seen.answer["headers"],
        True,
        False,
        "edge",
        edge(),
        sends((b"via", b"1.1 example")),
    ),
    Demo(
        "exclude-headers",
        lambda seen: "x-a" in seen.answer["headers"],
        True,
        False,
        "http-api",
        event("http-api"),
        sends((b"x-a", b"1")),
        Options(exclude_headers=("X-A",)),
    ),
    Demo(
        "alb-description",
        answer("statusDescription"),
        "absent",
        "200 OK",
        "alb",
        event("alb"),
    ),
    Demo(
        "edge-form",
        answer("status", "isBase64Encoded", "bodyEncoding"),
        [200, True, "absent"],
        ["200", "absent", "base64"],
        "edge",
        edge(),
        sends((b"content-type", b"image/png"), plain=False),
    ),
)

OUTCOME_DEMOS = (
    Demo(
        "absent-fields",
        outcome,
        "raised AttributeError",
        "answered 200",
        "http-api",
        event("http-api", headers=None),
    ),
    Demo(
        "server-headers",
        outcome,
        "raised ValueError",
        "answered 200",
        "http-api",
        event("http-api", get("/", ("Host", "[2001:db8::1]:8080"))),
    ),
    Demo(
        "lone-surrogates",
        outcome,
        "raised UnicodeEncodeError",
        "answered 200",
        "http-api",
        event("http-api", body="\ud800"),
    ),
    Demo(
        "short-events",
        outcome,
        "raised RuntimeError",
        "answered 200",
        "rest-api",
        {"httpMethod": "GET", "path": "/"},
    ),
    Demo(
        "vpc-lattice",
        outcome,
        "raised KeyError",
        "answered 200",
        "lattice-2",
        event("lattice-2"),
    ),
    Demo(
        "not-a-request",
        outcome,
        "answered 200",
        "raised UnsupportedEvent",
        "lookalike",
        event("http-api", type="REQUEST", routeArn="arn:aws:execute-api:x"),
    ),
    Demo(
        "not-a-request",
        outcome,
        "raised RuntimeError",
        "raised UnsupportedEvent",
        "event",
        make_trigger_event("sqs", ["hello"]),
    ),
    Demo(
        "bad-requests",
        outcome,
        "answered 200",
        "refused with 400",
        "http-api",
        event("http-api", body="aGVs!bG8=", isBase64Encoded=True),
    ),
    Demo(
        "cut-bodies",
        outcome,
        "answered 200",
        "refused with 413",
        "edge",
        edge(body={"inputTruncated": True, "encoding": "base64", "data": "YQ=="}),
    ),
    Demo(
        "latin-1-headers",
        outcome,
        "raised UnicodeDecodeError",
        "answered 200",
        "rest-api",
        event("rest-api"),
        sends((b"x-name", b"caf\xe9")),
    ),
    Demo(
        "bad-responses",
        outcome,
        "answered 200",
        "answered 500",
        "rest-api",
        event("rest-api"),
        sends((b"x-a", b"1\r\nset-cookie: b=2")),
    ),
    Demo(
        "too-large",
        outcome,
        "answered 200",
        "answered 502",
        "alb",
        event("alb"),
        sends(body=b"a" * 1_000_001),
    ),
)

DEMOS = (*REQUEST_DEMOS, *ANSWER_DEMOS, *OUTCOME_DEMOS)
