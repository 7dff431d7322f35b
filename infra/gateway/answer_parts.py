"""Checks that every front door makes of the parts of an answer: status, headers, body."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

Pairs = list[tuple[str, str]]

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
BODILESS = frozenset({204, 304})

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_LINE_BREAKERS = re.compile(r"[\r\n\0]")


class Malformed(Exception):
    """An answer is not what its door, or penstock's own contract, asks for."""


def check_keys(answer: object, allowed: frozenset[str], required: frozenset[str]) -> dict[str, Any]:
    """Return the answer as a dict that has all required keys and no key that is not allowed."""
    if not isinstance(answer, dict):
        raise Malformed(f"expected a JSON object as answer, got {type(answer).__name__}")
    if unknown := answer.keys() - allowed:
        raise Malformed(
            f"expected no keys but {', '.join(sorted(allowed))}, got {', '.join(sorted(unknown))}"
        )
    if missing := required - answer.keys():
        raise Malformed(f"expected the keys {', '.join(sorted(missing))}, got none of that name")
    return answer


def read_status(status: object) -> int:
    """Return a JSON number from 100 to 599."""
    if type(status) is not int or not 100 <= status <= 599:
        raise Malformed(f"expected statusCode to be a number from 100 to 599, got {status!r}")
    return status


def read_map(answer: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a map of the answer; an absent one is empty."""
    value = answer.get(key, {})
    if not isinstance(value, dict):
        raise Malformed(f"expected {key} to be an object, got {value!r}")
    return value


def single_values(headers: dict[str, Any]) -> Pairs:
    """Return the pairs of a map from name to string."""
    for name, value in headers.items():
        if not isinstance(value, str):
            raise Malformed(f"expected header {name!r} to be a string, got {value!r}")
    return list(headers.items())


def listed_values(headers: dict[str, Any]) -> Pairs:
    """Return the pairs of a map from name to list of strings."""
    pairs: Pairs = []
    for name, values in headers.items():
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise Malformed(f"expected header {name!r} to be a list of strings, got {values!r}")
        pairs += [(name, value) for value in values]
    return pairs


def check_headers(pairs: Pairs, *, method: str, spelling: frozenset[str] = frozenset()) -> None:
    """Check names (lower case but for ``spelling``) and values, and that framing is left alone.

    ``content-length`` may come in an answer to HEAD only: every door computes its own.
    """
    for name, value in pairs:
        lower = name.lower()
        if not _TOKEN.fullmatch(lower if lower in spelling else name):
            raise Malformed(f"expected lower-case header names, got {name!r}")
        if _LINE_BREAKERS.search(value):
            raise Malformed(f"expected {name!r} without CR, LF and NUL, got {value!r}")
        if lower in HOP_BY_HOP or (lower == "content-length" and method != "HEAD"):
            raise Malformed(f"expected framing to be left to the door, got {name!r}")
    if len([name for name, _ in pairs if name == "content-type"]) > 1:
        raise Malformed("expected one content-type, got several")


def read_body(body: object, is_base64: object) -> bytes:
    """Return the octets of a body and its flag, both of which must be present and of their type."""
    if not isinstance(body, str):
        raise Malformed(f"expected body to be a string, got {body!r}")
    if not isinstance(is_base64, bool):
        raise Malformed(f"expected the base64 flag to be true or false, got {is_base64!r}")
    if not is_base64:
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed(f"expected a base64 body, got one that is not: {error}") from None


def check_bodiless(body: bytes, *, status: int, method: str) -> None:
    """Check that an answer which cannot have a body has none."""
    if body and (method == "HEAD" or status in BODILESS or status < 200):
        raise Malformed(f"expected no body with {method} and status {status}, got {len(body)} B")
