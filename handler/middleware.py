"""The chain of middleware around the view: built once, each layer safe from the ones below.

A middleware is ``factory(get_response) -> callable(request) -> response``, sync or async, with
``sync_capable`` (default True) and ``async_capable`` (default False). A factory that has neither
mark and makes an async callable is taken for async. Every layer sees a response from below, never
an exception.
"""

from __future__ import annotations

import asyncio
import logging
from importlib import import_module
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, NoReturn

from asgiref.sync import async_to_sync, sync_to_async

from penstock.handler.cleanup import note
from penstock.handler.coroutines import close_coroutine, is_async_callable
from penstock.handler.exceptions import ImproperlyConfigured, MiddlewareNotUsed
from penstock.handler.fusion import FusedGroup, can_be_fused
from penstock.handler.tasks import comes_from_outside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from penstock.handler.config import HandlerConfig
    from penstock.handler.failsafe import Failsafe

logger = logging.getLogger("penstock.request")


class Chain:
    """Layers around a core, outermost first, and the hooks that the core calls.

    ``view``, ``template`` and ``exception`` hold ``(method, is_async)`` in the order of calling.
    """

    def __init__(self, failsafe: Failsafe, config: HandlerConfig) -> None:
        self.failsafe = failsafe
        self.config = config
        self.view: list[tuple[Callable[..., Any], bool]] = []
        self.template: list[tuple[Callable[..., Any], bool]] = []
        self.exception: list[tuple[Callable[..., Any], bool]] = []
        self.handler: Callable[[Any], Any] | None = None

    def build(
        self,
        entries: Iterable[Any],
        core_async: Callable[[Any], Any],
        core_sync: Callable[[Any], Any],
        *,
        is_async: bool,
    ) -> Chain:
        """Wrap the core in the middleware; ``is_async`` says how the chain will be called.

        Directly above a sync middleware the sync core runs in its thread, so a sync view needs no
        hop of its own. Raises ``ImproperlyConfigured`` or ``RuntimeError`` naming the entry.
        """
        handler = self.converted(core_async if is_async else core_sync, is_async=is_async)
        handler_is_async = is_async
        innermost = True
        group: FusedGroup | None = None
        for entry in reversed(list(entries)):
            name, factory = _factory(entry)
            layer_is_async = _mode(name, factory, handler_is_async=handler_is_async)
            if innermost and handler_is_async and not layer_is_async:
                below = self.converted(core_sync, is_async=False)
            else:
                below = adapt_method_mode(layer_is_async, handler, handler_is_async)
            layer = self._made(name, factory, below)
            if not layer_is_async and is_async_callable(layer):
                # Nobody said so, but it is async: it wants a get_response that it can await.
                layer_is_async = True
                below = adapt_method_mode(layer_is_async, handler, handler_is_async)
                layer = self._made(name, factory, below)
            if layer is None:
                continue
            innermost = False
            self._collect_hooks(layer)
            layer_is_async = layer_is_async and _returns_awaitable(layer, name)
            if layer_is_async and can_be_fused(layer):
                if group is None or not handler_is_async:
                    group = FusedGroup(self.failsafe, below)
                group = group.around(layer, name)
                handler = group.handler()
            else:
                group = None
                handler = self.converted(layer, is_async=layer_is_async, name=name)
            handler_is_async = layer_is_async
        self.handler = adapt_method_mode(is_async, handler, handler_is_async)
        return self

    def _made(self, name: str, factory: Callable[..., Any], below: Callable[..., Any]) -> Any:
        try:
            layer = factory(below)
        except Exception as error:
            if not _is_not_used(error):
                raise
            if self.config.debug:
                logger.debug("MiddlewareNotUsed: %s%s", name, f": {error}" if str(error) else "")
            return None
        if layer is None:
            raise ImproperlyConfigured(f"middleware {name}: its factory returned None")
        if not callable(layer):
            raise ImproperlyConfigured(f"middleware {name}: its factory returned {layer!r}")
        return layer

    def _collect_hooks(self, layer: Any) -> None:
        for hooks, name, at_front in (
            (self.view, "process_view", True),
            (self.template, "process_template_response", False),
            (self.exception, "process_exception", False),
        ):
            method = getattr(layer, name, None)
            if method is not None:
                entry = (method, is_async_callable(method))
                hooks.insert(0 if at_front else len(hooks), entry)

    def converted(
        self, layer: Callable[[Any], Any], *, is_async: bool, name: str | None = None
    ) -> Callable[[Any], Any]:
        """The layer with its exceptions, and answers that are none, made into responses."""
        failsafe = self.failsafe

        if is_async:

            async def safe(request: Any) -> Any:
                try:
                    response = await layer(request)
                    if not hasattr(response, "status_code"):
                        _refuse(name, response)
                except (Exception, asyncio.CancelledError) as error:
                    if comes_from_outside(error):
                        raise
                    return await failsafe.response_for(request, error)
                note(request, response)
                return response

            return safe

        def safe_sync(request: Any) -> Any:
            try:
                response = layer(request)
                if not hasattr(response, "status_code"):
                    _refuse(name, response)
            except Exception as error:
                return failsafe.response_for_sync(request, error)
            note(request, response)
            return response

        return safe_sync


def adapt_method_mode(
    is_async: bool,  # noqa: FBT001
    method: Callable[..., Any],
    method_is_async: bool | None = None,  # noqa: FBT001
) -> Callable[..., Any]:
    """Return ``method`` as an async or a sync callable; itself where it is that already."""
    if method_is_async is None:
        method_is_async = is_async_callable(method)
    if is_async and not method_is_async:
        return sync_to_async(method, thread_sensitive=True)
    if method_is_async and not is_async:
        return async_to_sync(method)
    return method


def _factory(entry: Any) -> tuple[str, Callable[..., Any]]:
    if isinstance(entry, str):
        module_name, _, attribute = entry.rpartition(".")
        try:
            return entry, getattr(import_module(module_name), attribute)
        except (ImportError, AttributeError, ValueError) as error:
            raise ImproperlyConfigured(
                f"middleware {entry!r} cannot be imported: {error}"
            ) from error
    if not callable(entry):
        raise ImproperlyConfigured(
            f"middleware {entry!r}: expected a dotted name or a factory(get_response)"
        )
    return getattr(entry, "__qualname__", None) or type(entry).__qualname__, entry


def _mode(name: str, factory: Any, *, handler_is_async: bool) -> bool:
    can_sync = getattr(factory, "sync_capable", True)
    can_async = getattr(factory, "async_capable", False)
    if not can_sync and not can_async:
        raise RuntimeError(
            f"middleware {name}: expected at least one of sync_capable and async_capable to be True"
        )
    return can_async if handler_is_async or not can_sync else False


def _returns_awaitable(layer: Any, name: str) -> bool:
    if is_async_callable(layer):
        return True
    raise ImproperlyConfigured(
        f"middleware {name} is async_capable, but got an async get_response and made a callable"
        " that is not async: mark it, or define `async def __call__`"
    )


def _is_not_used(error: Exception) -> bool:
    return isinstance(error, MiddlewareNotUsed) or any(
        f"{cls.__module__}.{cls.__qualname__}" == "django.core.exceptions.MiddlewareNotUsed"
        for cls in type(error).__mro__
    )


def _refuse(name: str | None, got: Any) -> NoReturn:
    what = "an unawaited coroutine" if close_coroutine(got) else repr(got)
    who = "the view" if name is None else f"middleware {name}"
    raise TypeError(f"{who} returned {what}: expected a response")


class MiddlewareMixin:
    """A base for middleware with ``process_request`` and ``process_response``, in either mode.

    Both are sync methods and run in the request's thread; consecutive ones in a single hop.
    ``process_request`` may return a response, and the view is not called.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        if get_response is None:
            raise ValueError("get_response must be given")
        self.get_response = get_response
        self.async_mode = iscoroutinefunction(get_response)
        if self.async_mode:
            from asgiref.sync import markcoroutinefunction

            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        """Return the response, or in async mode an awaitable of it."""
        if self.async_mode:
            return self.__acall__(request)
        response = None
        if hasattr(self, "process_request"):
            response = self.process_request(request)
        response = response or self.get_response(request)
        if hasattr(self, "process_response"):
            response = self.process_response(request, response)
        return response

    async def __acall__(self, request: Any) -> Any:
        """What ``__call__`` does, for an async ``get_response``."""
        response = None
        if hasattr(self, "process_request"):
            response = await sync_to_async(self.process_request)(request)
        response = response or await self.get_response(request)
        if hasattr(self, "process_response"):
            response = await sync_to_async(self.process_response)(request, response)
        return response
