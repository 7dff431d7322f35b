"""Bodies between the strings of JSON and bytes: text and base64."""

from __future__ import annotations

from penstock.adapter.errors import EventError


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
        problem = f"expected base64, got {len(body)} characters that are not: {error}"
        raise EventError(source, field, problem) from None


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


def b64encode_bytes(body: bytes) -> bytes:
    """Return the bytes as base64 in ASCII bytes, for who would only encode the text again."""
    try:
        from pybase64 import b64encode as encode
    except ImportError:
        from binascii import b2a_base64

        return b2a_base64(body, newline=False)
    encoded: bytes = encode(body)
    return encoded
