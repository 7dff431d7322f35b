"""The ASGI application: HTTP, WebSocket and lifespan scopes."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

from penstock.handler.base import BaseHandler
from penstock.handler.connection import below
from penstock.handler.duck_methods import DuckMethods
from penstock.handler.exceptions import (
    ASGIProtocolError,
    MethodNotAllowed,
    RequestAborted,
    Resolver404,
)
from penstock.handler.exchange import Exchange
from penstock.handler.finalization import Finalization
from penstock.handler.receiving import read_body
from penstock.handler.request import ASGIRequest
from penstock.handler.sending import transmit
from penstock.handler.threads import ThreadPool, ThreadScope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    from penstock.handler.config import HandlerConfig


def _whole_size(body: Any) -> int | None:
    """How long the body is; None while it is still arriving."""
    return getattr(body, "size", None) if getattr(body, "complete", True) else None


def _django_is_set_up() -> bool:
    """Whether Django has settings, or will find them: without, its receivers would only fail."""
    conf = sys.modules.get("django.conf")
    configured = conf is not None and conf.settings.configured
    return configured or "DJANGO_SETTINGS_MODULE" in os.environ


class ASGIHandler(DuckMethods, BaseHandler):
    """An ASGI 3.0 application made of routes and middleware; runs on any server.

    ``routes_or_view``: a list of ``path``, ``websocket``, ``include`` and ``mount`` entries, or
    one view. ``middleware``: factories or dotted names, outermost first; ``websocket_middleware``
    the same for WebSockets. ``lifespan``: None, ``"off"``, or ``function(handler)`` that returns
    an async context manager whose value becomes the state of every request.

    Routes, middleware and settings are checked here: ``ImproperlyConfigured`` says what is wrong.
    One instance serves any number of requests at once and keeps nothing of any.
    """

    request_class: type[ASGIRequest] = ASGIRequest

    def __init__(
        self,
        routes_or_view: Any,
        *,
        middleware: Iterable[Any] = (),
        config: HandlerConfig | None = None,
        lifespan: Any = None,
        websocket_middleware: Iterable[Any] = (),
    ) -> None:
        super().__init__(routes_or_view, middleware=middleware, config=config)
        self.lifespan_factory = lifespan
        self.state: dict[str, Any] = {}
        self.chunk_size = self.config.chunk_size
        self.body_receive_timeout = self.config.body_receive_timeout
        self.threads = ThreadPool(self.config.max_sync_threads)
        self.finalization = Finalization(self.config)
        self.websocket_chain: Any = None
        self._abandoned: set[asyncio.Task[Any]] = set()
        self._has_mounts = bool(getattr(self.router, "has_mounts", False))
        self.load_middleware(is_async=True)
        if "django.core.signals" in sys.modules and _django_is_set_up():
            from penstock.handler.django_signals import mirror_signals

            mirror_signals()
        websocket_middleware = tuple(websocket_middleware)
        if websocket_middleware or getattr(self.router, "has_websockets", False):
            from penstock.handler.websocket_serving import build_websocket_chain

            self.websocket_chain = build_websocket_chain(self.router, websocket_middleware)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one scope; ``ValueError`` for a type that is none of http, websocket, lifespan."""
        kind = scope["type"]
        if kind == "http":
            if self._has_mounts and await self._serve_mounted(kind, scope, receive, send):
                return
            threads = ThreadScope(self.threads)
            threads.enter()
            try:
                await self.handle(scope, receive, send)
            finally:
                threads.leave()
        elif kind == "websocket":
            if self._has_mounts and await self._serve_mounted(kind, scope, receive, send):
                return
            await self.handle_websocket(scope, receive, send)
        elif kind == "lifespan":
            await self.handle_lifespan(scope, receive, send)
        else:
            raise ValueError(f"scope type {kind!r}: expected http, websocket or lifespan")

    async def _serve_mounted(self, kind: str, scope: Any, receive: Any, send: Any) -> bool:
        """Hand the scope to the application that is mounted for it; whether there is one."""
        script_name = self._script_name(scope)
        found = self.router.find_mount(kind, below(scope["path"], script_name))
        if found is None or (found.inside and kind == "http"):
            return False
        await found.view(found.child_scope(scope, script_name), receive, send)
        return True

    def _script_name(self, scope: Any) -> str:
        name = self.config.force_script_name
        return (scope.get("root_path") or "") if name is None else name

    # HTTP.

    def handle(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        """Serve one HTTP request; when it returns, nothing of the request is left behind."""
        return Exchange(self, scope, receive, send).run()

    def read_body(self, receive: Any) -> Awaitable[Any]:
        """Receive the whole body: bytes, or a ``SpooledBody`` at its start.

        Raises ``RequestAborted`` if the client goes away, ``RequestTimeout`` and
        ``RequestDataTooBig`` as the settings say.
        """
        return read_body(receive, self.config)

    def streams_body(self, scope: Any) -> bool:
        """Whether the view shall run while the body arrives: the setting's, or the route's."""
        if self.config.body_mode == "stream":
            return True
        router = self.router
        if not getattr(router, "streams", False):
            return False
        path = below(scope["path"], self._script_name(scope))
        try:
            match = router.resolve(path, scope["method"].upper())
        except (Resolver404, MethodNotAllowed):
            return False
        return bool(match.route.stream_body)

    def create_request(self, scope: Any, body_file: Any) -> tuple[Any, Any]:
        """Return ``(request, None)``, or ``(None, response)`` for a client that sent nonsense.

        Raises whatever else goes wrong with it.
        """
        try:
            request = self.request_class(scope, body_file, self.config)
        except Exception as error:
            response = self.failsafe.response_to_bad_scope(error)
            if response is None:
                raise
            return None, response
        if self.state and "state" not in scope:
            request.state = dict(self.state)  # a server that ran the lifespan, but keeps no state
        length = len(body_file) if isinstance(body_file, bytes) else _whole_size(body_file)
        if length and request._content_length is None:  # noqa: SLF001
            request.set_content_length(length)
        return request, None

    async def run_get_response(self, request: Any) -> Any:
        """Return the response of middleware and view; the handler takes it over."""
        response = await self._middleware_chain(request)  # type: ignore[misc]
        response._handler_class = None  # noqa: SLF001 - its close() sends no signal: we do
        return self._logged(request, response)

    def finalizes(self, response: Any) -> bool:
        """Whether ``finalize_response`` has anything to do for it."""
        return self.finalization.applies(response)

    async def finalize_response(self, request: Any, response: Any) -> Any:
        """Return the response after the settings' ``finalizers``; a failing step is left out."""
        return await self.finalization.run(request, response)

    def send_response(self, response: Any, send: Any, request: Any = None) -> Awaitable[None]:
        """Send the response to ``request`` (without one: to a GET)."""
        if request is None:
            return transmit(response, send, config=self.config)
        extensions = request.scope.get("extensions")
        return transmit(
            response, send, method=request.method, extensions=extensions, config=self.config
        )

    async def listen_for_disconnect(self, receive: Any) -> None:
        """Wait for the client to go away, and raise ``RequestAborted``.

        ``http.request`` messages behind the end of the body are ignored; for anything else
        ``ASGIProtocolError``.
        """
        while True:
            try:
                message = await receive()
            except OSError as error:
                raise RequestAborted(str(error)) from error
            kind = message["type"]
            if kind == "http.disconnect":
                raise RequestAborted("the client closed the connection")
            if kind != "http.request":
                raise ASGIProtocolError(f"expected http.disconnect, got {kind!r}")
            await asyncio.sleep(0)  # a server that repeats it for ever must not block the loop

    def handle_uncaught_exception(self, request: Any, resolver: Any, exc_info: Any) -> Any:
        """Return the last-chance response: plain text, with the traceback only in debug mode."""
        return self.failsafe.builtin(request, exc_info[1], 500)

    def abandon(self, task: asyncio.Task[Any]) -> None:
        """Keep hold of work that does not end, so that it is not collected half-way."""
        self._abandoned.add(task)
        task.add_done_callback(self._abandoned.discard)

    # The other scopes.

    async def handle_websocket(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one WebSocket."""
        from penstock.handler.websocket_serving import serve_websocket

        await serve_websocket(self, scope, receive, send)

    async def handle_lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve the lifespan: start-up, then shutdown."""
        from penstock.handler.lifespan import serve_lifespan

        await serve_lifespan(self, scope, receive, send)
