"""Dictionaries with several values a key: queries, form fields, uploaded files."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from penstock.handler.exceptions import TooManyFieldsSent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class MultiValueDictKeyError(KeyError):
    """There is no such key."""


class MultiValueDict(dict[Any, Any]):
    """A dict with a list of values a key; ``[]``, ``get``, ``items`` and ``values`` see the last.

    ``getlist``, ``setlist``, ``appendlist`` and ``lists`` see them all. Made from a mapping, or
    pairs, of key and list.
    """

    def __getitem__(self, key: Any) -> Any:
        """The last value; ``[]`` if the key's list is empty."""
        try:
            values = super().__getitem__(key)
        except KeyError:
            raise MultiValueDictKeyError(key) from None
        return values[-1] if values else []

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, [value])

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {super().__repr__()}>"

    def __copy__(self) -> MultiValueDict:
        return type(self)([(key, values[:]) for key, values in self.lists()])

    def __deepcopy__(self, memo: dict[int, Any]) -> MultiValueDict:
        result = type(self)()
        memo[id(self)] = result
        for key, values in self.lists():
            dict.__setitem__(result, copy.deepcopy(key, memo), copy.deepcopy(values, memo))
        return result

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (), {"values": dict(self.lists()), "rest": self.__dict__})

    def __setstate__(self, state: dict[str, Any]) -> None:
        for key, values in state["values"].items():
            dict.__setitem__(self, key, values)
        self.__dict__.update(state["rest"])

    def get(self, key: Any, default: Any = None) -> Any:
        """The last value; the default if there is none."""
        values = super().get(key)
        return values[-1] if values else default

    def getlist(self, key: Any, default: Any = None) -> Any:
        """A new list of the values; the default, or an empty list, if there is no such key."""
        values = super().get(key)
        if values is None:
            return [] if default is None else default
        return list(values)

    def setlist(self, key: Any, values: Iterable[Any]) -> None:
        """Replace the key's values."""
        super().__setitem__(key, values)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """The last value, which is the default if there was no such key."""
        if key not in self:
            self[key] = default
        return self[key]

    def setlistdefault(self, key: Any, default_list: Iterable[Any] | None = None) -> Any:
        """The key's own list, which is the default if there was no such key."""
        if key not in self:
            self.setlist(key, [] if default_list is None else default_list)
        return super().__getitem__(key)

    def appendlist(self, key: Any, value: Any) -> None:
        """Add a value to the key's."""
        self.setlistdefault(key).append(value)

    def items(self) -> Iterator[tuple[Any, Any]]:  # type: ignore[override]
        """Pairs of key and last value."""
        for key in self:
            yield key, self[key]

    def values(self) -> Iterator[Any]:  # type: ignore[override]
        """The last value of each key."""
        for key in self:
            yield self[key]

    def lists(self) -> Iterator[tuple[Any, list[Any]]]:
        """Pairs of key and its own list."""
        return iter(super().items())

    def copy(self) -> Any:
        """A copy with lists of its own."""
        return copy.copy(self)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Add values, rather than replace them."""
        if len(args) > 1:
            raise TypeError(f"update: expected at most one argument, got {len(args)}")
        for source in (*args, kwargs):
            if isinstance(source, MultiValueDict):
                for key, values in source.lists():
                    self.setlistdefault(key).extend(values)
            else:
                for key, value in source.items() if isinstance(source, Mapping) else source:
                    self.setlistdefault(key).append(value)

    def dict(self) -> dict[Any, Any]:
        """A plain dict with the last values."""
        return {key: self[key] for key in self}


def _decoded(query_string: bytes, encoding: str) -> str:
    try:
        return query_string.decode(encoding)
    except UnicodeDecodeError:  # as browsers of old sent them
        return query_string.decode("latin-1")


class QueryDict(MultiValueDict):
    """The fields of a query string or of an urlencoded form (WHATWG URL Standard, section 5).

    ``;`` is no separator, blank values stay, and text that is not of the ``encoding`` is replaced.
    Immutable, unless ``mutable``; ``copy`` gives a mutable one. ``max_fields`` of ``None`` is no
    limit.

    Raises: TooManyFieldsSent; AttributeError for a change of an immutable one.
    """

    _mutable = True

    def __init__(
        self,
        query_string: str | bytes | None = None,
        mutable: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        encoding: str | None = None,
        *,
        max_fields: int | None = 1000,
    ) -> None:
        super().__init__()
        self.encoding = encoding or "utf-8"
        if query_string:
            self._read(query_string, max_fields)
        self._mutable = mutable

    def _read(self, query_string: str | bytes, max_fields: int | None) -> None:
        if isinstance(query_string, bytes):
            query_string = _decoded(query_string, self.encoding)
        parts = query_string.split("&")
        if max_fields is not None and len(parts) > max_fields:
            raise TooManyFieldsSent(f"{len(parts)} fields: expected at most {max_fields}")
        escaped = "%" in query_string or "+" in query_string
        for part in parts:
            if not part:
                continue
            key, _, value = part.partition("=")
            if escaped:
                key, value = self._unescaped(key), self._unescaped(value)
            dict.setdefault(self, key, []).append(value)

    def _unescaped(self, text: str) -> str:
        text = text.replace("+", " ")
        if "%" not in text:
            return text
        from urllib.parse import unquote

        return unquote(text, self.encoding, "replace")

    @classmethod
    def fromkeys(
        cls,
        iterable: Iterable[Any],
        value: Any = "",
        mutable: bool = False,  # noqa: FBT001, FBT002
        encoding: str | None = None,
    ) -> QueryDict:
        """Return one with these keys, which may repeat, and that value for each."""
        result = cls("", mutable=True, encoding=encoding)
        for key in iterable:
            result.appendlist(key, value)
        result._mutable = mutable
        return result

    def _as_text(self, value: Any) -> Any:
        return value.decode(self.encoding, "replace") if isinstance(value, bytes) else value

    def _assert_mutable(self) -> None:
        if not self._mutable:
            raise AttributeError("this QueryDict is immutable; change a copy()")

    def __setitem__(self, key: Any, value: Any) -> None:
        self._assert_mutable()
        super().__setitem__(self._as_text(key), self._as_text(value))

    def __delitem__(self, key: Any) -> None:
        self._assert_mutable()
        super().__delitem__(key)

    def __copy__(self) -> QueryDict:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> QueryDict:
        result = type(self)("", mutable=True, encoding=self.encoding)
        memo[id(self)] = result
        for key, values in self.lists():
            result.setlist(copy.deepcopy(key, memo), copy.deepcopy(values, memo))
        return result

    def setlist(self, key: Any, values: Iterable[Any]) -> None:
        """Replace the key's values."""
        self._assert_mutable()
        super().setlist(self._as_text(key), [self._as_text(value) for value in values])

    def setlistdefault(self, key: Any, default_list: Iterable[Any] | None = None) -> Any:
        """The key's own list, which is the default if there was no such key."""
        self._assert_mutable()
        return super().setlistdefault(self._as_text(key), default_list)

    def appendlist(self, key: Any, value: Any) -> None:
        """Add a value to the key's."""
        self._assert_mutable()
        super().appendlist(self._as_text(key), self._as_text(value))

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """The last value, which is the default if there was no such key."""
        self._assert_mutable()
        return super().setdefault(self._as_text(key), self._as_text(default))

    def pop(self, key: Any, *args: Any) -> Any:
        """Take the key's list out."""
        self._assert_mutable()
        return super().pop(key, *args)

    def popitem(self) -> tuple[Any, Any]:
        """Take the last key and its list out."""
        self._assert_mutable()
        return super().popitem()

    def clear(self) -> None:
        """Take everything out."""
        self._assert_mutable()
        super().clear()

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Add values, rather than replace them."""
        self._assert_mutable()
        super().update(*args, **kwargs)

    def copy(self) -> QueryDict:
        """A mutable copy, of the values too."""
        return self.__deepcopy__({})

    def urlencode(self, safe: str | None = None) -> str:
        """Return the fields as a query string; ``safe`` characters stay as they are.

        Spaces become ``+``, or ``%20`` if ``safe`` is given.
        """
        from urllib.parse import quote, quote_plus

        def encode(value: object) -> str:
            data = str(value).encode(self.encoding)
            return quote(data, safe) if safe else quote_plus(data)

        return "&".join(
            f"{encode(key)}={encode(value)}" for key, values in self.lists() for value in values
        )
