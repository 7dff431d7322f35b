"""Conditional requests: 304 and 412 (RFC 9110 section 13)."""

from __future__ import annotations

import re
from typing import Any

from penstock.handler.dates import parse_http_date
from penstock.handler.response import HttpResponse, HttpResponseNotModified

_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
# Representation metadata, which a 304 leaves out (section 15.4.5); not all of content-* is such.
_REPRESENTATION = frozenset(
    {
        "accept-ranges",
        "allow",
        "content-digest",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-length",
        "content-md5",
        "content-range",
        "content-type",
        "repr-digest",
        "transfer-encoding",
    }
)


def check_preconditions(
    request: Any, etag: str | None = None, last_modified: int | None = None
) -> int | None:
    """Return 304 or 412 if the request's conditions say so, else None.

    ``etag`` as in the header, quotes included, and ``last_modified`` in seconds since 1970, are
    those of the current representation, ``None`` for unknown. The order is that of section 13.2.2.
    A view that changes something calls this before it does, with what there is until then.
    """
    headers = request.headers
    reading = request.method in {"GET", "HEAD"}
    if (if_match := headers.get("if-match")) is not None:
        if not _lists(if_match, etag, strong=True):
            return 412
    elif (
        last_modified is not None
        and (date := parse_http_date(headers.get("if-unmodified-since", ""))) is not None
        and last_modified > date
    ):
        return 412
    if (if_none_match := headers.get("if-none-match")) is not None:
        if _lists(if_none_match, etag, strong=False):
            return 304 if reading else 412
    elif (
        reading
        and last_modified is not None
        and (date := parse_http_date(headers.get("if-modified-since", ""))) is not None
        and last_modified <= date
    ):
        return 304
    return None


def _lists(condition: str, etag: str | None, *, strong: bool) -> bool:
    """True if the list of entity tags has this one, or is ``*``."""
    if condition.strip() == "*":
        return True
    match = strong_match if strong else weak_match
    return any(match(listed, etag) for listed in _ETAG.findall(condition))


def strong_match(one: str, other: str | None) -> bool:
    """Section 8.8.3.2: equal, and neither is weak."""
    return other is not None and one == other and _ETAG.fullmatch(one) is not None and one[0] == '"'


def weak_match(one: str, other: str | None) -> bool:
    """Section 8.8.3.2: equal but for weakness."""
    return other is not None and one.removeprefix("W/") == other.removeprefix("W/")


def conditional(request: Any, response: Any) -> Any:
    """Return 304 or 412 in place of a 2xx response if the request's conditions say so.

    The validators are those of the response. Where a method other than GET or HEAD has been carried
    out already, only a validator that the response shows is compared: ``If-None-Match: *`` of the
    PUT that has just created something must not fail it.
    """
    if not 200 <= response.status_code < 300 or request.method in {"OPTIONS", "TRACE", "CONNECT"}:
        return response
    etag = response.get("etag")
    last_modified = parse_http_date(response.get("last-modified", ""))
    if request.method not in {"GET", "HEAD"} and (
        response.status_code == 201 or (etag is None and last_modified is None)
    ):
        return response
    status = check_preconditions(request, etag, last_modified)
    if status is None:
        return response
    replacement = HttpResponseNotModified() if status == 304 else HttpResponse(status=412)
    if status == 304:
        for name, value in response.items():
            lower = name.lower()
            if lower not in _REPRESENTATION and (lower != "last-modified" or etag is None):
                replacement.headers.add(name, value)
    replacement.take_over(response)
    return replacement
