"""Path converters: what ``<int:id>`` in a route matches, and makes of it."""

from __future__ import annotations

from typing import Any, Protocol

from penstock.handler.exceptions import ImproperlyConfigured


class Converter(Protocol):
    """What a path converter must have.

    ``to_python`` may raise ``ValueError``: then the route does not match.
    """

    regex: str

    def to_python(self, value: str) -> Any:
        """Return the argument for the view."""

    def to_url(self, value: Any) -> str:
        """Return the text that stands for the argument in a path."""


class StrConverter:
    """Text without a slash."""

    regex = "[^/]+"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: Any) -> str:
        return str(value)


class SlugConverter(StrConverter):
    """ASCII letters, digits, hyphens and underscores."""

    regex = "[-a-zA-Z0-9_]+"


class PathConverter(StrConverter):
    """Text with slashes."""

    regex = ".+"


class IntConverter:
    """Zero or a positive whole number."""

    # Python refuses longer ones, and a path is no place for them.
    regex = "[0-9]{1,4000}"

    def to_python(self, value: str) -> int:
        return int(value)

    def to_url(self, value: Any) -> str:
        return str(int(value))


class FloatConverter:
    """A positive number with or without a fraction."""

    regex = r"[0-9]+(?:\.[0-9]+)?"

    def to_python(self, value: str) -> float:
        return float(value)

    def to_url(self, value: Any) -> str:
        return f"{float(value):.20f}".rstrip("0").rstrip(".")


class UUIDConverter:
    """A UUID in lower case with hyphens."""

    regex = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

    def to_python(self, value: str) -> Any:
        from uuid import UUID

        return UUID(value)

    def to_url(self, value: Any) -> str:
        return str(value)


class DateConverter:
    """A day as ``YYYY-MM-DD``."""

    regex = "[0-9]{4}-[0-9]{2}-[0-9]{2}"

    def to_python(self, value: str) -> Any:
        from datetime import date

        return date.fromisoformat(value)

    def to_url(self, value: Any) -> str:
        return value if isinstance(value, str) else str(value.isoformat()[:10])


CONVERTERS: dict[str, Converter] = {
    "str": StrConverter(),
    "slug": SlugConverter(),
    "path": PathConverter(),
    "int": IntConverter(),
    "float": FloatConverter(),
    "uuid": UUIDConverter(),
    "date": DateConverter(),
}


def register_converter(converter: Any, name: str) -> None:
    """Make a converter (a class or an instance, see ``Converter``) known to routes made later."""
    if name in CONVERTERS:
        raise ImproperlyConfigured(f"converter {name!r} exists already: choose another name")
    instance = converter() if isinstance(converter, type) else converter
    for attribute in ("regex", "to_python", "to_url"):
        if not hasattr(instance, attribute):
            raise ImproperlyConfigured(f"converter {converter!r} has no {attribute}")
    CONVERTERS[name] = instance


def quoted(value: str) -> str:
    """Percent-encode a part of a path."""
    from urllib.parse import quote

    return quote(value, safe="/:@&+$,-_.!~*'()")
