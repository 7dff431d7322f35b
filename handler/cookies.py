"""Cookies: the ``cookie`` header of a request, and ``set-cookie`` of a response (RFC 6265)."""

from __future__ import annotations

import re
import time
from typing import Any

from penstock.handler.headers import is_token

_ESCAPE = re.compile(r"\\(?:([0-3][0-7][0-7])|(.))", re.DOTALL)
_PLAIN = re.compile(r"[!#$%&'*+\-.^_`|~:0-9A-Za-z]+")
_FORBIDDEN_IN_ATTRIBUTE = re.compile(r"[\x00-\x1f\x7f;]")
# In the order in which they are sent, and how they are spelt there.
_ATTRIBUTES = {
    "comment": "Comment",
    "domain": "Domain",
    "expires": "expires",
    "httponly": "HttpOnly",
    "max-age": "Max-Age",
    "partitioned": "Partitioned",
    "path": "Path",
    "samesite": "SameSite",
    "secure": "Secure",
    "version": "Version",
}
_FLAGS = frozenset({"httponly", "partitioned", "secure"})


def parse_cookies(header: str) -> dict[str, str]:
    """Return the cookies of a ``cookie`` header, given as latin-1 text; it never raises.

    Of equal names the last wins; text without ``=`` is a value whose name is ``""``. Each pair is
    read as UTF-8 if it can be, else as latin-1. Quoted values are unescaped.
    """
    cookies: dict[str, str] = {}
    ascii_only = header.isascii()
    for pair in header.split(";"):
        text = pair if ascii_only else _decoded(pair)
        name, equals, value = text.partition("=")
        if not equals:
            name, value = "", text
        name, value = name.strip(), value.strip()
        if name or value:
            cookies[name] = _unquoted(value) if value[:1] == '"' else value
    return cookies


def _decoded(pair: str) -> str:
    try:
        return pair.encode("latin-1").decode()
    except UnicodeError:
        return pair


def _unquoted(value: str) -> str:
    if len(value) < 2 or value[-1] != '"':
        return value
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)) if found[1] else found[2], value[1:-1])


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    return '"' + value.translate(_ESCAPES) + '"'


# What browsers and servers of all ages take inside quotes as it is; the rest up to U+00FF becomes
# an octal escape, as http.cookies writes it, and what is beyond is sent as UTF-8.
_KEPT = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~: ()/<=>?@[]{}"
)
_ESCAPES = {code: f"\\{code:03o}" for code in range(256) if chr(code) not in _KEPT}
_ESCAPES[ord('"')] = '\\"'
_ESCAPES[ord("\\")] = "\\\\"


class Cookie(dict[str, Any]):
    """One cookie to set: ``key``, ``value``, ``coded_value``, and its attributes as items.

    Attributes are named as in ``http.cookies``: expires, path, comment, domain, max-age, secure,
    httponly, version, samesite, and partitioned.

    Raises: ValueError for a name that is no token, for an attribute of another name, and for
    an attribute's value that would end the attribute.
    """

    __slots__ = ("coded_value", "key", "value")

    def __init__(self, key: str, value: object) -> None:
        if not is_token(key):
            raise ValueError(f"cookie name {key!r}: expected a token (RFC 6265 section 4.1.1)")
        super().__init__()
        self.key = key
        self.value = str(value)
        self.coded_value = _quoted(self.value)

    def __setitem__(self, attribute: str, value: Any) -> None:
        name = attribute.lower()
        if name not in _ATTRIBUTES:
            raise ValueError(
                f"cookie {self.key!r}: expected one of {', '.join(_ATTRIBUTES)}, got {attribute!r}"
            )
        if _FORBIDDEN_IN_ATTRIBUTE.search(str(value)):
            raise ValueError(
                f"cookie {self.key!r}: {name}={value!r}: expected no control character and no ';'"
            )
        super().__setitem__(name, value)

    def __missing__(self, attribute: str) -> str:
        if attribute.lower() in _ATTRIBUTES:
            return ""
        raise KeyError(attribute)

    def OutputString(self) -> str:  # noqa: N802 - the name that http.cookies gave it
        """The value of the ``set-cookie`` header."""
        parts = [f"{self.key}={self.coded_value}"]
        for name in sorted(self):
            value = self[name]
            if name in _FLAGS:
                if value:
                    parts.append(_ATTRIBUTES[name])
            elif value != "":
                parts.append(f"{_ATTRIBUTES[name]}={value}")
        return "; ".join(parts)

    def output(self, attrs: None = None, header: str = "Set-Cookie:") -> str:
        """The same with the header's name in front."""
        return f"{header} {self.OutputString()}"

    __str__ = output


class ResponseCookies(dict[str, Cookie]):
    """The cookies that a response sets, by name, in the order in which they were first set."""

    __slots__ = ()

    def __setitem__(self, key: str, value: object) -> None:
        super().__setitem__(key, value if isinstance(value, Cookie) else Cookie(key, value))

    def raw(self) -> list[bytes]:
        """The values of the ``set-cookie`` headers, one for each cookie."""
        return [cookie.OutputString().encode("utf-8", "replace") for cookie in self.values()]


def fill_cookie(
    cookie: Cookie,
    *,
    max_age: Any,
    expires: Any,
    path: str | None,
    domain: str | None,
    secure: bool,
    httponly: bool,
    samesite: str | None,
    partitioned: bool,
) -> None:
    """Set the attributes of a cookie as ``HttpResponseBase.set_cookie`` takes them.

    ``expires`` is text or a datetime (naive is UTC), which becomes ``max_age``; ``max_age`` is
    seconds or a timedelta, and adds ``expires`` for old browsers.

    Raises: ValueError for a datetime in ``expires`` together with ``max_age``, and for a
    ``samesite`` that is none of lax, none, strict.
    """
    if expires is not None and hasattr(expires, "utctimetuple"):
        if max_age is not None:
            raise ValueError("expected either expires or max_age, got both")
        max_age = _seconds_until(expires)
        expires = None
    if expires is not None:
        cookie["expires"] = expires
    if max_age is not None:
        seconds = max_age.total_seconds() if hasattr(max_age, "total_seconds") else max_age
        cookie["max-age"] = int(seconds)
        if not expires:
            from penstock.handler.dates import http_date  # its patterns take their time

            cookie["expires"] = http_date(time.time() + seconds)
    if path is not None:
        cookie["path"] = path
    if domain is not None:
        cookie["domain"] = domain
    if secure:
        cookie["secure"] = True
    if httponly:
        cookie["httponly"] = True
    if partitioned:
        cookie["partitioned"] = True
    if samesite:
        if samesite.lower() not in {"lax", "none", "strict"}:
            raise ValueError(f'samesite={samesite!r}: expected "lax", "none" or "strict"')
        cookie["samesite"] = samesite


def _seconds_until(moment: Any) -> int:
    """Whole seconds from now on; a fraction counts as one, so that the date comes out the same."""
    import datetime as dt

    if moment.tzinfo is None or moment.utcoffset() is None:
        moment = moment.replace(tzinfo=dt.UTC)
    delta: dt.timedelta = moment - dt.datetime.now(tz=dt.UTC) + dt.timedelta(seconds=1)
    return max(0, delta.days * 86_400 + delta.seconds)
