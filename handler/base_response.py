"""What every response has: status, headers, cookies, charset, closers."""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from penstock.handler.closing import acall_closers, call_closers
from penstock.handler.cookies import ResponseCookies, fill_cookie
from penstock.handler.headers import ResponseHeaders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_CHARSET = re.compile(r';\s*charset="?(?P<charset>[^\s;"]*)', re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_EPOCH = "Thu, 01 Jan 1970 00:00:00 GMT"
# What is remembered is bounded: a content type may come from a client.
_MOST_TYPES = 64

default_charset: ContextVar[str] = ContextVar("penstock.handler default charset", default="utf-8")
"""The charset of responses that name none; a handler sets it for the requests it serves."""


class HttpResponseBase:
    """Status, headers, cookies and closers; ``HttpResponse`` and others add the body.

    ``content_type`` defaults to ``text/html`` in the charset. ``reason`` defaults to the status's
    own phrase. ``close`` or ``aclose`` must be called once the response was sent or dropped; the
    handler does that.

    Raises: TypeError for a status that is no number, ValueError for one outside 100 to 599 and for
    a content type given twice, BadHeaderError for a header that cannot be sent.
    """

    status_code: int = 200
    streaming: bool = False
    closed: bool = False
    _charset: str | None = None
    _reason_phrase: str | None = None

    # Who sends request_finished when the response is closed by hand; a handler sets it to None,
    # because then it sends the signal itself.
    _handler_class: type | None = None

    def __init__(
        self,
        content_type: str | None = None,
        status: int | str | None = None,
        reason: str | None = None,
        charset: str | None = None,
        headers: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None,
    ) -> None:
        if charset is not None:
            self._charset = charset
        if headers is None:
            self.headers = _headers_with_type(
                self._default_type() if content_type is None else content_type
            )
        else:
            self.headers = ResponseHeaders(headers)
            if "content-type" not in self.headers:
                self.headers["Content-Type"] = content_type or self._default_type()
            elif content_type:
                raise ValueError(
                    f"expected the content type once, got content_type={content_type!r} "
                    f"and in headers {self.headers['content-type']!r}"
                )
        self._resource_closers: list[Callable[[], object]] = []
        self.cookies = ResponseCookies()
        if status is not None:
            self.status_code = _status(status)
        if reason is not None:
            self.reason_phrase = reason

    def _default_type(self) -> str:
        charset = default_charset.get() if self._charset is None else self._charset
        return f"text/html; charset={charset}"

    @property
    def reason_phrase(self) -> str:
        """The phrase beside the status; ASGI does not send it.

        Raises: ValueError if it is set to text with control characters.
        """
        if self._reason_phrase is not None:
            return self._reason_phrase
        from http import HTTPStatus

        try:
            return HTTPStatus(self.status_code).phrase
        except ValueError:
            return "Unknown Status Code"

    @reason_phrase.setter
    def reason_phrase(self, reason: str) -> None:
        if _CONTROL.search(reason):
            raise ValueError(f"reason={reason!r}: expected text without control characters")
        self._reason_phrase = reason

    @property
    def charset(self) -> str:
        """The charset given, else that of the content type, else the default."""
        if self._charset is not None:
            return self._charset
        charset = _charset_of(self.headers.get("content-type", ""))
        return default_charset.get() if charset is None else charset

    @charset.setter
    def charset(self, charset: str) -> None:
        self._charset = charset

    def make_bytes(self, value: object) -> bytes:
        """Return the value as bytes: text in the response's charset, other things through str."""
        if isinstance(value, bytes | memoryview | bytearray):
            return bytes(value)
        # An empty charset parameter is the sender's slip, and the text still has to leave.
        return str(value).encode(self.charset or "utf-8")

    # Headers

    def __getitem__(self, header: str) -> str:
        return self.headers[header]

    def __setitem__(self, header: str, value: object) -> None:
        self.headers[header] = value

    def __delitem__(self, header: str) -> None:
        del self.headers[header]

    def has_header(self, header: str) -> bool:
        """True if there is a header of that name, in whatever case."""
        return header in self.headers

    __contains__ = has_header

    def items(self) -> Iterable[tuple[str, str]]:
        """Pairs of header name and value."""
        return self.headers.items()

    def get(self, header: str, alternate: Any = None) -> Any:
        """The header's value, or the alternate."""
        return self.headers.get(header, alternate)

    def setdefault(self, header: str, value: object) -> None:
        """Set the header unless it is set."""
        if header not in self.headers:
            self.headers[header] = value

    def serialize_headers(self) -> bytes:
        """The headers as lines of HTTP/1.1, without the last line break."""
        pairs = self.headers.raw(preserve_case=True)
        return b"\r\n".join(name + b": " + value for name, value in pairs)

    __bytes__ = serialize_headers

    # Cookies

    def set_cookie(
        self,
        key: str,
        value: object = "",
        max_age: Any = None,
        expires: Any = None,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        httponly: bool = False,  # noqa: FBT001, FBT002
        samesite: str | None = None,
        *,
        partitioned: bool = False,
    ) -> None:
        """Set a cookie; one of the same name is replaced.

        ``max_age`` is seconds or a timedelta, ``expires`` a datetime (naive is UTC) or the text of
        a date. Source: RFC 6265 section 4.1.

        Raises: ValueError for a name that is no token, for expires as a datetime together with
        max_age, for an unknown samesite, and for attributes that would end early.
        """
        self.cookies[key] = value
        fill_cookie(
            self.cookies[key],
            max_age=max_age,
            expires=expires,
            path=path,
            domain=domain,
            secure=secure,
            httponly=httponly,
            samesite=samesite,
            partitioned=partitioned,
        )

    def delete_cookie(
        self,
        key: str,
        path: str | None = "/",
        domain: str | None = None,
        samesite: str | None = None,
    ) -> None:
        """Tell the client to drop a cookie; path and domain must be those it was set with.

        It is marked secure where browsers would ignore it otherwise: names with the prefixes
        ``__Secure-`` and ``__Host-``, and ``samesite="none"``.
        """
        secure = key.startswith(("__Secure-", "__Host-")) or (
            samesite is not None and samesite.lower() == "none"
        )
        self.set_cookie(
            key,
            max_age=0,
            expires=_EPOCH,
            path=path,
            domain=domain,
            secure=secure,
            samesite=samesite,
        )

    # Closing

    def add_closer(self, closer: Callable[[], object]) -> None:
        """Have the function, sync or async, called when the response is closed, in any outcome."""
        self._resource_closers.append(closer)

    def take_over(self, other: Any) -> None:
        """Close from now on what another response, in whose place this one stands, had open."""
        self._resource_closers += other._resource_closers  # noqa: SLF001 - shared with Django's
        other._resource_closers = []  # noqa: SLF001
        self._handler_class = getattr(other, "_handler_class", None)
        self.cookies.update(other.cookies)

    def close(self) -> None:
        """Call the closers in order; errors are logged, and the next one is called.

        A response that no handler has taken over sends ``request_finished``. The second call does
        nothing. On the event loop's own thread async closers cannot run: use ``aclose`` there.
        """
        if self.closed:
            return
        self.closed = True
        closers, self._resource_closers = self._resource_closers, []
        call_closers(closers)
        self._finish()

    async def aclose(self) -> None:
        """Do what ``close`` does: async closers on the loop, adjacent sync ones in one thread hop.

        Every closer is called even if the task is cancelled meanwhile; that is raised at the end.
        """
        if self.closed:
            return
        self.closed = True
        closers, self._resource_closers = self._resource_closers, []
        try:
            await acall_closers(closers)
        finally:
            if self._handler_class is not None:
                from asgiref.sync import sync_to_async

                await sync_to_async(self._finish)()

    def _finish(self) -> None:
        if self._handler_class is None:
            return
        from penstock.handler.signals import request_finished

        request_finished.send_robust(
            sender=self._handler_class, scope=None, request=None, response=self, outcome="complete"
        )

    # The parts of a file's interface that a response without a body has

    def write(self, content: object) -> None:
        """Append to the body, where there is one."""
        raise OSError(f"This {type(self).__name__} instance is not writable")

    def writelines(self, lines: Iterable[object]) -> None:
        """Append to the body, where there is one."""
        raise OSError(f"This {type(self).__name__} instance is not writable")

    def tell(self) -> int:
        """The length of the body, where it is known."""
        raise OSError(f"This {type(self).__name__} instance cannot tell its position")

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def readable(self) -> bool:
        """False."""
        return False

    def seekable(self) -> bool:
        """False."""
        return False

    def writable(self) -> bool:
        """True if ``write`` works."""
        return False

    def __repr__(self) -> str:
        content_type = self.headers.get("content-type")
        shown = "" if content_type is None else f', "{content_type}"'
        methods = self._repr_of_methods()
        return f"<{type(self).__name__} {methods}status_code={self.status_code}{shown}>"

    def _repr_of_methods(self) -> str:
        return ""


HttpResponseBase._handler_class = HttpResponseBase  # noqa: SLF001 - cannot name itself in its body


_by_type: dict[str, ResponseHeaders] = {}
_charsets: dict[str, str | None] = {}


def _headers_with_type(content_type: str) -> ResponseHeaders:
    """Headers with nothing but this; a type seen before is not checked and encoded again."""
    headers = _by_type.get(content_type)
    if headers is None:
        headers = ResponseHeaders({"Content-Type": content_type})
        headers.raw()
        if len(_by_type) < _MOST_TYPES:
            _by_type[content_type] = headers
    return ResponseHeaders.of(headers)


def _charset_of(content_type: str) -> str | None:
    try:
        return _charsets[content_type]
    except KeyError:
        found = _CHARSET.search(content_type)
        charset = found["charset"] if found else None
        if len(_charsets) < _MOST_TYPES:
            _charsets[content_type] = charset
        return charset


def _status(status: Any) -> int:
    try:
        code = int(status)
    except (TypeError, ValueError):
        raise TypeError(f"status={status!r}: expected a whole number") from None
    if not 100 <= code <= 599:
        raise ValueError(f"status={status!r}: expected 100 to 599")
    return code
