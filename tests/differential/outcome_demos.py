"""An event for every difference in what becomes of an invocation."""

from __future__ import annotations

from penstock.infra.gateway import make_trigger_event
from tests.differential.demo import Demo, edge, event, get, sends
from tests.differential.difference import outcome

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
