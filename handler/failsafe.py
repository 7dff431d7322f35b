"""Exceptions become responses here, and are logged once."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from penstock.handler.cleanup import note
from penstock.handler.coroutines import is_async_callable
from penstock.handler.exceptions import (
    HttpError,
    RequestAborted,
    SuspiciousOperation,
)
from penstock.handler.hops import in_request_thread
from penstock.handler.response import HttpResponse
from penstock.handler.signals import got_request_exception
from penstock.handler.tasks import comes_from_outside

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.handler.base_response import HttpResponseBase
    from penstock.handler.config import HandlerConfig

logger = logging.getLogger("penstock.request")

# Django's own, by qualified name, so that they need not be imported to be known.
_DJANGO = {
    "django.http.response.Http404": 404,
    "django.core.exceptions.PermissionDenied": 403,
    "django.core.exceptions.BadRequest": 400,
    "django.http.multipartparser.MultiPartParserError": 400,
    "django.core.exceptions.RequestDataTooBig": 413,
    "django.core.exceptions.SuspiciousOperation": 400,
}
_TOO_MUCH = frozenset(("RequestDataTooBig", "TooManyFieldsSent", "TooManyFilesSent"))
# In the names of headers that let somebody in, such as x-amz-security-token.
_SECRET = ("auth", "cookie", "credential", "key", "password", "secret", "session", "sign", "token")
_TYPE = "text/plain; charset=utf-8"


class Kind(NamedTuple):
    """What an exception means: status, logger and level; ``uncaught`` if nobody foresaw it."""

    status: int
    logger: logging.Logger
    level: int
    uncaught: bool = False


_kinds: WeakKeyDictionary[type[BaseException], Kind] = WeakKeyDictionary()


def kind_of(error: BaseException) -> Kind:
    """Tell by the class of the exception, or of one of its bases."""
    if type(error) is HttpError:
        return _plain(error.status)
    cls = type(error)
    kind = _kinds.get(cls)
    if kind is None:
        kind = _kinds[cls] = _classify(cls)
    return kind


def _classify(cls: type[BaseException]) -> Kind:
    if issubclass(cls, HttpError):
        return _plain(cls.status)
    if issubclass(cls, RequestAborted):
        return Kind(400, logger, logging.DEBUG)
    if issubclass(cls, SuspiciousOperation):
        return _suspicious(cls, cls.status)
    for base in cls.__mro__:
        status = _DJANGO.get(f"{base.__module__}.{base.__qualname__}")
        if status is not None:
            names = {one.__qualname__ for one in cls.__mro__}
            return _suspicious(cls, status) if "SuspiciousOperation" in names else _plain(status)
    return Kind(500, logger, logging.ERROR, uncaught=True)


def _plain(status: int) -> Kind:
    return Kind(status, logger, logging.WARNING if status < 500 else logging.ERROR)


def _suspicious(cls: type[BaseException], status: int) -> Kind:
    logger = logging.getLogger(f"penstock.security.{cls.__name__}")
    return Kind(status, logger, logging.ERROR)


class Failsafe:
    """Makes a response of any exception, for one handler; it never raises.

    The exception to that is ``debug_propagate_exceptions``, which lets uncaught ones out.
    """

    def __init__(self, config: HandlerConfig, sender: type) -> None:
        self.config = config
        self.sender = sender

    async def response_for(self, request: Any, error: BaseException) -> HttpResponseBase:
        """The response for ``error``, with its log record and signal; must run where it is caught.

        (Receivers of ``got_request_exception`` may ask ``sys.exc_info``.)
        """
        kind = kind_of(error)
        self._prepare(request, error, kind)
        if kind.uncaught:
            await self._announce(request, error)
        response: Any = None
        custom = self._custom(error, kind)
        try:
            if custom is not None:
                response = await _called(custom, request, error)
                response = await _rendered(response)
        except (Exception, asyncio.CancelledError) as second:
            if comes_from_outside(second):
                raise
            logger.exception("an error handler failed")
            await self._announce(request, second)
            response = await self._second(request, second, custom)
        return self._done(request, error, kind, response)

    async def _second(self, request: Any, second: BaseException, failed: Any) -> Any:
        """The handler for 500, after another handler failed; None if that fails as well."""
        last = self._custom(second, Kind(500, logger, logging.ERROR))
        try:
            if last is not None and last is not failed:
                return await _rendered(await _called(last, request, second))
        except (Exception, asyncio.CancelledError) as third:
            if comes_from_outside(third):
                raise
            logger.exception("the error handler for 500 failed")
        return self._response_of(request, second, 500)

    async def _announce(self, request: Any, error: BaseException) -> None:
        if got_request_exception.receivers:
            await got_request_exception.asend_robust(
                sender=self.sender, request=request, exception=error
            )

    def response_for_sync(self, request: Any, error: BaseException) -> HttpResponseBase:
        """The same from sync code, in this thread as far as it can be."""
        kind = kind_of(error)
        if self._custom(error, kind) is not None:
            from asgiref.sync import async_to_sync

            response: HttpResponseBase = async_to_sync(self.response_for)(request, error)
            return response
        self._prepare(request, error, kind)
        if kind.uncaught and got_request_exception.receivers:
            got_request_exception.send_robust(sender=self.sender, request=request, exception=error)
        return self._done(request, error, kind, None)

    def _prepare(self, request: Any, error: BaseException, kind: Kind) -> None:
        if kind.uncaught and self.config.debug_propagate_exceptions:
            raise error
        if type(error).__name__ in _TOO_MUCH and hasattr(request, "_mark_post_parse_error"):
            # An error page that shows a form would fail on it again.
            request._mark_post_parse_error()  # noqa: SLF001

    def _custom(self, error: BaseException, kind: Kind) -> Callable[..., Any] | None:
        handlers = self.config.error_handlers
        if not handlers:
            return None
        for cls in type(error).__mro__:
            if cls in handlers:
                return handlers[cls]
        return handlers.get(kind.status)

    def _done(
        self, request: Any, error: BaseException, kind: Kind, response: Any
    ) -> HttpResponseBase:
        if response is None:
            response = self._response_of(request, error, kind.status)
        if kind.level > logging.DEBUG:
            log_response(request, response, kind, error if kind.uncaught else None, _said(error))
        response._has_been_logged = True  # noqa: SLF001
        return response  # type: ignore[no-any-return]

    def _response_of(self, request: Any, error: BaseException, status: int) -> HttpResponseBase:
        try:
            return self.builtin(request, error, status)
        except Exception:  # a header or text of an HttpError that cannot be sent
            logger.exception("an exception's own response could not be made")
            return self.builtin(request, None, 500)

    def builtin(self, request: Any, error: BaseException | None, status: int) -> HttpResponseBase:
        """A plain text response that tells the client no more than it must know."""
        response = HttpResponse(b"", status=status, content_type=_TYPE)
        content: str | bytes | None = None
        if isinstance(error, HttpError):
            content = error.content
            for name, value in error.headers.items():
                response[name] = value
        if content is None:
            if self.config.debug and error is not None:
                content = debug_page(request, error)
            else:
                content = f"{status} {response.reason_phrase}"
        response.content = content
        return response

    def response_to_bad_scope(self, error: Exception) -> HttpResponseBase | None:
        """The response to a scope that makes no request, without content.

        None if that is not the client's fault: an exception like any other.
        """
        kind = _plain(400) if isinstance(error, UnicodeError) else kind_of(error)
        if kind.uncaught:
            return None
        response = HttpResponse(b"", status=kind.status, content_type=_TYPE)
        kind.logger.log(
            kind.level,
            "%s: the request could not be read: %s",
            response.reason_phrase,
            escaped(_said(error)),
            extra={"status_code": kind.status, "request": None},
        )
        response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001
        return response

    async def for_status(self, request: Any, status: int) -> HttpResponseBase:
        """The response for a failure that is no exception of the view, such as a deadline."""
        error = HttpError(status)
        return await self.response_for(request, error)


def _said(error: BaseException) -> str:
    try:
        # The argument of Django's Resolver404 is a dict that holds all of the URLconf.
        return "" if any(isinstance(arg, dict) for arg in error.args[:1]) else str(error)
    except Exception:
        return f"{type(error).__name__}, whose text cannot be made"


async def _called(handler: Callable[..., Any], request: Any, error: BaseException) -> Any:
    if is_async_callable(handler):
        response = await handler(request, error)
    else:
        response = await in_request_thread(handler, request, error)
    if not hasattr(response, "status_code"):
        raise TypeError(f"error handler {handler!r} returned {response!r}: expected a response")
    if request is not None:
        note(request, response)
    return response


async def _rendered(response: Any) -> Any:
    render = getattr(response, "render", None)
    if getattr(response, "is_rendered", True) or not callable(render):
        return response
    if is_async_callable(render):
        return await render()
    return await in_request_thread(render)


def log_response(
    request: Any,
    response: Any,
    kind: Kind | None = None,
    error: BaseException | None = None,
    detail: str = "",
) -> None:
    """Log a response of 400 and up: WARNING, from 500 on ERROR, with its status and request."""
    status = response.status_code
    kind = kind or _plain(status)
    phrase = getattr(response, "reason_phrase", "")
    path = getattr(request, "path", "")
    kind.logger.log(
        kind.level,
        "%s: %s%s",
        phrase,
        escaped(path),
        f" ({escaped(detail)})" if detail else "",
        exc_info=error,
        extra={"status_code": status, "request": request},
    )


def escaped(text: str) -> str:
    """The text on one line, whatever a client put into it."""
    if text.isascii() and text.isprintable():
        return text
    return text.encode("unicode_escape").decode("ascii")


def debug_page(request: Any, error: BaseException) -> str:
    """What a developer wants to see: the traceback, and the request without its secrets."""
    lines = traceback.format_exception(error)
    lines.append(f"\n{getattr(request, 'method', '')} {escaped(getattr(request, 'path', ''))}\n")
    scope = getattr(request, "scope", None) or {}
    for raw_name, raw_value in scope.get("headers", ()):
        name = raw_name.decode("latin-1")
        secret = any(part in name.lower() for part in _SECRET)
        value = "********" if secret else raw_value.decode("latin-1")
        lines.append(f"{name}: {value}\n")
    return "".join(lines)
