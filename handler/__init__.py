"""An ASGI handler of its own: routes, middleware, requests, responses and signals.

>>> from penstock.handler import ASGIHandler, HttpResponse, path

Names are imported at their first use, so that a function pays for what it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asgiref.sync import async_to_sync, sync_to_async

    from penstock.handler.asgi import ASGIHandler
    from penstock.handler.base import BaseHandler
    from penstock.handler.base_response import HttpResponseBase
    from penstock.handler.config import HandlerConfig
    from penstock.handler.converters import register_converter
    from penstock.handler.datastructures import MultiValueDict, QueryDict
    from penstock.handler.event_stream import EventStreamResponse
    from penstock.handler.exceptions import (
        ASGIProtocolError,
        BadGateway,
        BadHeaderError,
        BadRequest,
        DisallowedHost,
        DisallowedRedirect,
        ExpectingNoResponse,
        Http404,
        HttpError,
        ImproperlyConfigured,
        MethodNotAllowed,
        MiddlewareNotUsed,
        MultiPartParserError,
        NoReverseMatch,
        NotAcceptable,
        PermissionDenied,
        RawPostDataException,
        RequestAborted,
        RequestDataTooBig,
        RequestTimeout,
        Resolver404,
        SkipFile,
        StopFutureHandlers,
        StopUpload,
        SuspiciousOperation,
        SynchronousOnlyOperation,
        TooManyFieldsSent,
        TooManyFilesSent,
        UnreadablePostError,
        UnsupportedMediaType,
        WebSocketDisconnect,
        WebSocketStateError,
    )
    from penstock.handler.files import FileResponse
    from penstock.handler.json_response import JsonResponse
    from penstock.handler.middleware import MiddlewareMixin
    from penstock.handler.request import ASGIRequest, HttpRequest
    from penstock.handler.response import (
        HttpResponse,
        HttpResponseBadRequest,
        HttpResponseContentTooLarge,
        HttpResponseForbidden,
        HttpResponseGatewayTimeout,
        HttpResponseGone,
        HttpResponseNotAllowed,
        HttpResponseNotFound,
        HttpResponseNotModified,
        HttpResponsePermanentRedirect,
        HttpResponseRangeNotSatisfiable,
        HttpResponseRedirect,
        HttpResponseSeeOther,
        HttpResponseServerError,
        HttpResponseServiceUnavailable,
    )
    from penstock.handler.routes import include, mount, mount_websocket, path, websocket
    from penstock.handler.routing import Router, reverse
    from penstock.handler.signals import (
        Signal,
        got_request_exception,
        receiver,
        request_finished,
        request_started,
        shutdown,
        startup,
        websocket_connected,
        websocket_disconnected,
    )
    from penstock.handler.streaming import StreamingHttpResponse
    from penstock.handler.upload_handlers import FileUploadHandler
    from penstock.handler.uploads import UploadedFile
    from penstock.handler.websocket_serving import WebSocketView
    from penstock.handler.websockets import WebSocket

_BY_MODULE = {
    "asgi": "ASGIHandler",
    "base": "BaseHandler",
    "base_response": "HttpResponseBase",
    "config": "HandlerConfig",
    "converters": "register_converter",
    "datastructures": "MultiValueDict QueryDict",
    "event_stream": "EventStreamResponse",
    "exceptions": (
        "ASGIProtocolError BadGateway BadHeaderError BadRequest DisallowedHost DisallowedRedirect"
        " ExpectingNoResponse Http404 HttpError ImproperlyConfigured MethodNotAllowed"
        " MiddlewareNotUsed MultiPartParserError NoReverseMatch NotAcceptable PermissionDenied"
        " RawPostDataException RequestAborted RequestDataTooBig RequestTimeout Resolver404 SkipFile"
        " StopFutureHandlers StopUpload SuspiciousOperation SynchronousOnlyOperation"
        " TooManyFieldsSent TooManyFilesSent UnreadablePostError UnsupportedMediaType"
        " WebSocketDisconnect WebSocketStateError"
    ),
    "files": "FileResponse",
    "json_response": "JsonResponse",
    "middleware": "MiddlewareMixin",
    "request": "ASGIRequest HttpRequest",
    "response": (
        "HttpResponse HttpResponseBadRequest HttpResponseContentTooLarge HttpResponseForbidden"
        " HttpResponseGatewayTimeout HttpResponseGone HttpResponseNotAllowed HttpResponseNotFound"
        " HttpResponseNotModified HttpResponsePermanentRedirect HttpResponseRangeNotSatisfiable"
        " HttpResponseRedirect HttpResponseSeeOther HttpResponseServerError"
        " HttpResponseServiceUnavailable"
    ),
    "routes": "include mount mount_websocket path websocket",
    "routing": "Router reverse",
    "signals": (
        "Signal got_request_exception receiver request_finished request_started shutdown startup"
        " websocket_connected websocket_disconnected"
    ),
    "streaming": "StreamingHttpResponse",
    "upload_handlers": "FileUploadHandler",
    "uploads": "UploadedFile",
    "websockets": "WebSocket",
    "websocket_serving": "WebSocketView",
}
_MODULES = {
    name: f"penstock.handler.{module}"
    for module, names in _BY_MODULE.items()
    for name in names.split()
}
_MODULES["sync_to_async"] = _MODULES["async_to_sync"] = "asgiref.sync"

__all__ = [
    "ASGIHandler",
    "ASGIProtocolError",
    "ASGIRequest",
    "BadGateway",
    "BadHeaderError",
    "BadRequest",
    "BaseHandler",
    "DisallowedHost",
    "DisallowedRedirect",
    "EventStreamResponse",
    "ExpectingNoResponse",
    "FileResponse",
    "FileUploadHandler",
    "HandlerConfig",
    "Http404",
    "HttpError",
    "HttpRequest",
    "HttpResponse",
    "HttpResponseBadRequest",
    "HttpResponseBase",
    "HttpResponseContentTooLarge",
    "HttpResponseForbidden",
    "HttpResponseGatewayTimeout",
    "HttpResponseGone",
    "HttpResponseNotAllowed",
    "HttpResponseNotFound",
    "HttpResponseNotModified",
    "HttpResponsePermanentRedirect",
    "HttpResponseRangeNotSatisfiable",
    "HttpResponseRedirect",
    "HttpResponseSeeOther",
    "HttpResponseServerError",
    "HttpResponseServiceUnavailable",
    "ImproperlyConfigured",
    "JsonResponse",
    "MethodNotAllowed",
    "MiddlewareMixin",
    "MiddlewareNotUsed",
    "MultiPartParserError",
    "MultiValueDict",
    "NoReverseMatch",
    "NotAcceptable",
    "PermissionDenied",
    "QueryDict",
    "RawPostDataException",
    "RequestAborted",
    "RequestDataTooBig",
    "RequestTimeout",
    "Resolver404",
    "Router",
    "Signal",
    "SkipFile",
    "StopFutureHandlers",
    "StopUpload",
    "StreamingHttpResponse",
    "SuspiciousOperation",
    "SynchronousOnlyOperation",
    "TooManyFieldsSent",
    "TooManyFilesSent",
    "UnreadablePostError",
    "UnsupportedMediaType",
    "UploadedFile",
    "WebSocket",
    "WebSocketDisconnect",
    "WebSocketStateError",
    "WebSocketView",
    "async_to_sync",
    "got_request_exception",
    "include",
    "mount",
    "mount_websocket",
    "path",
    "receiver",
    "register_converter",
    "request_finished",
    "request_started",
    "reverse",
    "shutdown",
    "startup",
    "sync_to_async",
    "websocket",
    "websocket_connected",
    "websocket_disconnected",
]


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        # Not one of ours: a module below this package, or nothing.
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
