"""Differences in what becomes of an invocation: served, refused, failed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.differential.difference import OUTCOME, Difference, outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.differential.both import Case

SERVED = ("rest-api", "http-api", "http-api-1", "function-url", "alb", "alb-multi", "edge")
LATTICE = ("lattice-1", "lattice-2")
NOT_SERVED = ("event", "websocket", "lookalike")
BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def raises(*names: str) -> Callable[[str, Case], bool]:
    def check(theirs: str, case: Case) -> bool:
        return case.source in SERVED and theirs in [f"raised {name}" for name in names]

    return check


def answered(case: Case, status: object = None) -> str:
    return f"answered {case.response.status if status is None else status}"


def edge_body(case: Case) -> dict[str, Any]:
    body: dict[str, Any] = case.event["Records"][0]["cf"]["request"].get("body") or {}
    return body


def has_broken_body(case: Case) -> bool:
    if case.source == "edge":
        body, flag = edge_body(case).get("data"), edge_body(case).get("encoding") == "base64"
    elif case.source in SERVED:
        body, flag = case.event.get("body"), case.event.get("isBase64Encoded")
    else:
        return False
    return bool(flag) and isinstance(body, str) and not BASE64.fullmatch(body)


def request_header_pairs(case: Case) -> list[tuple[str, Any]]:
    single = (case.event.get("headers") or {}).items()
    multi = (case.event.get("multiValueHeaders") or {}).items()
    return [*single, *((name, value) for name, items in multi for value in items or [])]


def has_broken_headers(case: Case) -> bool:
    if case.source not in SERVED or case.source == "edge":
        return False
    return any(
        not re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name)
        or (isinstance(value, str) and re.search(r"[\r\n\0]", value) is not None)
        for name, value in request_header_pairs(case)
    )


def has_broken_method(case: Case) -> bool:
    method = case.event.get("httpMethod") if case.source in SERVED[:1] else "GET"
    return not re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", str(method))


def is_bad_request(_: str, case: Case) -> bool:
    return has_broken_body(case) or has_broken_headers(case) or has_broken_method(case)


def is_bad_response(case: Case) -> bool:
    status = case.response.status
    if type(status) is not int or not 100 <= status <= 599:
        return True
    return any(
        not isinstance(name, bytes)
        or not re.fullmatch(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name)
        or re.search(rb"[\r\n\0]", value) is not None
        for name, value in case.response.headers
    )


def has_latin_1(case: Case) -> bool:
    for _, value in case.response.headers:
        try:
            value.decode()
        except UnicodeDecodeError:
            return True
    return False


LIMITS = {"alb": 1_000_000, "alb-multi": 1_000_000, "edge": 40_000}


def is_too_large(_: str, case: Case) -> bool:
    body = len(case.response.body)
    return case.source in SERVED and body > LIMITS.get(case.source, 6_291_556)


OUTCOME_DIFFERENCES = (
    Difference(
        "absent-fields",
        "what is served",
        "events with `null` or missing maps, headers, query or address",
        "`AttributeError`, `KeyError` or `TypeError`: the invocation fails",
        "served; `null` is empty",
        "The console's test button and several templates send such events.",
        part=OUTCOME,
        when=lambda theirs, case: (
            raises("AttributeError", "KeyError", "TypeError")(theirs, case)
            and outcome(case.ours) == answered(case)
            and case.theirs.scope is None
        ),
        turn=lambda _, case: answered(case),
    ),
    Difference(
        "server-headers",
        "what is served",
        "IPv6 `host`; several or odd `x-forwarded-port`",
        "`ValueError`: the invocation fails",
        "served",
        "Any client could fail an invocation with a header.",
        part=OUTCOME,
        when=lambda theirs, case: raises("ValueError")(theirs, case) and case.theirs.scope is None,
        turn=lambda _, case: answered(case),
    ),
    Difference(
        "lone-surrogates",
        "what is served",
        "half of a UTF-16 pair in the event's JSON",
        "`UnicodeEncodeError`: the invocation fails",
        "served; passed on as WTF-8 bytes",
        "Any client could fail an invocation with a body.",
        part=OUTCOME,
        when=raises("UnicodeEncodeError"),
        turn=lambda _, case: answered(case),
    ),
    Difference(
        "short-events",
        "what is served",
        "hand-made REST events without `resource` or `requestContext`",
        "`RuntimeError`",
        "served",
        "Method and path are all that a request needs.",
        part=OUTCOME,
        when=raises("RuntimeError"),
        turn=lambda _, case: answered(case),
    ),
    Difference(
        "vpc-lattice",
        "what is served",
        "VPC Lattice, both event versions",
        "`RuntimeError`, `KeyError`",
        "served",
        "It is a front door like the others.",
        part=OUTCOME,
        when=lambda theirs, case: case.source in LATTICE,
        turn=lambda _, case: answered(case),
    ),
    Difference(
        "not-a-request",
        "what is served",
        "authorizer requests, CloudFront responses, WebSocket APIs, and everything that is no HTTP",
        "the application runs as if for a request, or `RuntimeError`, `KeyError`, `TypeError`",
        "`UnsupportedEvent`, or a `POST` to the application with `PENSTOCK_EVENTS_PATH`",
        "The answer of a page is no verdict of an authorizer, and an event is not to be lost.",
        part=OUTCOME,
        when=lambda _, case: case.source in NOT_SERVED,
        turn=lambda *_: "raised UnsupportedEvent",
    ),
    Difference(
        "bad-requests",
        "what is served",
        "broken base64, line breaks in header values, header names and methods that are none",
        "bytes dropped or `binascii.Error`; headers and methods passed on",
        "the client gets 400, the log the field",
        "Nothing is cut off in silence, and no request splits another.",
        part=OUTCOME,
        when=is_bad_request,
        turn=lambda *_: "refused with 400",
    ),
    Difference(
        "cut-bodies",
        "what is served",
        "Lambda@Edge, `inputTruncated`",
        "the application gets the first part of the body",
        "the client gets 413",
        "A part of an upload is a broken upload.",
        part=OUTCOME,
        when=lambda _, case: case.source == "edge" and bool(edge_body(case).get("inputTruncated")),
        turn=lambda *_: "refused with 413",
    ),
    Difference(
        "latin-1-headers",
        "what is answered",
        "a header value that is not UTF-8",
        "`UnicodeDecodeError`: the invocation fails",
        "taken for latin-1",
        "That is what header bytes are where they are not UTF-8.",
        part=OUTCOME,
        when=lambda theirs, case: raises("UnicodeDecodeError")(theirs, case) and has_latin_1(case),
        turn=lambda _, case: answered(case),
    ),
    Difference(
        "bad-responses",
        "what is answered",
        "a status outside of 100 to 599 or no number, header names that are none, line breaks in"
        " values",
        "passed on, or `AttributeError`; the gateway answers 502, or splits the response",
        "500, and the log says what was wrong",
        "ASGI forbids them, and the message tells where.",
        part=OUTCOME,
        when=lambda _, case: case.source in SERVED and is_bad_response(case),
        turn=lambda _, case: answered(case, 500),
    ),
    Difference(
        "too-large",
        "what is answered",
        "answers that Lambda or the front door refuses",
        "returned: Lambda fails the invocation, an ALB answers 502 without a word",
        "502, with the limit in it",
        "Client and log say why.",
        part=OUTCOME,
        when=is_too_large,
        turn=lambda _, case: answered(case, 502),
    ),
)
