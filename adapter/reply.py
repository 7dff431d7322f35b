"""A finished, buffered response, before an event source gives it the form of its front door."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from penstock.adapter.body import b64encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.adapter.exchange import HTTPExchange
    from penstock.adapter.settings import Settings

logger = logging.getLogger("penstock")

_TEXT_APPLICATIONS = frozenset(
    "application/" + name
    for name in (
        "javascript",
        "ecmascript",
        "x-javascript",
        "x-www-form-urlencoded",
        "yaml",
        "graphql",
        "x-ndjson",
    )
)
_TEXT_CHARSETS = frozenset(("utf-8", "utf8", "us-ascii", "ascii"))
_MOST_CONTENT_TYPES = 256

# The first seven belong to one connection, which ends at the gateway (RFC 9110 section 7.6.1).
# The body is counted by the gateway itself.
_DROPPED = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
        "te",
        "trailer",
        "content-length",
    )
)


# RFC 9110 sections 15.3.5 and 15.4.5.
_BODILESS = frozenset((204, 304))


def is_bodiless(status: int) -> bool:
    """Whether a response of this status has no body, whatever the application sends."""
    return status < 200 or status in _BODILESS


class Reply:
    """Status, headers and body of a response.

    Attributes: ``status`` (int), ``headers`` (pairs of text in the application's order, names lower
    case, hop-by-hop headers gone), ``body`` (text, or base64 if ``is_base64``).
    """

    __slots__ = ("body", "headers", "is_base64", "status")

    is_substitute = False
    """True if penstock answers in place of an application that has not."""

    def __init__(
        self, status: int, headers: list[tuple[str, str]], body: str, *, is_base64: bool = False
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.is_base64 = is_base64

    def most_bytes(self, header_bytes: int) -> int:
        """A number of bytes that the answer cannot exceed once it is JSON.

        ``header_bytes`` is what names and values of the application's headers have together.

        A byte of text becomes six at most (an escape), a header name may stand there twice, and
        keys and punctuation take something around all of it.
        """
        headers = 64 * len(self.headers) + 24 * header_bytes
        # Four bytes of UTF-8 at most, and then two escapes for all four of them.
        body = self.body
        size = len(body) if self.is_base64 else (6 if body.isascii() else 12) * len(body)
        return size + headers + 256

    @staticmethod
    def plain(status: int, text: str) -> Reply:
        """A response of one line of text: what penstock itself has to say to a client."""
        return _Substitute(status, [("content-type", "text/plain; charset=utf-8")], text)


class _Substitute(Reply):
    __slots__ = ()
    is_substitute = True


class TextRule:
    """Decides by its content type whether a body may be sent as text; remembers what it decided."""

    __slots__ = ("_configured", "_decided")

    def __init__(self, configured: frozenset[str] | Callable[[str], bool]) -> None:
        self._configured = configured
        self._decided: dict[str, bool] = {}

    def __call__(self, content_type: str) -> bool:
        """True if a body of this content type is text."""
        try:
            return self._decided[content_type]
        except KeyError:
            decided = self._decide(content_type)
            if len(self._decided) < _MOST_CONTENT_TYPES:
                self._decided[content_type] = decided
            return decided

    def _decide(self, content_type: str) -> bool:
        configured = self._configured
        if callable(configured):
            try:
                return bool(configured(content_type))
            except Exception:
                logger.exception("text_types failed for %r: sent as base64", content_type)
                return False
        media_type, *parameters = (part.strip() for part in content_type.lower().split(";"))
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "charset" and value.strip().strip('"') not in _TEXT_CHARSETS:
                return False
        main, _, sub = media_type.partition("/")
        return (
            main == "text"
            or sub in ("json", "xml")
            or sub.endswith(("+json", "+xml"))
            or media_type in _TEXT_APPLICATIONS
            or media_type in configured
            or f"{main}/*" in configured
        )


class ReplyRules:
    """How an application's response becomes a Reply; made once from the options."""

    __slots__ = ("_dropped", "_dropped_uncounted", "_is_text", "_log_dropped")

    def __init__(self, settings: Settings) -> None:
        self._is_text = TextRule(settings.text_types)
        self._dropped = _DROPPED | settings.exclude_headers
        self._log_dropped = logger.isEnabledFor(logging.DEBUG)
        # Nobody can count the body of HEAD, or one that is still to come: the application's own
        # word for its length stays.
        self._dropped_uncounted = (_DROPPED - {"content-length"}) | settings.exclude_headers

    def reply(
        self,
        exchange: HTTPExchange,
        body: bytes,
        *,
        is_head: bool,
        is_stream: bool = False,
        encode: Callable[[bytes], Any] = b64encode,
    ) -> Reply:
        """Return the response of an exchange; ``encode`` makes base64 of bytes.

        It is complete, or begins a stream (``is_stream``), whose ``body`` is empty here.

        Text needs three things: a content type that says so (or none), no content encoding, and
        bytes that are UTF-8. Everything else is base64, so that no byte changes on the way.
        """
        is_uncounted = is_head or (is_stream and not is_bodiless(exchange.status))
        dropped = self._dropped_uncounted if is_uncounted else self._dropped
        headers = []
        content_type = None
        is_encoded = False
        for pair in exchange.headers:
            name, value = pair
            if name in dropped:
                continue
            if name == "content-type":
                if content_type is not None:
                    continue  # one is all that a gateway takes, and the first is what clients read
                content_type = value
            elif name == "content-encoding" and value not in ("", "identity"):
                is_encoded = True
            headers.append(pair)
        if self._log_dropped and len(headers) != len(exchange.headers):
            left_out = {name for name, _ in exchange.headers} & dropped
            logger.debug("left out of the response: %s", ", ".join(sorted(left_out)))
        status = exchange.status
        if not body or is_head or is_bodiless(status):
            return Reply(status, headers, "")
        if not is_encoded and (content_type is None or self._is_text(content_type)):
            try:
                text = body.decode()
            except UnicodeDecodeError:
                pass
            else:
                return Reply(status, headers, text)
        return Reply(status, headers, encode(body), is_base64=True)
