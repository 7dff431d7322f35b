"""Header values with parameters, and what a client accepts (RFC 9110 section 12.5)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PARAMETER = re.compile(
    r';\s*([^\s=;"]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"[^;]*|([^;]*)))?', re.DOTALL
)
_ESCAPED = re.compile(r'\\(["\\])')
# Python's codecs of text that fail on some bytes whatever is asked, are slow, or are no charset.
_NOT_FOR_TEXT = frozenset(("idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"))
# RFC 2231: a number of a continuation, and the mark of an encoded value.
_EXTENDED = re.compile(r"([^*]+)(?:\*(\d{1,3}))?(\*)?")


def parse_header_parameters(line: str) -> tuple[str, dict[str, str]]:
    """Return the value in lower case and its parameters: ``text/html; charset="utf-8"``.

    Parameter names are in lower case. ``name*=utf-8''…`` (RFC 8187) and ``name*0=…``
    (RFC 2231) come as ``name``; one that cannot be decoded is left out.
    """
    value, semicolon, _ = line.partition(";")
    value = value.strip().lower()
    if not semicolon:
        return value, {}
    parameters: dict[str, str] = {}
    extended: dict[str, list[tuple[int, bool, str]]] = {}
    for name, quoted, plain in _PARAMETER.findall(line, line.index(";")):
        text = _ESCAPED.sub(r"\1", quoted) if quoted else plain.strip()
        found = _EXTENDED.fullmatch(name.lower())
        if found and (found[2] or found[3]):
            extended.setdefault(found[1], []).append((int(found[2] or 0), bool(found[3]), text))
        else:
            parameters.setdefault(name.lower(), text)
    for name, pieces in extended.items():
        joined = _joined(pieces)
        if joined is not None:
            parameters[name] = joined
    return value, parameters


def _joined(pieces: list[tuple[int, bool, str]]) -> str | None:
    pieces.sort(key=lambda piece: piece[0])
    if not any(encoded for _, encoded, _ in pieces):
        return "".join(text for _, _, text in pieces)
    from urllib.parse import unquote_to_bytes

    charset = "utf-8"
    data = b""
    for position, (_, encoded, text) in enumerate(pieces):
        if not encoded:
            data += text.encode("utf-8", "surrogatepass")
            continue
        if position == 0:  # charset'language'text
            charset, _, rest = text.partition("'")
            data += unquote_to_bytes(rest.partition("'")[2])
        else:
            data += unquote_to_bytes(text)
    try:
        return data.decode(charset or "utf-8")
    except (LookupError, ValueError):
        return None


def is_charset(name: str) -> bool:
    """Whether Python knows a charset of that name, and can decode any bytes with it."""
    from codecs import lookup

    try:
        b"a".decode(name, "replace")  # LookupError for codecs that are none of text, such as zlib
        return lookup(name).name not in _NOT_FOR_TEXT
    except (LookupError, ValueError):
        return False


class MediaType:
    """A media type or media range, such as ``text/*; q=0.5``.

    ``main_type``, ``sub_type``, ``params`` (with q), ``range_params`` (without), ``quality``
    (0 to 1; 1 where q is no such number) and ``specificity`` (0 to 3).
    """

    def __init__(self, text: str) -> None:
        full_type, self.params = parse_header_parameters(text)
        self.main_type, _, self.sub_type = full_type.partition("/")
        self.range_params = {name: value for name, value in self.params.items() if name != "q"}
        self.quality = _quality(self.params.get("q", "1"))

    def __str__(self) -> str:
        parameters = "".join(f"; {name}={value}" for name, value in self.params.items())
        sub_type = f"/{self.sub_type}" if self.sub_type else ""
        return f"{self.main_type}{sub_type}{parameters}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"

    @property
    def specificity(self) -> int:
        """0 for ``*/*``, 1 for ``text/*``, 2 for ``text/html``, 3 with parameters."""
        if self.main_type == "*":
            return 0
        if self.sub_type == "*":
            return 1
        return 3 if self.range_params else 2

    def match(self, other: MediaType | str) -> bool:
        """True if one covers the other; a type without parameters is not in a range with them."""
        if not isinstance(other, MediaType):
            other = MediaType(other)
        mine, theirs = (self.main_type, self.sub_type), (other.main_type, other.sub_type)
        if not (all(mine) and all(theirs)):
            return False
        if any(a != b and "*" not in {a, b} for a, b in zip(mine, theirs, strict=True)):
            return False
        return not other.range_params or self.range_params == other.range_params


def _quality(text: str) -> float:
    try:
        quality = float(text)
    except ValueError:
        return 1.0
    return round(quality, 3) if 0 <= quality <= 1 else 1.0


def accepted_types(header: str) -> list[MediaType]:
    """Return what an Accept header accepts, the most wanted first, then the most specific."""
    types = [MediaType(part) for part in header.split(",") if part.strip()]
    return sorted(
        (one for one in types if one.quality),
        key=lambda one: (one.quality, one.specificity),
        reverse=True,
    )


def accepted_type(types: Iterable[MediaType], media_type: str) -> MediaType | None:
    """Return the most specific of the accepted types that covers this one, or None."""
    wanted = MediaType(media_type)
    matching = [one for one in types if wanted.match(one)]
    return max(matching, key=lambda one: (one.specificity, one.quality), default=None)


def preferred_type(types: Sequence[MediaType], media_types: Iterable[str]) -> str | None:
    """Return that of ``media_types`` which the client wants most, or None."""
    offers = [(accepted_type(types, one), one) for one in media_types]
    accepted = [(types.index(by), one) for by, one in offers if by is not None]
    return min(accepted, key=lambda pair: pair[0])[1] if accepted else None


def accepted_codings(header: str) -> dict[str, float]:
    """Return the qualities of an Accept-Encoding header by coding, in lower case."""
    codings: dict[str, float] = {}
    for part in header.split(","):
        coding, parameters = parse_header_parameters(part)
        if coding:
            codings.setdefault(coding, _quality(parameters.get("q", "1")))
    return codings
