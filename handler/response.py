"""Responses whose body is in memory, redirects, and those that are little but a status."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from penstock.handler.base_response import HttpResponseBase
from penstock.handler.exceptions import DisallowedRedirect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_LONGEST_URL = 16_384  # sign-in flows carry a few thousand characters
_WHOLE = (str, bytes, bytearray, memoryview)
_LEADING = "".join(map(chr, range(0x21)))
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")


class HttpResponse(HttpResponseBase):
    """A response with its body in memory.

    ``content`` may be bytes, text, anything that ``str`` makes text of, or an iterable of these,
    which is read and closed at once. Reading ``content`` always gives bytes.
    """

    _text: str | None = None

    def __init__(
        self,
        content: object = b"",
        content_type: str | None = None,
        status: int | str | None = None,
        reason: str | None = None,
        charset: str | None = None,
        headers: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None,
    ) -> None:
        HttpResponseBase.__init__(self, content_type, status, reason, charset, headers)
        self._set_content(content)

    @property
    def content(self) -> bytes:
        """The body."""
        container = self._container
        if len(container) != 1:
            container[:] = [b"".join(container)]
        return container[0]

    @content.setter
    def content(self, value: object) -> None:
        self._set_content(value)

    def _set_content(self, value: object) -> None:
        if type(value) is bytes:
            self._container = [value]
        elif type(value) is str:
            self._container = [value.encode(self.charset or "utf-8")]
        elif isinstance(value, _WHOLE) or not _is_iterable(value):
            self._container = [self.make_bytes(value)]
        else:
            self._container = [self._consume(value)]
        self._text = None

    def _consume(self, parts: Any) -> bytes:
        try:
            return b"".join([self.make_bytes(part) for part in parts])
        finally:
            if hasattr(parts, "close"):
                parts.close()

    @property
    def text(self) -> str:
        """The body as text, decoded once until it changes."""
        if self._text is None:
            self._text = self.content.decode(self.charset or "utf-8")
        return self._text

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._container)

    def serialize(self) -> bytes:
        """Headers, an empty line, body."""
        return self.serialize_headers() + b"\r\n\r\n" + self.content

    __bytes__ = serialize

    def write(self, content: object) -> None:
        """Append to the body."""
        self._container.append(self.make_bytes(content))
        self._text = None

    def writelines(self, lines: Iterable[object]) -> None:
        """Append each to the body."""
        for line in lines:
            self.write(line)

    def tell(self) -> int:
        """The length of the body in bytes."""
        return len(self.content)

    def getvalue(self) -> bytes:
        """The body."""
        return self.content

    def writable(self) -> bool:
        """True."""
        return True


def _is_iterable(value: object) -> bool:
    return hasattr(type(value), "__iter__")


class HttpResponseRedirectBase(HttpResponse):
    """A redirect to ``redirect_to``, which may be an IRI; it leaves as a URI.

    With ``preserve_request`` the client repeats method and body (307, 308). ``max_length`` is in
    characters, ``None`` for no limit.

    Raises: DisallowedRedirect for another scheme than those of ``allowed_schemes``, and for a URL
    that is too long.
    """

    allowed_schemes: ClassVar[list[str]] = ["http", "https", "ftp"]
    status_code_preserve_request: ClassVar[int]

    def __init__(
        self,
        redirect_to: object,
        preserve_request: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        *args: Any,
        max_length: int | None = _LONGEST_URL,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        url = str(redirect_to)
        if max_length is not None and len(url) > max_length:
            raise DisallowedRedirect(
                f"redirect to {len(url)} characters: expected at most {max_length}"
            )
        # What browsers do to a URL before they read it (WHATWG URL Standard, basic URL parser).
        as_read = url.lstrip(_LEADING).translate({9: None, 10: None, 13: None})
        scheme = _SCHEME.match(as_read)
        if scheme and scheme[1].lower() not in self.allowed_schemes:
            raise DisallowedRedirect(
                f"redirect to scheme {scheme[1]!r}: expected one of {self.allowed_schemes}"
            )
        from penstock.handler.uris import iri_to_uri

        self["Location"] = iri_to_uri(url)
        if preserve_request:
            self.status_code = self.status_code_preserve_request

    @property
    def url(self) -> str:
        """The Location header."""
        return self["Location"]

    def __repr__(self) -> str:
        return f'{super().__repr__()[:-1]}, url="{self.url}">'


class HttpResponseRedirect(HttpResponseRedirectBase):
    """302, or 307 with ``preserve_request``."""

    status_code = 302
    status_code_preserve_request = 307


class HttpResponsePermanentRedirect(HttpResponseRedirectBase):
    """301, or 308 with ``preserve_request``."""

    status_code = 301
    status_code_preserve_request = 308


class HttpResponseSeeOther(HttpResponseRedirectBase):
    """303: the client goes on with GET, whatever the method was."""

    status_code = 303
    status_code_preserve_request = 307


class HttpResponseNotModified(HttpResponse):
    """304: no body, no content type."""

    status_code = 304

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self["content-type"]

    def _set_content(self, value: object) -> None:
        if value:
            raise AttributeError("a 304 response has no content, and none can be set")
        super()._set_content(b"")


class HttpResponseBadRequest(HttpResponse):
    """400."""

    status_code = 400


class HttpResponseForbidden(HttpResponse):
    """403."""

    status_code = 403


class HttpResponseNotFound(HttpResponse):
    """404."""

    status_code = 404


class HttpResponseNotAllowed(HttpResponse):
    """405, and the methods that are allowed in the Allow header."""

    status_code = 405

    def __init__(self, permitted_methods: Iterable[str], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self["Allow"] = ", ".join(permitted_methods)

    def _repr_of_methods(self) -> str:
        return f"[{self['Allow']}] "


class HttpResponseGone(HttpResponse):
    """410."""

    status_code = 410


class HttpResponseContentTooLarge(HttpResponse):
    """413."""

    status_code = 413


class HttpResponseRangeNotSatisfiable(HttpResponse):
    """416; with ``size``, the Content-Range header says how long the representation is."""

    status_code = 416

    def __init__(self, *args: Any, size: int | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if size is not None:
            self["Content-Range"] = f"bytes */{size}"


class HttpResponseServerError(HttpResponse):
    """500."""

    status_code = 500


class HttpResponseServiceUnavailable(HttpResponse):
    """503."""

    status_code = 503


class HttpResponseGatewayTimeout(HttpResponse):
    """504."""

    status_code = 504
