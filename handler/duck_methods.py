"""The method set of Duck's handler class, on ours: same names, results without its gaps."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from penstock.handler.base import BaseHandler
from penstock.handler.coroutines import is_async_callable
from penstock.handler.hops import in_request_thread
from penstock.handler.middleware import Chain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

logger = logging.getLogger("penstock.request")


class DuckMethods:
    """What ``ASGIHandler`` offers to those who drive a request by hand, step by step."""

    async def get_request(self: Any, scope: Any, receive: Any) -> Any:
        """Receive the body and make the request.

        Raises what ``read_body`` raises, and for a scope that makes no request what is wrong.
        """
        body = await self.read_body(receive)
        return self.request_class(scope, body, self.config)

    def get_response(self: Any, request: Any) -> Any:
        """Return the response of middleware and view; every failure of these is one too.

        On an event loop the result is to be awaited; without a running loop it is the response.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return BaseHandler.get_response(self, request)
        return self.get_response_async(request)

    async def start_response(self: Any, request: Any, response: Any = None, *, send: Any) -> None:
        """Send ``response``, or else the one of middleware and view, and clean up after it.

        At most one start message is ever sent: a failure before it becomes an error page, one
        after it is raised. ``request_finished`` is sent once.
        """
        from penstock.handler.exchange import Exchange

        await Exchange(self, request.scope, None, send).answer(request, response)

    async def apply_middlewares_to_response(
        self: Any,
        response: Any,
        request: Any,
        middlewares: Iterable[Any] = (),
        failed: Any = None,
    ) -> Any:
        """Return the response after ``process_response(response, request)`` of each, backwards.

        It begins at ``failed``, the one whose ``process_request`` refused the request. A result
        that is not None replaces the response; a failing call is logged and the next one made.
        """
        layers = list(middlewares)
        if failed is not None and failed in layers:
            layers = layers[: layers.index(failed) + 1]
        for layer in reversed(layers):
            hook = getattr(layer, "process_response", None)
            if hook is None:
                continue
            try:
                result = await _call(hook, response, request)
            except Exception:
                logger.exception("process_response of %r failed", layer)
                continue
            if result is not None:
                response = result
        return response

    async def django_apply_middlewares_to_response(
        self: Any, response: Any, request: Any, middlewares: Iterable[Any] = ()
    ) -> Any:
        """Return the response after a chain of Django-style middleware around it.

        They are called as they would be around a view that returns ``response``.
        """

        async def core(_: Any) -> Any:
            return response

        def core_sync(_: Any) -> Any:
            return response

        chain = Chain(self.failsafe, self.config)
        chain.build(middlewares, core, core_sync, is_async=True)
        return await chain.handler(request)  # type: ignore[misc]

    async def produce_final_response_failsafe(
        self: Any, request: Any, producer: Callable[..., Any]
    ) -> Any:
        """Return the response of ``producer(request)``, finalised; a failure becomes a response.

        It raises nothing, not for a failing error page either.
        """
        try:
            response = await _call(producer, request)
            if not hasattr(response, "status_code"):
                response = self._coerced(response, producer)
        except Exception as error:
            response = await self.failsafe.response_for(request, error)
        try:
            return await self.finalize_response(request, response)
        except Exception as error:
            return await self.failsafe.response_for(request, error)

    async def handle_django_connection_upgrade(
        self: Any, scope: Any, receive: Any, send: Any
    ) -> None:
        """Serve a connection that was upgraded to a WebSocket; mounted applications included."""
        await self({**scope, "type": "websocket"}, receive, send)


async def _call(function: Callable[..., Any], *args: Any) -> Any:
    if is_async_callable(function):
        return await function(*args)
    return await in_request_thread(function, *args)
