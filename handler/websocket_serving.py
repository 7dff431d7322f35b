"""From a websocket scope to a view, and a proper end for whatever the view does."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from penstock.handler.exceptions import (
    BadRequest,
    ImproperlyConfigured,
    Resolver404,
    WebSocketDisconnect,
)
from penstock.handler.failsafe import kind_of
from penstock.handler.sending import close_response
from penstock.handler.signals import (
    got_request_exception,
    websocket_connected,
    websocket_disconnected,
)
from penstock.handler.tasks import comes_from_outside
from penstock.handler.threads import ThreadScope
from penstock.handler.websockets import CONNECTING, WebSocket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable

    from penstock.handler.asgi import ASGIHandler

    Chain = Callable[[WebSocket], Awaitable[Any]]

logger = logging.getLogger("penstock.websocket")


class WebSocketView:
    """A view in events, one instance for each connection; override what you need.

    ::

        class Echo(WebSocketView):
            async def on_receive(self, data):
                await self.ws.send(data)

    Messages come one by one, in order. ``on_disconnect`` runs once for each connection that was
    accepted, whatever ended it. ``params`` are those of the route.
    """

    def __init__(self, ws: WebSocket, **params: Any) -> None:
        self.ws = ws
        self.params = params

    async def on_connect(self) -> Any:
        """Accept the connection; or ``deny`` it, or return a response, to refuse it."""
        await self.ws.accept()

    async def on_receive(self, data: str | bytes) -> None:
        """Take a message, as it was sent; the next one waits until this returns."""

    async def on_disconnect(self, code: int, reason: str) -> None:
        """Clean up; nothing can be sent any more. 1011: a method of this view raised."""

    def __await__(self) -> Generator[Any, None, Any]:
        return self._run().__await__()

    async def _run(self) -> Any:
        try:
            refusal = await self.on_connect()
            if not self.ws.accepted:
                return refusal
            async for data in self.ws.iter_messages():
                await self.on_receive(data)
        except WebSocketDisconnect:  # noticed while sending
            pass
        finally:
            if self.ws.accepted:
                end = self.ws.ended or WebSocketDisconnect(1011)
                await self.on_disconnect(end.code, end.reason)
        return None


def build_websocket_chain(router: Any, factories: Iterable[Callable[[Chain], Chain]]) -> Chain:
    """Return routing and view inside the middleware; the first factory is the outermost layer.

    A factory takes the next ``async (ws)`` and returns its own. What reaches a layer from below is
    the view's exceptions and result, unconverted: the outcome is decided outside of all.

    Raises:
        ImproperlyConfigured: a factory returns what cannot be called.
    """

    async def chain(ws: WebSocket) -> Any:
        resolve = getattr(router, "resolve_websocket", None)
        if resolve is None:  # one view for everything, or a table of another library
            raise Resolver404(ws.path_info)
        ws.resolver_match = match = resolve(ws.path_info)
        view, args, kwargs = match
        return await view(ws, *args, **kwargs)

    outer: Chain = chain
    for factory in reversed(list(factories)):
        layer = factory(outer)
        if not callable(layer):
            raise ImproperlyConfigured(
                f"websocket middleware {factory!r}: expected it to return a callable, got {layer!r}"
            )
        outer = layer
    return outer


async def serve_websocket(handler: ASGIHandler, scope: Any, receive: Any, send: Any) -> None:
    """Run the view of a connection; when this returns, the connection has been ended.

    ==================================  ========================  =========================
    The view                            before ``accept``         after ``accept``
    ==================================  ========================  =========================
    returns                             refused (403)             close 1000
    returns a response                  denied with it            close 1011, logged
    raises for a client's fault         denied with its status    close 1008; bad data 1007
    raises otherwise                    denied with 500           close 1011
    meets the client's end              nothing is sent           nothing is sent
    ==================================  ========================  =========================

    A server without the denial extension answers 403 in each case of the second column.
    """
    try:
        ws = WebSocket(scope, receive, send, config=handler.config)
    except Exception as error:  # a scope that makes no request
        if handler.failsafe.response_to_bad_scope(error) is None:
            await handler.failsafe.response_for(None, error)
        with suppress(OSError):  # the client is gone
            if (await receive())["type"] != "websocket.disconnect":
                await send({"type": "websocket.close", "code": 1008, "reason": ""})
        return
    if "state" not in scope:  # a server without lifespan state
        ws.state = dict(handler.state)
    try:
        await ws.wait_for_connect()
    except WebSocketDisconnect:
        return
    async with ThreadScope(handler.threads):
        sender = type(handler)
        try:
            await websocket_connected.asend_robust(sender, scope=scope, websocket=ws)
            await _run(handler, ws)
        except WebSocketDisconnect:  # found while the connection was being ended
            pass
        finally:
            end = ws.ended or WebSocketDisconnect(1006)
            await websocket_disconnected.asend_robust(
                sender, scope=scope, websocket=ws, code=end.code, reason=end.reason
            )


async def _run(handler: ASGIHandler, ws: WebSocket) -> None:
    chain = handler.websocket_chain or build_websocket_chain(handler.router, ())
    try:
        await _end_with_result(ws, await chain(ws))
    except WebSocketDisconnect:
        if not ws.closed:  # of another connection that the view used
            await ws.close()
    except (Exception, asyncio.CancelledError) as error:
        if comes_from_outside(error):
            raise
        await _end_with_error(handler, ws, error)


async def _end_with_result(ws: WebSocket, result: Any) -> None:
    if result is None:
        if not ws.closed:
            await (ws.close() if ws.accepted else ws.deny())
        return
    if not hasattr(result, "status_code"):
        raise TypeError(f"the WebSocket view of {ws.path!r} returned {result!r}: expected None")
    if ws.connection_state == CONNECTING:
        await ws.deny(result)
        return
    await close_response(result)
    raise TypeError(
        f"the WebSocket view of {ws.path!r} returned {result!r} after the handshake: "
        "a response can only refuse a connection"
    )


async def _end_with_error(handler: ASGIHandler, ws: WebSocket, error: BaseException) -> None:
    if ws.connection_state == CONNECTING:
        await ws.deny(await handler.failsafe.response_for(ws, error))
        return
    kind = kind_of(error)
    if kind.status < 500:
        logger.warning("closing the WebSocket of %r: %r", ws.path, error)
        code = 1007 if isinstance(error, BadRequest) else 1008
    else:
        await got_request_exception.asend_robust(type(handler), request=ws, exception=error)
        logger.error("the WebSocket view of %r failed", ws.path, exc_info=error)
        code = 1011
    if not ws.closed:
        await ws.close(code)
    if kind.uncaught and handler.config.debug_propagate_exceptions:
        raise error
