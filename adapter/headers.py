"""Header names and values on their way in (text of the event → ASGI bytes) and out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.adapter.errors import EventError, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from penstock.adapter.asgi import Headers

# RFC 9110 section 5.6.2, token.
_TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# Names come from clients, so what is remembered of them has to be bounded.
_MOST_NAMES = 1024
_LONGEST_NAME = 64


class _RequestNames(dict[str, bytes]):
    def __missing__(self, name: Any) -> bytes:
        if not isinstance(name, str) or not is_token(name):
            raise ValueError(name)
        encoded = name.lower().encode("ascii")
        if len(self) < _MOST_NAMES and len(name) <= _LONGEST_NAME:
            self[name] = encoded
        return encoded


class _ResponseNames(dict[bytes, str]):
    def __missing__(self, name: bytes) -> str:
        if not isinstance(name, bytes):
            raise ProtocolError(f"expected header names as bytes, got {name!r}")
        text = name.decode("latin-1")
        if not is_token(text):
            raise ProtocolError(
                f"expected a header name (RFC 9110 section 5.6.2, token), got {name!r}"
            )
        text = text.lower()
        if len(self) < _MOST_NAMES and len(name) <= _LONGEST_NAME:
            self[name] = text
        return text


_request_names = _RequestNames()
_request_name = _request_names.__getitem__
_response_names = _ResponseNames()


def is_token(text: str) -> bool:
    """True if the text is a token of RFC 9110 section 5.6.2 (header names, methods)."""
    return bool(text) and consists_of(_TOKEN, text)


def consists_of(characters: bytes, text: str) -> bool:
    """True if the text has none but these ASCII characters; as fast as a compiled pattern."""
    return text.isascii() and not text.encode().translate(None, characters)


def as_map(value: object) -> dict[Any, Any]:
    """The event's map, or an empty one: consoles and templates write null, "" or "None" for it."""
    return value if isinstance(value, dict) else {}


def encode_headers(
    source: str, multi: object, single: object
) -> tuple[Headers, dict[bytes, bytes]]:
    """Return the headers of an event's two maps as bytes, names lower case; as list and as dict.

    ``multi`` has lists of values, ``single`` has one value a name; either may be missing. Lists
    win, names that are only in the single map are added: the two differ in real events. The list
    is in order and has all values, of which the dict has the last one.
    A value of null is no header. Text becomes UTF-8 (lone surrogates pass).
    Raises: EventError for a name that is no token, and for a value with CR, LF or NUL.
    """
    if not isinstance(multi, dict):
        multi = {}
    if not isinstance(single, dict):
        single = {}
    try:
        if not multi:
            return _encode(single, single.values())
        if not single or [*single] == [*multi]:
            return _encode(multi, [value for [value] in multi.values()])
    except (TypeError, ValueError):
        pass  # repeated headers, or something is off: go through them one by one
    headers = [
        pair
        for name, values in merge_maps(multi, single, fold=str.lower)
        for value in (values if isinstance(values, list) else [values])
        for pair in _encode_carefully(source, name, value)
    ]
    return headers, dict(headers)


def _encode(names: dict[str, Any], values: Collection[str]) -> tuple[Headers, dict[bytes, bytes]]:
    """Encode all values in one go; ValueError or TypeError if that cannot be done."""
    text = "\n".join(values)
    encoded = text.encode().split(b"\n") if names else []
    headers = [*zip(map(_request_name, names), encoded)]  # noqa: B905 - compared next
    by_name = dict(headers)
    if not len(by_name) == len(encoded) == len(names) or "\r" in text or "\0" in text:
        raise ValueError(text)
    return headers, by_name


def is_clean(text: str) -> bool:
    """True if the text has no CR, LF or NUL, which RFC 9110 section 5.5 keeps out of headers."""
    return "\r" not in text and "\n" not in text and "\0" not in text


def _encode_carefully(source: str, name: Any, value: Any) -> Headers:
    if value is None:
        return []
    try:
        encoded_name = _request_names[name]
    except (TypeError, ValueError):
        raise EventError(source, "headers", f"expected a header name, got {name!r:.80}") from None
    if isinstance(value, bool):
        value = "true" if value else "false"
    elif isinstance(value, int | float):
        value = str(value)
    if not isinstance(value, str) or not is_clean(value):
        # Not the value itself: it may be a session's cookie or a token.
        got = "text with them" if isinstance(value, str) else type(value).__name__
        raise EventError(
            source, f"headers[{name!r:.80}]", f"expected text without CR, LF and NUL, got {got}"
        )
    return [(encoded_name, value.encode("utf-8", "surrogatepass"))]


def merge_maps(
    multi: object, single: object, *, fold: Callable[[str], str] = str
) -> list[tuple[Any, Any]]:
    """Return the pairs of both maps: lists win, names only in the single map are added.

    The two differ in real events, so neither can be left out. Names are compared after ``fold``.
    """
    multi, single = as_map(multi), as_map(single)
    if not multi:
        return list(single.items())
    pairs = [
        (name, value)
        for name, values in multi.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    if single.keys() != multi.keys():
        seen = {fold(str(name)) for name in multi}
        pairs += [(name, value) for name, value in single.items() if fold(str(name)) not in seen]
    return pairs


def decode_response_headers(
    headers: Iterable[tuple[bytes, bytes]],
) -> tuple[list[tuple[str, str]], int]:
    """Return the application's headers as lower-case text, and the bytes that they had together.

    A value is UTF-8 if it can be, else latin-1.

    Raises: ProtocolError for what is no pair of bytes, a name that is no token, and a value with
    CR, LF or NUL (RFC 9110 section 5.5: they would split the response).
    """
    decoded = []
    size = 0
    try:
        for name, value in headers:
            try:
                text = value.decode()
            except UnicodeDecodeError:
                text = value.decode("latin-1")
            if not text.isprintable() and not is_clean(text):
                raise ProtocolError(
                    f"expected a header value without CR, LF and NUL, got {name!r}: {value!r:.200}"
                )
            decoded.append((_response_names[name], text))
            size += len(name) + len(value)
    except (AttributeError, TypeError, ValueError):
        raise ProtocolError(f"expected headers as pairs of bytes, got {headers!r:.200}") from None
    return decoded, size
