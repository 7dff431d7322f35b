"""JSON responses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from penstock.handler.response import HttpResponse

if TYPE_CHECKING:
    from collections.abc import Callable


class JSONEncoder(json.JSONEncoder):
    """Adds dates, times and durations (ISO 8601), Decimal, UUID, dataclasses, enums and sets.

    Classes are known by name, so that none of their modules has to be imported. Times are cut to
    milliseconds and UTC is ``Z``, as ECMAScript writes them. bytes are refused: JSON has no place
    for them, and guessing a charset would hide a mistake.
    """

    def default(self, o: Any) -> Any:
        """Return the value as something that JSON has, or raise TypeError."""
        kind = type(o)
        for base in kind.__mro__:
            if convert := _BY_NAME.get((base.__module__, base.__qualname__)):
                return convert(o)
        if hasattr(kind, "__dataclass_fields__"):
            return {name: getattr(o, name) for name in kind.__dataclass_fields__}
        if isinstance(o, bytes | bytearray | memoryview):
            raise TypeError(f"{kind.__name__} is not JSON: decode it, or encode it as base64")
        return super().default(o)


def _datetime(value: Any) -> str:
    text: str = value.isoformat()
    if value.microsecond:
        text = text[:23] + text[26:]
    return f"{text[:-6]}Z" if text.endswith("+00:00") else text


def _time(value: Any) -> str:
    if value.utcoffset() is not None:
        raise ValueError(f"{value!r}: JSON has no times of day with an offset; give a datetime")
    text: str = value.isoformat()
    return text[:12] if value.microsecond else text


def _timedelta(value: Any) -> str:
    sign, delta = ("-", -value) if value.days < 0 else ("", value)
    minutes, seconds = divmod(delta.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{delta.microseconds:06d}" if delta.microseconds else ""
    return f"{sign}P{delta.days}DT{hours:02d}H{minutes:02d}M{seconds:02d}{fraction}S"


def _enum_value(value: Any) -> Any:
    return value.value


_BY_NAME: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("datetime", "datetime"): _datetime,
    ("datetime", "date"): lambda value: value.isoformat(),
    ("datetime", "time"): _time,
    ("datetime", "timedelta"): _timedelta,
    ("decimal", "Decimal"): str,
    ("uuid", "UUID"): str,
    ("enum", "Enum"): _enum_value,
    ("builtins", "set"): list,
    ("builtins", "frozenset"): list,
    ("django.utils.functional", "Promise"): str,  # text that is translated when it is used
}

_ENCODER = JSONEncoder(allow_nan=False)


def encode_json(data: Any) -> str:
    """Return the data as JSON text, as ``JsonResponse`` writes it."""
    return _ENCODER.encode(data)


class JsonResponse(HttpResponse):
    """A response with ``data`` as JSON, in the spelling of ``json.dumps``.

    ``safe`` refuses anything but a dict at the top. ``encoder`` and ``json_dumps_params`` go to
    ``json.dumps``. ``fast=True`` uses orjson where it is installed: no spaces, UTF-8 unescaped,
    1e-7 for 1e-07, and NaN and Infinity as null; all else is the same. What orjson refuses (keys
    that are no str, integers of more than 64 bits, lone surrogates, subclasses of float and tuple,
    more than 254 levels) is written without it.

    Raises: TypeError for what is no dict, with ``safe``, and for what no encoder knows; ValueError
    for NaN and Infinity, which JSON does not have (``{"allow_nan": True}`` allows them; with
    ``fast`` see above).
    """

    def __init__(
        self,
        data: Any,
        encoder: type[json.JSONEncoder] = JSONEncoder,
        safe: bool = True,  # noqa: FBT001, FBT002 - Django's signature
        json_dumps_params: dict[str, Any] | None = None,
        *,
        fast: bool = False,
        **kwargs: Any,
    ) -> None:
        if safe and not isinstance(data, dict):
            raise TypeError(
                f"expected a dict, got {type(data).__name__}; safe=False allows other things"
            )
        plain = encoder is JSONEncoder and json_dumps_params is None
        if fast and not plain:
            raise ValueError("fast=True: expected neither encoder nor json_dumps_params")
        content: str | bytes
        if fast:
            content = _fast_encoder()(data)
        elif plain:
            content = _ENCODER.encode(data)
        else:
            params = {"allow_nan": False, **(json_dumps_params or {})}
            content = json.dumps(data, cls=encoder, **params)
        kwargs.setdefault("content_type", "application/json")
        super().__init__(content, **kwargs)


_fast: list[Callable[[Any], str | bytes]] = []


def _fast_encoder() -> Callable[[Any], str | bytes]:
    if not _fast:
        _fast.append(_find_fast_encoder())
    return _fast[0]


def _find_fast_encoder() -> Callable[[Any], str | bytes]:
    try:
        import orjson
    except ImportError:
        return _ENCODER.encode
    # Left to us, so that there is one spelling of a time, and no field is left out.
    options = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS

    def encode(data: Any) -> str | bytes:
        try:
            return orjson.dumps(data, _ENCODER.default, options)
        except TypeError:
            return _ENCODER.encode(data)  # which can do more, and says better what is wrong

    return encode
