"""What a function answers, as the bytes that Lambda takes."""

from __future__ import annotations

from json import JSONEncoder
from typing import Any, Final

from penstock.adapter.errors import Fault
from penstock.adapter.sources import LAMBDA_ANSWER_LIMIT

JSON: Final = "application/json"
BYTES: Final = "application/octet-stream"

_encode = JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def encode_reply(answer: Any) -> list[bytes]:
    """Return an event source's answer as parts of one JSON text (UTF-8).

    A body in bytes is base64, which JSON need not escape: it is a part of its own, uncopied.
    """
    if type(answer) is dict and type(body := answer.get("body")) is bytes:
        rest = {name: value for name, value in answer.items() if name != "body"}
        return [b'{"body":"', body, b'",' + _utf8(rest)[1:]]
    return [_utf8(answer)]


def _utf8(value: Any) -> bytes:
    text = _encode(value)
    try:
        return text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can only escape
        return JSONEncoder(separators=(",", ":")).encode(value).encode()


def encode_result(value: Any) -> tuple[str, bytes]:
    """Return content type and bytes of what an ordinary handler returned.

    As with AWS's client: bytes go as they are, a Decimal is a number, anything else is JSON.
    Raises: Fault for what JSON cannot say (MarshalError), and for more than Lambda takes.
    """
    kind, content = (BYTES, value) if isinstance(value, bytes) else (JSON, _marshal(value))
    if len(content) > LAMBDA_ANSWER_LIMIT:
        raise Fault(
            "Function.ResponseSizeTooLarge",
            f"the result has {len(content)} bytes, and Lambda takes {LAMBDA_ANSWER_LIMIT}",
        )
    return kind, content


def _marshal(value: Any) -> bytes:
    try:
        try:
            return _utf8(value)
        except TypeError:
            return _with_decimals(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise Fault("Runtime.MarshalError", f"Unable to marshal response: {error}") from None


def _with_decimals(value: Any) -> bytes:
    import re
    from decimal import Decimal
    from secrets import token_hex

    # The encoder knows no number of ours, so a Decimal goes in as marked text and loses the marks.
    mark = token_hex(16)

    def convert(other: object) -> str:
        if isinstance(other, Decimal):
            return f"{mark}{other}"
        raise TypeError(f"expected what JSON can say, got {type(other).__name__}: {other!r:.80}")

    text = JSONEncoder(separators=(",", ":"), default=convert).encode(value)
    return re.sub(f'"{mark}([^"]*)"', r"\1", text).encode()
