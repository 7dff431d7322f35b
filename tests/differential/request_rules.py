"""What should reach the application: each rule restated from the event alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

if TYPE_CHECKING:
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


def context_path(case: Case) -> str:
    return str(case.event["requestContext"]["http"]["path"])


def raw_query(case: Case) -> str:
    if case.source == "edge":
        return edge_request(case)["querystring"] or ""
    return case.event.get("rawQueryString") or ""
