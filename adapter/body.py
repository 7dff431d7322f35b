"""Bodies between JSON strings and bytes: base64, text, and the bytes that an answer will take."""

from __future__ import annotations

import os
from typing import Any

from penstock.adapter.errors import EventError

_CONTROLS = bytes((*range(32), 127))

# Images whose AWS client writes non-ASCII text as it is; elsewhere it becomes \uXXXX
# (awslambdaric 4.2.2, lambda_runtime_marshaller.py).
_UTF8_ENVIRONMENTS = frozenset(f"AWS_Lambda_python3.{minor}" for minor in range(12, 16))


def decode_body(source: str, body: object, *, is_base64: object, field: str = "body") -> bytes:
    """Return the bytes of the request body; anything but a non-empty string is an empty body.

    Raises: EventError if it claims to be base64 and is not: nothing is cut off or skipped.
    """
    if not body or not isinstance(body, str):
        return b""
    if not is_base64:
        return body.encode("utf-8", "surrogatepass")
    try:
        return _b64decode(body)
    except ValueError as error:
        raise EventError(source, field, f"expected base64, got {body[:40]!r}…: {error}") from None


def _b64decode(text: str) -> bytes:
    try:
        from pybase64 import b64decode
    except ImportError:
        from binascii import a2b_base64

        # Strict mode refuses foreign characters, which the default drops.
        return a2b_base64(text.encode("ascii"), strict_mode=True)
    decoded: bytes = b64decode(text, validate=True)
    return decoded


def b64encode(body: bytes) -> str:
    """Return the bytes as base64 text."""
    try:
        from pybase64 import b64encode_as_string
    except ImportError:
        from binascii import b2a_base64

        return b2a_base64(body, newline=False).decode("ascii")
    encoded: str = b64encode_as_string(body)
    return encoded


def json_size(answer: Any, body: str, *, is_base64: bool, enough: int) -> int:
    r"""Return the bytes that Lambda gets when AWS's client has serialised the answer.

    Counts what its ``Encoder`` class writes: escapes, a blank behind each separator, and, outside
    its newer images, ``\uXXXX`` for what is not ASCII. ``body`` is the answer's own; a number that
    cannot be exceeded is returned instead of the exact one where it is not above ``enough``.
    """
    from json import dumps

    escapes = os.environ.get("AWS_EXECUTION_ENV") not in _UTF8_ENVIRONMENTS
    whole = isinstance(answer, dict) and answer.get("body") is body
    rest = {**answer, "body": ""} if whole else answer
    size = _utf8_size(dumps(rest, ensure_ascii=escapes), escapes=escapes)
    if not whole:
        return size
    if is_base64:
        return size + len(body)
    if body.isascii():
        # Serialising megabytes to count them would cost more than all the rest.
        data = body.encode()
        controls = len(data) - len(data.translate(None, _CONTROLS))
        most = size + len(data) + 5 * controls + data.count(b"\\") + data.count(b'"')
        if most <= enough:
            return most
    return size - 2 + _utf8_size(dumps(body, ensure_ascii=escapes), escapes=escapes)


def _utf8_size(text: str, *, escapes: bool) -> int:
    # simplejson, which AWS's client uses, escapes these two although it escapes no other.
    more = 0 if escapes else 3 * (text.count("\u2028") + text.count("\u2029"))
    return len(text.encode("utf-8", "surrogatepass")) + more
