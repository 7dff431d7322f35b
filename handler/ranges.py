"""Range requests: parts of a response (RFC 9110 section 14)."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from penstock.handler.conditional import strong_match
from penstock.handler.dates import parse_http_date
from penstock.handler.response import HttpResponseRangeNotSatisfiable

if TYPE_CHECKING:
    from collections.abc import Sequence

_SPEC = re.compile(r"(\d*)-(\d*)", re.ASCII)
# More are refused by answering whole: many small ranges cost far more than they are long.
_MOST_RANGES = 16
_LONGEST_NUMBER = 18

Range = tuple[int, int]
"""First position and the one after the last."""


def parse_range(header: str, size: int) -> list[Range] | None:
    """Return the ranges of a Range header that lie in ``size`` bytes; overlapping ones as one.

    Empty if none of them can be satisfied. ``None`` if the header is to be ignored: another unit
    than bytes, bad syntax, or more than 16 ranges.
    """
    unit, equals, specs = header.partition("=")
    if not equals or unit.strip().lower() != "bytes":
        return None
    ranges = []
    parts = [part.strip(" \t") for part in specs.split(",")]
    parts = [part for part in parts if part]
    if not 0 < len(parts) <= _MOST_RANGES:
        return None
    for part in parts:
        found = _SPEC.fullmatch(part)
        if not found or part == "-" or len(part) > 2 * _LONGEST_NUMBER + 1:
            return None
        first, last = found.groups()
        if not first:
            start, stop = max(0, size - int(last)), size
        else:
            start, stop = int(first), (int(last) + 1 if last else max(size, int(first) + 1))
            if stop <= start:
                return None
        if start < min(stop, size):
            ranges.append((start, min(stop, size)))
    return _merged(ranges)


def _merged(ranges: list[Range]) -> list[Range]:
    """Join those that overlap, at the place of the earliest asked for (section 15.3.7.2)."""
    merged: list[tuple[int, Range]] = []
    for place, (start, stop) in sorted(enumerate(ranges), key=lambda one: one[1]):
        if merged and start < merged[-1][1][1]:
            earlier, (first, last) = merged[-1]
            merged[-1] = (min(place, earlier), (first, max(last, stop)))
        else:
            merged.append((place, (start, stop)))
    return [one for _, one in sorted(merged)]


def apply_range(request: Any, response: Any) -> Any:
    """Return the part of a 200 response that a GET or HEAD request asks for: 206, or 416.

    The response itself if no part is asked for, if ``If-Range`` does not hold, or if its length is
    not known. Changes the response it was given.
    """
    if request.method not in {"GET", "HEAD"} or response.status_code != 200:
        return response
    size = _size(response)
    if size is None or response.get("accept-ranges", "").lower() == "none":
        return response
    response.headers.setdefault("Accept-Ranges", "bytes")
    header = request.headers.get("range")
    if header is None or not _if_range_holds(request.headers.get("if-range"), response):
        return response
    ranges = parse_range(header, size)
    if ranges is None:
        return response
    if not ranges:
        return _not_satisfiable(response, size)
    response.status_code = 206
    if len(ranges) == 1:
        start, stop = ranges[0]
        response["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        response["Content-Length"] = stop - start
        if response.streaming:
            response.select([(start, stop)])
        else:
            response.content = response.content[start:stop]
        return response
    pieces = _multipart(response, ranges, size)
    response["Content-Length"] = sum(
        piece[1] - piece[0] if isinstance(piece, tuple) else len(piece) for piece in pieces
    )
    if response.streaming:
        response.select(pieces)
    else:
        content = response.content
        response.content = b"".join(
            [content[slice(*piece)] if isinstance(piece, tuple) else piece for piece in pieces]
        )
    return response


def _size(response: Any) -> int | None:
    if "content-range" in response:
        return None
    if response.streaming:
        return getattr(response, "size", None)
    return len(response.content)


def _if_range_holds(condition: str | None, response: Any) -> bool:
    """RFC 9110 section 13.1.5: a strong entity tag, or exactly the date of Last-Modified."""
    if condition is None:
        return True
    if condition.endswith('"'):
        return strong_match(condition, response.get("etag"))
    date = parse_http_date(condition)
    return date is not None and date == parse_http_date(response.get("last-modified", ""))


def _not_satisfiable(response: Any, size: int) -> HttpResponseRangeNotSatisfiable:
    refusal = HttpResponseRangeNotSatisfiable(size=size)
    del refusal["content-type"]
    refusal.take_over(response)
    return refusal


def _multipart(response: Any, ranges: Sequence[Range], size: int) -> list[bytes | Range]:
    """multipart/byteranges (section 14.6): what is written between the ranges, and the ranges."""
    boundary = os.urandom(16).hex()
    content_type = response.get("content-type")
    pieces: list[bytes | Range] = []
    for start, stop in ranges:
        lines = [f"\r\n--{boundary}" if pieces else f"--{boundary}"]
        if content_type is not None:
            lines.append(f"Content-Type: {content_type}")
        lines.append(f"Content-Range: bytes {start}-{stop - 1}/{size}\r\n\r\n")
        pieces += ["\r\n".join(lines).encode("latin-1"), (start, stop)]
    pieces.append(f"\r\n--{boundary}--\r\n".encode("ascii"))
    response["Content-Type"] = f"multipart/byteranges; boundary={boundary}"
    return pieces
