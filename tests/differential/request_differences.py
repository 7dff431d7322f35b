"""Differences in what reaches the application. The functions restate each rule from the event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from tests.differential.difference import SCOPE, Difference

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.differential.both import Case

Headers = list[tuple[bytes, bytes]]

PAYLOAD_1 = ("rest-api", "http-api-1")
PAYLOAD_2 = ("http-api", "function-url")
GATEWAY = (*PAYLOAD_1, *PAYLOAD_2)
ALB = ("alb", "alb-multi")
UNWANTED = (b"transfer-encoding", b"x-penstock-event-source")
PATH_SAFE = "/:@!$&'()*+,;=-._~"


def edge_request(case: Case) -> dict[str, Any]:
    request: dict[str, Any] = case.event["Records"][0]["cf"]["request"]
    return request


def wire_path(case: Case) -> str:
    """The path as the event has it: decoded on HTTP APIs (2.0), encoded elsewhere."""
    if case.source == "edge":
        return str(edge_request(case)["uri"])
    return str(case.event["rawPath" if case.source in PAYLOAD_2 else "path"])


def slashed(path: str) -> str:
    return path if path.startswith("/") else "/" + path


def is_decoded(path: str) -> bool:
    """Whether this cannot be an encoded path."""
    return any(not "!" <= character <= "~" for character in path)


def raw_path(case: Case) -> bytes:
    path = slashed(wire_path(case))
    if case.source == "http-api" or is_decoded(path):
        path = quote(path, safe=PATH_SAFE)
    return path.encode("ascii")


def right_path(case: Case) -> str:
    path = slashed(wire_path(case))
    if case.source != "http-api" and not is_decoded(path):
        path = unquote(path)
    base = "/" + case.options.base_path.strip("/")
    if base != "/" and (path == base or path.startswith(base + "/")):
        return path.removeprefix(base) or "/"
    return path


def request_headers(case: Case) -> dict[str, list[str]]:
    """Every value of every header in the event, names in lower case, the map of lists first."""
    result: dict[str, list[str]] = {}
    if case.source == "edge":
        for name, entries in edge_request(case)["headers"].items():
            result[name.lower()] = [entry["value"] for entry in entries]
        return result
    for name, values in (case.event.get("multiValueHeaders") or {}).items():
        found = result.setdefault(name.lower(), [])
        found += [value for value in (values or []) if value is not None]
    seen = set(result)
    for name, value in (case.event.get("headers") or {}).items():
        if name.lower() not in seen:
            result.setdefault(name.lower(), []).append(value)
    return result


def last_value(case: Case, name: str) -> str:
    values = request_headers(case).get(name) or [""]
    return values[-1]


def query_pairs(case: Case) -> list[tuple[str, str]]:
    multi = case.event.get("multiValueQueryStringParameters") or {}
    single = case.event.get("queryStringParameters") or {}
    pairs = [
        (name, value)
        for name, values in multi.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    pairs += [(name, value) for name, value in single.items() if name not in multi]
    return [(name, "" if value is None else value) for name, value in pairs]


def has_query_gaps(case: Case) -> bool:
    multi = case.event.get("multiValueQueryStringParameters") or {}
    single = case.event.get("queryStringParameters") or {}
    values = [*single.values(), *(value for values in multi.values() for value in values)]
    return None in values or bool(multi and single.keys() - multi.keys())


def escaped_query(case: Case) -> bytes:
    pairs = [f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in query_pairs(case)]
    return "&".join(pairs).encode()


def alb_query(case: Case) -> bytes:
    return "&".join(f"{name}={value}" for name, value in query_pairs(case)).encode()


def right_scheme(case: Case) -> str:
    if case.source in ALB:
        last = last_value(case, "x-forwarded-proto").split(",")[-1].strip()
        return "http" if last == "http" else "https"
    if case.source == "edge":
        config = case.event["Records"][0]["cf"].get("config") or {}
        is_http = last_value(case, "cloudfront-forwarded-proto") == "http"
        return "http" if is_http and config.get("eventType") == "origin-request" else "https"
    domain = str((case.event.get("requestContext") or {}).get("domainName")).split(":")[0]
    local = domain in ("localhost", "127.0.0.1")
    return "http" if local and last_value(case, "x-forwarded-proto") == "http" else "https"


def domain_name(case: Case) -> str | None:
    if case.source == "edge":
        config = case.event["Records"][0]["cf"].get("config") or {}
        return config.get("distributionDomainName")
    return (case.event.get("requestContext") or {}).get("domainName")


def default_port(case: Case) -> int:
    given = last_value(case, "x-forwarded-port")
    if given.isdigit():
        return int(given)
    return 443 if right_scheme(case) == "https" else 80


def without_host(case: Case) -> tuple[str, int] | None:
    domain = domain_name(case)
    return (domain, default_port(case)) if domain else None


def forwarded_client(case: Case) -> tuple[str, int] | None:
    item = last_value(case, "x-forwarded-for").split(",")[-1].strip()
    port = ""
    if item.startswith("["):
        item, _, port = item[1:].partition("]")
        port = port.removeprefix(":")
    elif item.count(":") == 1:
        item, _, port = item.partition(":")
    return (item, int(port or 0)) if item else None


def spread(headers: Headers, case: Case) -> Headers:
    """Each value of the event in a pair of its own."""
    values = request_headers(case)
    result: Headers = []
    for name, value in headers:
        mine = values.get(name.decode())
        result += [(name, item.encode()) for item in mine] if mine is not None else [(name, value)]
    return result


def one_cookie_line(headers: Headers, case: Case) -> Headers:
    line = b"; ".join(value for name, value in headers if name == b"cookie")
    first = next(place for place, pair in enumerate(headers) if pair[0] == b"cookie")
    rest = [pair for pair in headers if pair[0] != b"cookie"]
    return [*rest[:first], (b"cookie", line), *rest[first:]]


def right_length(headers: Headers, case: Case) -> Headers:
    rest = [pair for pair in headers if pair[0] != b"content-length"]
    return [*rest, (b"content-length", str(len(case.ours.body or b"")).encode())]


def length_is_wrong(headers: Headers, case: Case) -> bool:
    lengths = [value for name, value in headers if name == b"content-length"]
    body = case.ours.body or b""
    return (lengths or [b"" if body else b"0"])[-1] != str(len(body)).encode()


def in_penstocks_order(headers: Headers, case: Case) -> Headers:
    """The same pairs, names in penstock's order; the values of one name stay in theirs."""
    assert case.ours.scope is not None
    left = list(headers)
    result: Headers = []
    for name, _ in case.ours.scope["headers"]:
        place = next((place for place, pair in enumerate(left) if pair[0] == name), None)
        if place is not None:
            result.append(left.pop(place))
    return [*result, *left]


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


def extensions(case: Case) -> dict[str, Any]:
    assert case.ours.scope is not None
    deadline = case.ours.scope["extensions"]["penstock"]["deadline"]
    assert isinstance(deadline, float)
    facts = {
        "deadline": deadline,
        "no_disconnect": True,
        "event_source": case.source,
        "request_id": "8f507cfc-xmpl-4697-b07a-ac58fc914c95",
    }
    return {"http.response.pathsend": {}, "penstock": facts}


def http_version(case: Case) -> str:
    context = case.event.get("requestContext") or {}
    protocol = (context.get("http") or context).get("protocol")
    return {"HTTP/1.0": "1.0", "HTTP/2.0": "2", "HTTP/2": "2"}.get(str(protocol), "1.1")


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


def context_path(case: Case) -> str:
    return str(case.event["requestContext"]["http"]["path"])


def raw_query(case: Case) -> str:
    if case.source == "edge":
        return edge_request(case)["querystring"] or ""
    return case.event.get("rawQueryString") or ""
