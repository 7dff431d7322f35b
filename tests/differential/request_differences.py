"""Differences in what reaches the application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.differential.difference import SCOPE, Difference
from tests.differential.request_rules import (
    ALB,
    GATEWAY,
    PAYLOAD_1,
    PAYLOAD_2,
    UNWANTED,
    alb_query,
    context_path,
    default_port,
    escaped_query,
    extensions,
    forwarded_client,
    has_query_gaps,
    http_version,
    in_penstocks_order,
    is_decoded,
    last_value,
    length_is_wrong,
    one_cookie_line,
    raw_path,
    raw_query,
    request_headers,
    right_length,
    right_path,
    right_scheme,
    spread,
    wire_path,
    without_host,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.differential.both import Case


def of_key(
    key: str, function: Callable[..., Any], when: Callable[[Any, Case], bool]
) -> dict[str, Any]:
    """``when`` and ``turn`` of a difference in one key of the scope."""

    def turn(scope: dict[str, Any], case: Case) -> dict[str, Any]:
        of_headers = key == "headers"
        scope[key] = function(scope[key], case) if of_headers else function(case)
        return scope

    def applies(scope: dict[str, Any], case: Case) -> bool:
        return when(scope.get(key), case)

    return {"part": SCOPE, "keys": (key,), "when": applies, "turn": turn}


REQUEST_DIFFERENCES = (
    Difference(
        "raw-path",
        "scope `raw_path`",
        "everywhere",
        "`None`",
        "the encoded path, as bytes",
        "`%2F` in a path can be told from a slash, wherever the event still has it.",
        **of_key("raw_path", raw_path, lambda value, _: value is None),
    ),
    Difference(
        "asgi-version",
        "scope `asgi`",
        "everywhere",
        '`spec_version` is `"2.0"`',
        '`"2.5"`',
        "Frameworks look at it before they use what is newer.",
        **of_key("asgi", lambda _: {"version": "3.0", "spec_version": "2.5"}, lambda *_: True),
    ),
    Difference(
        "http-version",
        "scope `http_version`",
        "API Gateway, Function URL",
        'always `"1.1"`',
        "what the event says",
        "It is in the event.",
        **of_key(
            "http_version",
            http_version,
            lambda _, case: case.source in GATEWAY and http_version(case) != "1.1",
        ),
    ),
    Difference(
        "extensions",
        "scope `extensions`",
        "everywhere",
        "absent",
        "`penstock` (deadline, event source, request id) and `http.response.pathsend`",
        "Applications can ask how much time is left, and send files by their path.",
        **of_key("extensions", extensions, lambda value, _: value is None),
    ),
    Difference(
        "state",
        "scope `state`",
        'with `lifespan="off"`',
        "absent",
        "an empty map",
        "Code that reads the state need not ask whether it is there.",
        **of_key("state", lambda _: {}, lambda value, _: value is None),
    ),
    Difference(
        "header-pairs",
        "scope `headers`",
        "everywhere",
        "lists of two",
        "tuples of two",
        "ASGI allows both; nothing of the request should be changed in place.",
        **of_key("headers", lambda value, _: [tuple(pair) for pair in value], lambda *_: True),
    ),
    Difference(
        "decoded-once",
        "scope `path`",
        "HTTP API, Function URL, with `%25` in the client's URL",
        "decoded twice: `/a%2541` becomes `/aA`",
        "decoded once: `/a%41`",
        "Two URLs must not reach one route: access checks would look at the wrong one.",
        **of_key(
            "path",
            right_path,
            lambda _, case: (
                (case.source in PAYLOAD_2 and "%" in context_path(case))
                or (case.source in PAYLOAD_1 and is_decoded(wire_path(case)))
            ),
        ),
    ),
    Difference(
        "path-key",
        "scope `path`",
        "HTTP API, events whose two paths disagree",
        "`requestContext.http.path`",
        "`rawPath`",
        "`rawPath` has the slash at the end, which the other may lack.",
        **of_key(
            "path",
            right_path,
            lambda _, case: case.source == "http-api" and context_path(case) != wire_path(case),
        ),
    ),
    Difference(
        "edge-path",
        "scope `path`",
        "Lambda@Edge",
        "left encoded: `/a%20b`",
        "decoded: `/a b`",
        "ASGI's path is decoded.",
        **of_key(
            "path", right_path, lambda _, case: case.source == "edge" and "%" in wire_path(case)
        ),
    ),
    Difference(
        "leading-slash",
        "scope `path`",
        "hand-made events",
        "`users` stays `users`, an empty path at the edge stays empty",
        "`/users`, `/`",
        "No route matches a path without its slash.",
        **of_key("path", right_path, lambda _, case: not wire_path(case).startswith("/")),
    ),
    Difference(
        "base-path",
        "scope `path`",
        "with `api_gateway_base_path`",
        "cut in mid-word (`/api` from `/apiary`), a last slash of it cut too, an empty path left,"
        " only API Gateway",
        "cut in whole segments, `/` left, compared decoded, behind every front door",
        "`/apiary/x` is not below `/api`; some frameworks cannot route an empty path.",
        **of_key("path", right_path, lambda _, case: case.options.base_path.strip("/") != ""),
    ),
    Difference(
        "query-blanks",
        "scope `query_string`",
        "REST API, HTTP API 1.0",
        "a blank is written `+`",
        "`%20`",
        "Every parser reads `%20` as a blank, not every one `+`.",
        **of_key(
            "query_string",
            escaped_query,
            lambda value, case: case.source in PAYLOAD_1 and b"+" in value,
        ),
    ),
    Difference(
        "query-nulls",
        "scope `query_string`",
        "REST API, HTTP API 1.0; hand-made events",
        "`null` in the map becomes `a=None`; names only in the single-value map are left out",
        "`a=`; they are added",
        "`None` is a word that nobody sent.",
        **of_key(
            "query_string",
            escaped_query,
            lambda _, case: case.source in PAYLOAD_1 and has_query_gaps(case),
        ),
    ),
    Difference(
        "alb-query",
        "scope `query_string`",
        "ALB",
        "decoded and encoded again: `%E9` becomes `%EF%BF%BD`, `%20` becomes `+`, `a+b` and"
        " `a%20b` become one name",
        "as the client sent it",
        "The load balancer has decoded nothing.",
        **of_key(
            "query_string",
            alb_query,
            lambda value, case: case.source in ALB and value != alb_query(case),
        ),
    ),
    Difference(
        "query-ascii",
        "scope `query_string`",
        "hand-made events with text that is not ASCII in the encoded query",
        "its UTF-8 bytes",
        "percent-encoded",
        "ASGI's query string is percent-encoded.",
        **of_key(
            "query_string",
            lambda case: quote(raw_query(case), safe="%/:@!$&'()*+,;=-._~?[]{}|\\^`\"<>").encode(),
            lambda _, case: case.source in (*PAYLOAD_2, "edge") and is_decoded(raw_query(case)),
        ),
    ),
    Difference(
        "repeated-headers",
        "scope `headers`",
        "REST API, HTTP API 1.0, Lambda@Edge",
        "one value, joined with `, ` (at the edge: the first, the others lost)",
        "a pair for each",
        "Not every header is a list: dates and cookies have commas.",
        **of_key(
            "headers",
            spread,
            lambda _, case: (
                case.source in (*PAYLOAD_1, "edge")
                and any(len(values) != 1 for values in request_headers(case).values())
            ),
        ),
    ),
    Difference(
        "both-header-maps",
        "scope `headers`",
        "ALB; events with both header maps",
        "the map of lists only",
        "names that are only in the other map are added",
        "The two differ in real events.",
        **of_key(
            "headers",
            lambda value, case: [
                *value,
                *(
                    (name.encode(), item.encode())
                    for name, items in request_headers(case).items()
                    for item in items
                    if name.encode() not in dict(value)
                ),
            ],
            lambda value, case: (
                case.source in ALB
                and bool(request_headers(case).keys() - {name.decode() for name, _ in value})
            ),
        ),
    ),
    Difference(
        "cookie-lines",
        "scope `headers`",
        "REST API, HTTP API 1.0, ALB (multi-value), Lambda@Edge, with several cookie lines",
        "joined with `, `, or several pairs, or the first only",
        "one line, joined with `; `",
        "HTTP/2 clients send a line for each cookie, and `, ` loses the session (RFC 9113 8.2.3).",
        **of_key(
            "headers",
            one_cookie_line,
            lambda value, _: sum(name == b"cookie" for name, _ in value) > 1,
        ),
    ),
    Difference(
        "content-length",
        "scope `headers`",
        "REST API with a body; wherever the length is wrong",
        "absent, or as the client wrote it",
        "the length of the body that the application reads",
        "Without it Django's form parser returns no fields and no files, with status 200.",
        **of_key("headers", right_length, length_is_wrong),
    ),
    Difference(
        "framing-headers",
        "scope `headers`",
        "everywhere",
        "`transfer-encoding` and `x-penstock-event-source` are passed on",
        "left out",
        "The body is complete; the second is what penstock asserts on non-HTTP events.",
        **of_key(
            "headers",
            lambda value, _: [pair for pair in value if pair[0] not in UNWANTED],
            lambda value, _: any(name in UNWANTED for name, _ in value),
        ),
    ),
    Difference(
        "header-order",
        "scope `headers`",
        "everywhere",
        "another order between different names",
        "the order of the map of lists, then added ones",
        "The order of different names means nothing (RFC 9110 5.3); equal names keep theirs.",
        **of_key("headers", in_penstocks_order, lambda *_: True),
    ),
    Difference(
        "scheme",
        "scope `scheme`",
        "everywhere",
        "`x-forwarded-proto` as it is, also `https, http`",
        "`https` on front doors that are TLS only and in viewer requests; on an ALB the last item",
        "A client can write that header, and a scheme is one word.",
        **of_key("scheme", right_scheme, lambda value, case: value != right_scheme(case)),
    ),
    Difference(
        "server-port",
        "scope `server`",
        "no port in `host`, no `x-forwarded-port`",
        "port 80, also with https",
        "443 with https",
        "Absolute URLs would get `:80`.",
        **of_key(
            "server",
            lambda case: (last_value(case, "host"), default_port(case)),
            lambda value, case: value[1] == 80 and ":" not in last_value(case, "host"),
        ),
    ),
    Difference(
        "server-name",
        "scope `server`",
        "no `host` header",
        '`("mangum", 80)`',
        "the domain name in the event, else `None`",
        "The name should be one that exists.",
        **of_key("server", without_host, lambda _, case: not last_value(case, "host")),
    ),
    Difference(
        "client-address",
        "scope `client`",
        "ALB",
        "all of `x-forwarded-for`: `a, b`, brackets and port included",
        "the last item, which the balancer itself saw, parsed",
        "The items before it are what a client claims.",
        **of_key(
            "client",
            forwarded_client,
            lambda value, case: case.source in ALB and value != forwarded_client(case),
        ),
    ),
    Difference(
        "client-absent",
        "scope `client`",
        "events without an address",
        '`(None, 0)` or `("", 0)`',
        "`None`",
        "That is how ASGI says it.",
        **of_key("client", lambda _: None, lambda value, _: value is not None and not value[0]),
    ),
    Difference(
        "method-case",
        "scope `method`",
        "hand-made events",
        "as it is in the event",
        "upper case",
        "ASGI says so.",
        **of_key(
            "method",
            lambda case: (case.theirs.scope or {})["method"].upper(),
            lambda value, _: not value.isupper(),
        ),
    ),
)
