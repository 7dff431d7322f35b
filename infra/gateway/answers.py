"""From what a function returned to what the client of a front door sees."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from penstock.infra.gateway.answer_edge import read_edge_answer
from penstock.infra.gateway.answer_parts import (
    BODILESS,
    Malformed,
    Pairs,
    check_bodiless,
    check_headers,
    check_keys,
    listed_values,
    read_body,
    read_map,
    read_status,
    single_values,
)
from penstock.infra.gateway.edge import BODY_LIMITS
from penstock.infra.gateway.messages import SOURCES, ClientResponse, MalformedAnswer

ANSWER_LIMIT_BYTES = 6_291_556
"""The largest JSON that Lambda takes as the answer of a function; inclusive."""

_ALB_LIMIT_BYTES = 1_000_000
_ENVELOPE = frozenset({"statusCode", "body", "isBase64Encoded"})
_PAYLOAD_1 = _ENVELOPE | {"headers", "multiValueHeaders"}
_PAYLOAD_2 = _ENVELOPE | {"headers", "cookies"}
_BALANCER = _ENVELOPE | {"headers", "statusDescription"}
_BALANCER_MULTI = _ENVELOPE | {"multiValueHeaders", "statusDescription"}

_REST_RENAMES = frozenset(
    {
        "authorization",
        "content-md5",
        "date",
        "max-forwards",
        "server",
        "user-agent",
        "www-authenticate",
    }
)
_REST_DROPS = frozenset({"host", "expect", "proxy-authenticate"})


@dataclass(frozen=True, slots=True)
class _Rules:
    keys: frozenset[str]
    failure: int
    content_type: str | None = None


_RULES = {
    "rest-api": _Rules(_PAYLOAD_1, 502, "application/json"),
    "http-api": _Rules(_PAYLOAD_2, 500, "text/plain; charset=utf-8"),
    "http-api-1": _Rules(_PAYLOAD_1, 500, "text/plain; charset=utf-8"),
    "function-url": _Rules(_PAYLOAD_2, 502, "application/json"),
    "alb": _Rules(_BALANCER, 502),
    "alb-multi": _Rules(_BALANCER_MULTI, 502),
    "edge": _Rules(frozenset(), 502),
    "lattice-1": _Rules(_BALANCER, 500),
    "lattice-2": _Rules(_BALANCER, 500),
}


def read_answer(
    source: str,
    answer: object,
    *,
    method: str = "GET",
    edge_event_type: str = "viewer-request",
    binary_media_types: tuple[str, ...] | None = None,
    accept: str = "",
) -> ClientResponse:
    """Return what the client of the front door ``source`` sees for a function's answer.

    The door's default content type and ``content-length`` are in the response, cookies of payload
    2.0 are ``set-cookie`` pairs, and headers that a REST API renames have their new names.

    Stricter than AWS where penstock promises more: the whole envelope is present, header names
    are lower case, no header is in two maps, framing is left to the door, and a body that HTTP
    forbids is not there.

    Args:
        source: the front door's name, one of ``SOURCES``.
        answer: the Python object that the function returned.
        method: the request's method.
        edge_event_type: ``edge``: ``viewer-request`` (40 000 bytes) or ``origin-request``.
        binary_media_types: ``rest-api``: the API's setting, against which the first media type of
            ``accept`` decides whether base64 is decoded. ``None``: always.
        accept: the request's ``Accept`` header.

    Raises:
        ValueError: the source or the edge event type is unknown.
        MalformedAnswer: the door would answer 500 or 502 itself, or hide a mistake.

    >>> from penstock.infra.gateway import read_answer
    >>> answer = {"statusCode": 200, "headers": {}, "body": "{}", "isBase64Encoded": False}
    >>> read_answer("rest-api", answer).headers
    [('content-type', 'application/json'), ('content-length', '2')]

    """
    if source not in _RULES:
        raise ValueError(f"expected one of {', '.join(SOURCES)} as event source, got {source!r}")
    if edge_event_type not in BODY_LIMITS:
        raise ValueError(f"expected one of {', '.join(BODY_LIMITS)}, got {edge_event_type!r}")
    rules = _RULES[source]
    limit = ANSWER_LIMIT_BYTES
    if source.startswith("alb"):
        limit = _ALB_LIMIT_BYTES
    elif source == "edge":
        limit = BODY_LIMITS[edge_event_type]
    try:
        received = _through_json(answer, limit)
        if source == "edge":
            response = read_edge_answer(received, method=method)
        else:
            response = _read_envelope(source, rules, received, method)
    except Malformed as error:
        raise MalformedAnswer(str(error), rules.failure) from None
    if source == "rest-api":
        _rewrite_rest(response, received, binary_media_types, accept)
    if rules.content_type and not response.values("content-type"):
        response.headers.append(("content-type", rules.content_type))
    if method != "HEAD" and response.status not in BODILESS and response.status >= 200:
        response.headers.append(("content-length", str(len(response.body))))
    return response


def _through_json(answer: object, limit_bytes: int) -> Any:
    """Return the answer as the door receives it: as JSON of limited size."""
    try:
        text = json.dumps(answer, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise Malformed(f"expected an answer that JSON can hold: {error}") from error
    if size > limit_bytes:
        raise Malformed(f"expected at most {limit_bytes} bytes of JSON, got {size}")
    return json.loads(text)


def _read_envelope(source: str, rules: _Rules, received: object, method: str) -> ClientResponse:
    fields = check_keys(received, rules.keys, _ENVELOPE)
    status = read_status(fields["statusCode"])
    if source.startswith("alb") or "statusDescription" in fields:
        _check_description(fields.get("statusDescription"), status)
    pairs = _read_headers(source, fields)
    # Without lists, a second spelling of the name is the only way to a second cookie.
    spelling = frozenset({"set-cookie"}) if source == "alb" else frozenset()
    check_headers(pairs, method=method, spelling=spelling)
    body = read_body(fields["body"], fields["isBase64Encoded"])
    check_bodiless(body, status=status, method=method)
    return ClientResponse(status, [(name.lower(), value) for name, value in pairs], body)


def _check_description(description: object, status: int) -> None:
    if not isinstance(description, str) or not description.startswith(f"{status} "):
        raise Malformed(f"expected a statusDescription like '{status} …', got {description!r}")


def _read_headers(source: str, fields: dict[str, Any]) -> Pairs:
    headers = read_map(fields, "headers")
    if source == "lattice-2":
        return listed_values(
            {name: [value] if isinstance(value, str) else value for name, value in headers.items()}
        )
    multiple = read_map(fields, "multiValueHeaders")
    if twice := headers.keys() & multiple.keys():
        raise Malformed(f"expected a header in one map, got {', '.join(sorted(twice))} in two")
    pairs = listed_values(multiple) + single_values(headers)
    if source not in {"http-api", "function-url"}:
        return pairs
    if any(name.lower() == "set-cookie" for name, _ in pairs):
        raise Malformed("expected set-cookie in cookies only, got it in headers")
    cookies = fields.get("cookies", [])
    if not isinstance(cookies, list) or not all(isinstance(cookie, str) for cookie in cookies):
        raise Malformed(f"expected cookies to be a list of strings, got {cookies!r}")
    return pairs + [("set-cookie", cookie) for cookie in cookies]


def _rewrite_rest(
    response: ClientResponse, received: Any, types: tuple[str, ...] | None, accept: str
) -> None:
    """Do to a response what a REST API does ("Amazon API Gateway important notes")."""
    response.headers = [
        (f"x-amzn-remapped-{name}" if name in _REST_RENAMES else name, value)
        for name, value in response.headers
        if name not in _REST_DROPS
    ]
    first = accept.partition(",")[0].partition(";")[0].strip().lower()
    if types is not None and not {"*/*", first} & set(types):
        response.body = str(received["body"]).encode()
