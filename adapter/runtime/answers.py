"""What a function answers, as the bytes that Lambda takes."""

from __future__ import annotations

from contextlib import suppress
from json import JSONEncoder
from typing import Any, Final

from penstock.adapter.errors import Fault
from penstock.adapter.sources import LAMBDA_ANSWER_LIMIT

JSON: Final = "application/json"
BYTES: Final = "application/octet-stream"

_SCALARS: Final = frozenset({str, int, float, bool, type(None)})

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

    As with AWS's client: bytes go as they are; in JSON, a Decimal is a number, bytes are text, and
    a named tuple is an object.
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
        if _is_plain(value):
            with suppress(TypeError):  # of a name that is none
                return _utf8(value)
        return _with_other_types(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise Fault("Runtime.MarshalError", f"Unable to marshal response: {error}") from None


def _is_plain(value: Any) -> bool:
    """Whether it is of types that JSON has, and no class made of them is in it."""
    kind = type(value)
    if kind in _SCALARS:
        return True
    if kind is dict:
        items = value.values()
    elif kind is list or kind is tuple:
        items = value
    else:
        return False
    for item in items:  # all() takes twice the time
        if type(item) not in _SCALARS and not _is_plain(item):
            return False
    return True


def _with_other_types(value: Any) -> bytes:
    import re
    from decimal import Decimal
    from secrets import token_hex

    # The encoder knows no number of ours, so a Decimal goes in as marked text and loses the marks.
    mark = token_hex(16)

    def convert(other: Any) -> Any:
        if isinstance(other, Decimal):
            return f"{mark}{'NaN' if other.is_nan() else other}"
        if isinstance(other, bytes):
            return other.decode()
        if callable(as_dict := getattr(other, "_asdict", None)):
            return _as_objects(as_dict())
        raise TypeError(f"expected what JSON can say, got {type(other).__name__}: {other!r:.80}")

    text = JSONEncoder(separators=(",", ":"), default=convert).encode(_as_objects(value))
    return re.sub(f'"{mark}([^"]*)"', r"\1", text).encode()


def _as_objects(value: Any) -> Any:
    """A copy in which named tuples are dicts, which the encoder would take for lists."""
    if isinstance(value, list):
        return [_as_objects(item) for item in value]
    if isinstance(value, tuple):
        as_dict = getattr(value, "_asdict", None)
        return [*map(_as_objects, value)] if as_dict is None else _as_objects(as_dict())
    if isinstance(value, dict):
        return {
            name.decode() if isinstance(name, bytes) else name: _as_objects(item)
            for name, item in value.items()
        }
    return value
