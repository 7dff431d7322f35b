"""Header maps: what a response sends, and what a request brought."""

from __future__ import annotations

import re
from collections.abc import ItemsView, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from penstock.handler.exceptions import BadHeaderError

if TYPE_CHECKING:
    from collections.abc import Iterable

# RFC 9110 section 5.6.2, token.
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FORBIDDEN = re.compile(r"[\r\n\0]")
# An application may take names from its clients, so what is remembered of them is bounded.
_MOST_NAMES = 1024
_LONGEST_NAME = 64


class _Names(dict[str, tuple[str, bytes]]):
    """From a name as it is written to its lower-case form, as text and as bytes."""

    def __missing__(self, name: Any) -> tuple[str, bytes]:
        if isinstance(name, bytes):
            text = name.decode("latin-1")
        else:
            text = name if isinstance(name, str) else str(name)
        if not _TOKEN.fullmatch(text):
            raise BadHeaderError(
                f"header name {name!r}: expected a token (RFC 9110 section 5.6.2): "
                "letters, digits and !#$%&'*+-.^_`|~"
            )
        lower = text.lower()
        entry = (lower, lower.encode("ascii"))
        if isinstance(name, str) and len(self) < _MOST_NAMES and len(name) <= _LONGEST_NAME:
            self[name] = entry
        return entry


_names = _Names()


def is_token(text: str) -> bool:
    """True if the text is a token of RFC 9110 section 5.6.2 (header names, cookie names)."""
    return _TOKEN.fullmatch(text) is not None


def header_value(value: object) -> str:
    """Return the value as text that latin-1 can hold; other text as a word of RFC 2047.

    Bytes are taken for latin-1, anything else goes through ``str``.

    Raises: BadHeaderError for CR, LF or NUL, which would split the response (RFC 9110 section 5.5).
    """
    if isinstance(value, str):
        text = value
    elif isinstance(value, bytes):
        text = value.decode("latin-1")
    else:
        text = str(value)
    if text.isascii() and text.isprintable():
        return text
    if _FORBIDDEN.search(text):
        raise BadHeaderError(f"header value {value!r}: expected text without CR, LF and NUL")
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return _encoded_word(text)
    return text


def _encoded_word(text: str) -> str:
    """RFC 2047 section 2, in whichever of its two encodings is shorter."""
    from base64 import b64encode

    data = text.encode("utf-8", "surrogatepass")
    quoted = "".join(
        "_" if byte == 0x20 else chr(byte) if _is_plain(byte) else f"={byte:02X}" for byte in data
    )
    based = b64encode(data).decode("ascii")
    return f"=?utf-8?b?{based}?=" if len(based) < len(quoted) else f"=?utf-8?q?{quoted}?="


def _is_plain(byte: int) -> bool:
    """RFC 2047 section 5 (3): what a word may hold unencoded wherever it stands."""
    return chr(byte).isalnum() if byte < 0x80 else False


class ResponseHeaders(MutableMapping[str, str]):
    """The headers of a response: names without regard to case, order kept, values repeatable.

    ``headers[name] = value`` replaces every value of that name, ``add`` appends one, and each
    leaves as a line of its own. ``headers[name]`` joins them with ``", "`` (RFC 9110 section 5.2).
    Deleting what is not there is no error.

    Raises: BadHeaderError as soon as a name or a value is set that could not be sent.
    """

    __slots__ = ("_raw", "_store")

    def __init__(
        self, headers: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None
    ) -> None:
        self._store: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._raw: list[tuple[bytes, bytes]] | None = None
        if headers:
            pairs = headers.items() if isinstance(headers, Mapping) else headers
            for name, value in pairs:
                self[name] = value

    def __getitem__(self, name: str) -> str:
        return ", ".join(self._store[name.lower()][1])

    def __setitem__(self, name: str, value: object) -> None:
        self._store[_names[name][0]] = (_text(name), (header_value(value),))
        self._raw = None

    def get(self, name: str, default: Any = None) -> Any:
        """The value of that name, or the default."""
        entry = self._store.get(name.lower())
        return default if entry is None else ", ".join(entry[1])

    def __delitem__(self, name: str) -> None:
        if self._store.pop(name.lower(), None) is not None:
            self._raw = None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._store

    def __iter__(self) -> Iterator[str]:
        """Names as they were written, each once."""
        return iter([name for name, _ in self._store.values()])

    def __len__(self) -> int:
        return len(self._store)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self.items())!r})"

    @classmethod
    def of(cls, other: ResponseHeaders) -> ResponseHeaders:
        """Return a copy; nothing is checked or encoded again."""
        copy = cls.__new__(cls)
        copy._store = other._store.copy()  # noqa: SLF001 - of the same class
        copy._raw = other._raw  # noqa: SLF001
        return copy

    def __copy__(self) -> ResponseHeaders:
        return self.of(self)

    copy = __copy__

    def items(self) -> ItemsView[str, str]:
        """Pairs of name and value, repeated values as pairs of their own."""
        return _Items(self)

    def pairs(self) -> list[tuple[str, str]]:
        """The same as a list."""
        return [(name, value) for name, values in self._store.values() for value in values]

    def add(self, name: str, value: object) -> None:
        """Append a value to those that the name has; each is sent as a line of its own."""
        lower = _names[name][0]
        written, values = self._store.get(lower, (_text(name), ()))
        self._store[lower] = (written, (*values, header_value(value)))
        self._raw = None

    def getlist(self, name: str) -> list[str]:
        """Every value of the name, in order; empty if there is none."""
        entry = self._store.get(name.lower())
        return list(entry[1]) if entry else []

    def raw(self, *, preserve_case: bool = False) -> list[tuple[bytes, bytes]]:
        """Pairs for ``http.response.start``: names in lower case, unless ``preserve_case``.

        The list is the caller's own.
        """
        if preserve_case:
            return [(name.encode("ascii"), value.encode("latin-1")) for name, value in self.pairs()]
        raw = self._raw
        if raw is None:
            raw = self._raw = [
                (_names[lower][1], value.encode("latin-1"))
                for lower, (_, values) in self._store.items()
                for value in values
            ]
        return raw.copy()


class _Items(ItemsView[str, str]):
    """A view of ``ResponseHeaders`` that shows each value, not each name."""

    _mapping: ResponseHeaders

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._mapping.pairs())

    def __len__(self) -> int:
        return len(self._mapping.pairs())

    def __contains__(self, item: object) -> bool:
        return item in self._mapping.pairs()


def _text(name: str | bytes) -> str:
    return name.decode("ascii") if isinstance(name, bytes) else str(name)


class RequestHeaders(Mapping[str, str]):
    """A read-only view of a scope's headers; made of them at the first look.

    Names are found without regard to case and with ``_`` for ``-``. Values are latin-1 text;
    repeated ones are joined with ``","``, those of ``cookie`` with ``"; "`` (RFC 9113 section
    8.2.3). Names that have a ``_`` themselves are left out: they could pass for others.
    """

    __slots__ = ("_found", "_raw")

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._raw = raw
        self._found: dict[str, str] | None = None

    def _by_name(self) -> dict[str, str]:
        found = self._found
        if found is None:
            found = self._found = {}
            for name_bytes, value_bytes in self._raw:
                name = name_bytes.decode("latin-1").lower()
                if "_" in name:
                    continue
                value = value_bytes.decode("latin-1")
                if name == "cookie":
                    value = value.rstrip("; ")
                if name in found:
                    separator = "; " if name == "cookie" else ","
                    value = f"{found[name]}{separator}{value}"
                found[name] = value
        return found

    def __getitem__(self, name: str) -> str:
        return self._by_name()[name.lower().replace("_", "-")]

    def get(self, name: str, default: Any = None) -> Any:
        """The value of that name, or the default."""
        return self._by_name().get(name.lower().replace("_", "-"), default)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower().replace("_", "-") in self._by_name()

    def __iter__(self) -> Iterator[str]:
        """Names in the usual spelling: ``Content-Type``."""
        return (name.title() for name in self._by_name())

    def __len__(self) -> int:
        return len(self._by_name())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict(self)!r})"

    def getlist(self, name: str) -> list[str]:
        """Every value of the name as it came, in order; empty if there is none."""
        wanted = name.lower().replace("_", "-").encode("latin-1")
        return [value.decode("latin-1") for key, value in self._raw if key.lower() == wanted]
