"""Answers of Lambda@Edge functions that respond instead of the origin."""

from __future__ import annotations

import re
from typing import Any

from penstock.infra.gateway.answer_parts import (
    BODILESS,
    Malformed,
    Pairs,
    check_bodiless,
    check_headers,
    check_keys,
    read_body,
    read_map,
)
from penstock.infra.gateway.messages import ClientResponse

_KEYS = frozenset({"status", "statusDescription", "headers", "body", "bodyEncoding"})
_STATUS = re.compile(r"[2-5][0-9][0-9]")
_FORBIDDEN = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "trailer",
        "upgrade",
        "x-accel-buffering",
        "x-accel-charset",
        "x-accel-limit-rate",
        "x-accel-redirect",
        "x-amzn-auth",
        "x-amzn-cf-billing",
        "x-amzn-cf-id",
        "x-amzn-cf-xff",
        "x-amzn-errortype",
        "x-amzn-fle-profile",
        "x-amzn-header-count",
        "x-amzn-header-order",
        "x-amzn-lambda-integration-tag",
        "x-amzn-requestid",
        "x-cache",
        "x-forwarded-proto",
        "x-real-ip",
    }
)
_FORBIDDEN_PREFIXES = ("x-amz-cf-", "x-edge-")
_READ_ONLY = frozenset(
    {
        "accept-encoding",
        "content-length",
        "host",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "transfer-encoding",
        "via",
    }
)


def read_edge_answer(answer: object, *, method: str) -> ClientResponse:
    """Return what CloudFront's client sees.

    Headers that are read-only in a viewer request or in an origin request are refused in both.
    Source: "Restrictions on edge functions", "Lambda@Edge event structure".
    """
    fields = check_keys(answer, _KEYS, frozenset({"status"}))
    status = _read_status(fields["status"])
    if not isinstance(fields.get("statusDescription", ""), str):
        raise Malformed(f"expected a text statusDescription, got {fields['statusDescription']!r}")
    pairs = _read_headers(read_map(fields, "headers"), method=method)
    if "body" in fields and status in BODILESS:
        raise Malformed(f"expected no body key with status {status}, got {fields['body']!r}")
    encoding = fields.get("bodyEncoding", "text")
    if encoding not in {"text", "base64"}:
        raise Malformed(f"expected bodyEncoding to be text or base64, got {encoding!r}")
    body = read_body(fields.get("body", ""), encoding == "base64")
    check_bodiless(body, status=status, method=method)
    return ClientResponse(status, pairs, body)


def _read_status(status: object) -> int:
    if not isinstance(status, str) or not _STATUS.fullmatch(status):
        raise Malformed(f"expected status to be a string from '200' to '599', got {status!r}")
    return int(status)


def _read_headers(headers: dict[str, Any], *, method: str) -> Pairs:
    pairs: Pairs = []
    for name, entries in headers.items():
        if name in _FORBIDDEN or name.startswith(_FORBIDDEN_PREFIXES):
            raise Malformed(f"expected no header that CloudFront forbids, got {name!r}")
        if name in _READ_ONLY:
            raise Malformed(f"expected no header that is read-only at the edge, got {name!r}")
        if not isinstance(entries, list):
            raise Malformed(f"expected header {name!r} to be a list of entries, got {entries!r}")
        pairs += [(name, _read_entry(name, entry)) for entry in entries]
    check_headers(pairs, method=method)
    return pairs


def _read_entry(name: str, entry: object) -> str:
    if not isinstance(entry, dict) or not isinstance(entry.get("value"), str):
        raise Malformed(f"expected header {name!r} to hold key and value strings, got {entry!r}")
    if str(entry.get("key", name)).lower() != name.lower() or entry.keys() - {"key", "value"}:
        raise Malformed(f"expected the key {name!r} in its own entry, got {entry!r}")
    return str(entry["value"])
