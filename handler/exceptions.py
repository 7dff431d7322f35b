"""Every exception that the handler raises or understands.

::

    Exception
    ├── HandlerError                    the base of ours
    │   ├── HttpError(status)           ends a request with that status
    │   │   ├── Http404                 404
    │   │   │   └── Resolver404         404, from routing
    │   │   ├── MethodNotAllowed        405 and Allow
    │   │   ├── PermissionDenied        403
    │   │   ├── BadRequest              400
    │   │   │   └── MultiPartParserError
    │   │   ├── NotAcceptable           406
    │   │   ├── RequestTimeout          408
    │   │   ├── UnsupportedMediaType    415
    │   │   └── BadGateway              502
    │   ├── SuspiciousOperation         400, logged by class under penstock.security
    │   │   ├── DisallowedHost, DisallowedRedirect
    │   │   ├── TooManyFieldsSent, TooManyFilesSent
    │   │   ├── RequestDataTooBig       413
    │   │   └── InvalidRequestHeader
    │   ├── ImproperlyConfigured        at construction
    │   ├── MiddlewareNotUsed           a middleware takes itself out
    │   ├── NoReverseMatch
    │   ├── BadHeaderError (ValueError)
    │   ├── RawPostDataException
    │   ├── UnreadablePostError (OSError)
    │   ├── RequestAborted              the client went away
    │   ├── SynchronousOnlyOperation
    │   ├── ASGIProtocolError           the server broke the ASGI specification
    │   ├── ContentLengthMismatch       a stream is not as long as it was declared
    │   ├── UploadHandlerException      StopUpload, SkipFile, StopFutureHandlers
    │   ├── ExpectingNoResponse         the request was answered by other means
    │   └── WebSocketDisconnect, WebSocketStateError
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class HandlerError(Exception):
    """The base of every exception that ``penstock.handler`` raises itself."""


class ImproperlyConfigured(HandlerError, ValueError):
    """Routes, middleware or settings cannot be used; raised while the handler is constructed."""


class MiddlewareNotUsed(HandlerError):
    """Raised by a middleware factory to be left out of the chain."""


class NoReverseMatch(HandlerError, LookupError):
    """No route of that name takes these arguments."""


class HttpError(HandlerError):
    """Ends the request with ``status``; ``content`` and ``headers`` go to the client.

    A subclass fixes its status; ``HttpError`` itself takes any from 400 to 599.
    """

    status: int = 500
    default_content: ClassVar[str] = ""

    def __init__(
        self,
        status: int,
        content: str | bytes | None = None,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
    ) -> None:
        if not 400 <= status <= 599:
            raise ValueError(f"HttpError status {status!r}: expected 400 to 599")
        super().__init__(status, content)
        self.status = status
        self.content = content
        self.headers = dict(headers) if headers is not None else {}

    def __str__(self) -> str:
        return "" if self.content is None else str(self.content)


class _FixedStatus(HttpError):
    """An HttpError whose class says the status; the arguments are for the log."""

    def __init__(self, *args: object) -> None:
        Exception.__init__(self, *args)
        self.content = None
        self.headers = {}

    __str__ = Exception.__str__


class Http404(_FixedStatus):
    """The resource does not exist: 404. The argument is for the log."""

    status = 404


class Resolver404(Http404):
    """No route matches. Attribute ``path``: the path below the script name."""

    def __init__(self, path: str) -> None:
        super().__init__(f"no route matches {path!r}")
        self.path = path


class MethodNotAllowed(_FixedStatus):
    """The path has a view, for other methods: 405. Attribute ``allowed``: sorted methods."""

    status = 405

    def __init__(self, allowed: Iterable[str]) -> None:
        self.allowed = tuple(sorted(allowed))
        super().__init__(f"allowed: {', '.join(self.allowed)}")
        self.headers = {"allow": ", ".join(self.allowed)}


class PermissionDenied(_FixedStatus):
    """The client may not: 403."""

    status = 403


class BadRequest(_FixedStatus):
    """The request is malformed: 400."""

    status = 400


class MultiPartParserError(BadRequest):
    """A multipart body is malformed or cut short: 400."""


class NotAcceptable(_FixedStatus):
    """No representation that the client accepts: 406."""

    status = 406


class RequestTimeout(_FixedStatus):
    """The client took too long over its body: 408."""

    status = 408


class UnsupportedMediaType(_FixedStatus):
    """The body is of a type that the view does not take: 415."""

    status = 415


class BadGateway(_FixedStatus):
    """A service behind the view failed: 502."""

    status = 502


class SuspiciousOperation(HandlerError):
    """A request that no honest client sends: 400, and an ERROR in ``penstock.security``."""

    status: int = 400


class DisallowedHost(SuspiciousOperation):
    """The host name is malformed or not among ``allowed_hosts``."""


class DisallowedRedirect(SuspiciousOperation):
    """A redirect to a scheme that is not allowed, or to an address that is too long."""


class TooManyFieldsSent(SuspiciousOperation):
    """More fields than ``data_upload_max_number_fields``."""


class TooManyFilesSent(SuspiciousOperation):
    """More files than ``data_upload_max_number_files``."""


class RequestDataTooBig(SuspiciousOperation):
    """More bytes than ``data_upload_max_memory_size`` or ``max_body_size``: 413."""

    status = 413


class InvalidRequestHeader(SuspiciousOperation):
    """A request header that contradicts itself, such as two different content lengths."""


class BadHeaderError(HandlerError, ValueError):
    """A response header that cannot be sent: CR, LF or NUL in it, or a name that is no token."""


class RawPostDataException(HandlerError):
    """``body`` was asked for after the stream had been read from."""


class UnreadablePostError(HandlerError, OSError):
    """The request body could not be read."""


class RequestAborted(HandlerError):
    """The client closed the connection before the request was complete."""


class SynchronousOnlyOperation(HandlerError):
    """A blocking call on the event loop's thread that would wait for the loop itself."""


class ASGIProtocolError(HandlerError, RuntimeError):
    """The server sent a message that the ASGI specification does not allow at this point."""


class ContentLengthMismatch(HandlerError):
    """A streamed body is longer or shorter than the ``content-length`` that was declared."""


class ExpectingNoResponse(HandlerError):
    """The request was answered by other means: nothing is sent.

    Only honoured when a start message has been sent for the request; otherwise it is a failure
    like any other, because a client would wait for ever.
    """


class UploadHandlerException(HandlerError):
    """The base of what an upload handler raises to steer the parser."""


class StopUpload(UploadHandlerException):
    """Stop the upload.

    With ``connection_reset`` the rest of the body is not read; otherwise it is drained.
    """

    def __init__(self, *, connection_reset: bool = False) -> None:
        super().__init__(f"connection_reset={connection_reset}")
        self.connection_reset = connection_reset


class SkipFile(UploadHandlerException):
    """Leave this file out and go on with the next part."""


class StopFutureHandlers(UploadHandlerException):
    """Upload handlers further down the list do not see this file."""


class WebSocketDisconnect(HandlerError):
    """The client is gone. Attributes ``code`` (RFC 6455 section 7.4) and ``reason``."""

    def __init__(self, code: int = 1005, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class WebSocketStateError(HandlerError, RuntimeError):
    """A WebSocket call in a state that does not allow it; nothing was sent."""
