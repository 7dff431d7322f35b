"""From the facts that an event source has read to a complete ASGI HTTP scope."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from penstock.adapter.errors import EventError
from penstock.adapter.headers import consists_of, is_token, merge_maps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.adapter.asgi import Headers, Scope
    from penstock.adapter.settings import Settings

# Set by penstock on non-HTTP events only, so no HTTP client may bring it.
EVENT_SOURCE_HEADER = b"x-penstock-event-source"

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"))
_HTTP_VERSIONS = {"HTTP/1.0": "1.0", "HTTP/2.0": "2", "HTTP/2": "2"}
# RFC 3986 section 2.3 (unreserved), section 3.3 (what a path may hold), section 2.1 (escapes).
_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_IN_QUERY = _UNRESERVED + b"=&"
_IN_PATH = _UNRESERVED + b"/:@!$&'()*+,;="
_NOT_UNRESERVED = rb"[^A-Za-z0-9\-._~]"
_NOT_IN_PATH = rb"[^A-Za-z0-9/:@!$&'()*+,;=\-._~]"
_NOT_VISIBLE = rb"[^!-~]"
_PERCENT = rb"%([0-9A-Fa-f]{2})"


def http_scope(
    source: str,
    settings: Settings,
    event: Mapping[str, Any],
    body: bytes,
    *,
    method: object,
    path: str,
    raw_path: str,
    root_path: str,
    query: bytes,
    headers: Headers,
    by_name: dict[bytes, bytes],
    scheme: str,
    client: tuple[str, int] | None,
    domain: object = None,
    protocol: object = None,
) -> Scope:
    """Return the scope ("HTTP & WebSocket ASGI Message Format", HTTP Connection Scope).

    ``path`` is decoded and includes ``root_path``; ``raw_path`` is the encoded path of the same
    request target, ASCII. The header list gets what the front door left out or got wrong:
    one cookie line, the length of the body that the application will really read. ``by_name`` is
    the list as a dict.
    Raises: EventError for a method that is none.
    """
    if type(method) is not str or method not in _METHODS:
        method = _other_method(source, method)
    if len(by_name) != len(headers) and sum(name == b"cookie" for name, _ in headers) > 1:
        headers = _one_cookie_line(headers)
        by_name = dict(headers)
    if settings.headers_from:
        headers = _fill_headers(headers, by_name, settings.headers_from)
        by_name = dict(headers)
    if b"transfer-encoding" in by_name or EVENT_SOURCE_HEADER in by_name:
        headers = _without(headers, b"transfer-encoding", EVENT_SOURCE_HEADER)
    length = by_name.get(b"content-length")
    if body:
        right_length = b"%d" % len(body)
        if length != right_length:
            if length is not None:
                headers = _without(headers, b"content-length")
            headers.append((b"content-length", right_length))
    elif length is not None and length != b"0":
        headers = [*_without(headers, b"content-length"), (b"content-length", b"0")]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": _HTTP_VERSIONS.get(protocol, "1.1") if isinstance(protocol, str) else "1.1",
        "method": method,
        "scheme": scheme,
        "path": path,
        "raw_path": raw_path.encode("ascii"),
        "query_string": query,
        "root_path": root_path,
        "headers": headers,
        "client": client,
        "server": _server(
            by_name.get(b"host"),
            domain if isinstance(domain, str) else "",
            by_name.get(b"x-forwarded-port"),
            scheme,
        ),
        "aws.event": event,
    }


def split_path(encoded: str, root_path: str = "") -> tuple[str, str]:
    """Return the decoded path and the ASCII raw path of an encoded one below ``root_path``.

    Percent-escapes are decoded once, as uvicorn does: what is not UTF-8 becomes U+FFFD in the path
    and stays as it is in the raw path; ``+`` is a plus, an inner ``//`` stays. A leading slash is
    added if there is none. What no encoded path can hold (blanks, text that is not ASCII) shows
    that the path was decoded already: then the raw path is what is made up.
    """
    if not encoded.startswith("/"):
        encoded = "/" + encoded
    encoded = root_path + encoded
    if consists_of(_IN_PATH, encoded):
        return encoded, encoded
    if not _is_visible_ascii(encoded):
        return encoded, quote_path(encoded)
    if "%" not in encoded:
        return encoded, encoded
    decoded = _compiled(_PERCENT).sub(_unescape, encoded.encode("ascii"))
    return decoded.decode("utf-8", "replace"), encoded


def quote_path(path: str) -> str:
    """Return the path with everything escaped that RFC 3986 section 3.3 does not allow in one."""
    if consists_of(_IN_PATH, path):
        return path
    return _escape(_NOT_IN_PATH, path)


def ascii_query(source: str, query: object) -> bytes:
    """Return an encoded query as it is; what is not ASCII is escaped.

    Raises: EventError if it is no text (null is an empty query).
    """
    if not query:
        return b""
    if not isinstance(query, str):
        raise EventError(source, "query", f"expected text, got {type(query).__name__}")
    if not _is_visible_ascii(query):
        query = _escape(_NOT_VISIBLE, query)
    return query.encode("ascii")


def encode_query(multi: object, single: object) -> bytes:
    """Return the query of decoded maps, all of it escaped: a blank is %20, a plus %2B.

    ``multi`` has lists of values and wins, ``single`` has one a name; either may be missing.
    A null value is an empty one.
    """
    if isinstance(multi, dict) and isinstance(single, dict) and [*multi] == [*single]:
        pairs = _plain_pairs(multi)
        query = "&".join(pairs)
        # Nothing to escape, and no = or & but those between names and values.
        if consists_of(_IN_QUERY, query) and (
            query.count("=") + query.count("&") == 2 * len(pairs) - 1
        ):
            return query.encode()
    merged = merge_maps(multi, single)
    return "&".join([f"{_escaped(name)}={_escaped(value)}" for name, value in merged]).encode()


def _plain_pairs(multi: dict[Any, Any]) -> list[str]:
    """The pairs of a map of lists of text; none if it is not that throughout."""
    pairs = []
    try:
        for name, values in multi.items():
            if type(values) is not list:
                return []
            for value in values:
                pairs.append(name + "=" + value)  # noqa: PERF401 - two loops, one list
    except TypeError:
        return []
    return pairs


def _escaped(text: object) -> str:
    if text is None:
        return ""
    text = str(text)
    if consists_of(_UNRESERVED, text):
        return text
    return _escape(_NOT_UNRESERVED, text)


def mount(settings: Settings, root_path: str, path: str) -> tuple[str, str]:
    """Return ``path`` and the ``root_path`` that the application is mounted at, both decoded.

    The option ``base_path`` adds to the root path where the rest of the path begins with it, in
    whole segments: ``/api`` is no base of ``/apiary``. ASGI's path includes the root path; an
    application that is asked for nothing else gets a slash, as some cannot route an empty path.
    """
    base_path = settings.base_path
    if base_path:
        for longer in (root_path + base_path, base_path):
            if path == longer or path.startswith(longer + "/"):
                root_path = longer
                break
    return (path + "/" if path == root_path else path), root_path


def gateway_client(facts: dict[str, Any]) -> tuple[str, int] | None:
    """Return the client that API Gateway or a Function URL asserts, never one from a header.

    Consoles and templates write words for the address: they pass as they are.
    """
    address = facts.get("sourceIp")
    return (address, 0) if address and isinstance(address, str) else None


def gateway_scheme(headers: dict[bytes, bytes], context: dict[str, Any]) -> str:
    """Return ``https``, which API Gateway and Function URLs insist on, unless this is local.

    ``sam local`` serves http, says so in ``x-forwarded-proto``, and has a loopback domain name.
    """
    if headers.get(b"x-forwarded-proto") == b"http":
        domain = context.get("domainName")
        if isinstance(domain, str) and domain.split(":")[0] in ("localhost", "127.0.0.1"):
            return "http"
    return "https"


def forwarded_client(
    headers: Headers, by_name: dict[bytes, bytes], hops: int
) -> tuple[str, int] | None:
    """Return the client of the ``x-forwarded-for`` lines: the item ``hops`` from the right.

    Items further left are what clients claim. ``by_name`` is the list as a dict. An item may have
    a port and brackets (`routing.http.xff_client_port.enabled` of an ALB); port 0 is returned if
    there is none.
    """
    value = by_name.get(b"x-forwarded-for", b"")
    if hops > 1:  # the last line need not have as many
        value = b",".join([line for name, line in headers if name == b"x-forwarded-for"])
    items = value.decode("latin-1").split(",")
    item = items[-hops].strip() if len(items) >= hops else ""
    if item.startswith("["):
        host, _, port = item[1:].partition("]")
        port = port.removeprefix(":")
    elif item.count(":") == 1:
        host, _, port = item.partition(":")
    else:
        host, port = item, ""
    if not host:
        return None
    return host, int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else 0


@cache
def _compiled(pattern: bytes) -> re.Pattern[bytes]:
    """Each pattern takes longer to compile than this module to import; few functions need one."""
    return re.compile(pattern)


def _escape(pattern: bytes, text: str) -> str:
    # As urllib.parse.quote does, whose import would be three modules more on a cold start.
    escaped = _compiled(pattern).sub(_percent, text.encode("utf-8", "surrogatepass"))
    return escaped.decode("ascii")


def _percent(match: re.Match[bytes]) -> bytes:
    return b"%%%02X" % match[0][0]


def _unescape(match: re.Match[bytes]) -> bytes:
    return bytes((int(match[1], 16),))


def _is_visible_ascii(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _other_method(source: str, method: object) -> str:
    if isinstance(method, str) and is_token(method):
        return method.upper()
    raise EventError(source, "method", f"expected an HTTP method, got {method!r:.40}")


def _without(headers: Headers, *names: bytes) -> Headers:
    return [pair for pair in headers if pair[0] not in names]


def _one_cookie_line(headers: Headers) -> Headers:
    # RFC 9113 section 8.2.3: clients split the line, and "; " is what joins it again.
    line = b"; ".join([value for name, value in headers if name == b"cookie"])
    first = next(place for place, (name, _) in enumerate(headers) if name == b"cookie")
    joined = _without(headers, b"cookie")
    joined.insert(first, (b"cookie", line))
    return joined


def _fill_headers(
    headers: Headers, by_name: dict[bytes, bytes], sources: dict[bytes, bytes]
) -> Headers:
    for target, source in sources.items():
        if source in by_name:
            headers = [*_without(headers, target), (target, by_name[source])]
    return headers


@lru_cache(maxsize=64)
def _server(
    host: bytes | None, domain: str, port: bytes | None, scheme: str
) -> tuple[str, int] | None:
    name = host.decode("latin-1") if host else domain
    if not name:
        return None
    if name.startswith("["):
        name, _, own_port = name[1:].partition("]")
        own_port = own_port.removeprefix(":")
    else:
        name, _, own_port = name.partition(":")
    for text in (own_port, port.decode("latin-1") if port else ""):
        if text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535:
            return name, int(text)
    return name, 443 if scheme == "https" else 80
