"""From a request to its response: middleware, routing, view and hooks, in either mode."""

from __future__ import annotations

import types
from functools import partial
from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync

from penstock.handler.cleanup import note
from penstock.handler.config import DEFAULT_CONFIG
from penstock.handler.coroutines import close_coroutine, is_async_callable
from penstock.handler.exceptions import ImproperlyConfigured
from penstock.handler.failsafe import Failsafe, log_response
from penstock.handler.hops import in_request_thread
from penstock.handler.middleware import Chain, adapt_method_mode
from penstock.handler.routes import Route
from penstock.handler.routing import Router

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from penstock.handler.base_response import HttpResponseBase
    from penstock.handler.config import HandlerConfig

    Hooks = list[tuple[Callable[..., Any], bool]]


class BaseHandler:
    """Everything between a request and its response; knows no server.

    ``routes_or_view`` is a table of routes, one view for every path, or an object with
    ``resolve(path) -> (view, args, kwargs)``. Both middleware and routes are checked here.
    """

    def __init__(
        self,
        routes_or_view: Any,
        *,
        middleware: Iterable[Any] = (),
        config: HandlerConfig | None = None,
    ) -> None:
        self.config = config or DEFAULT_CONFIG
        self.router = as_router(routes_or_view, redirect_slashes=self.config.redirect_slashes)
        self.middleware = tuple(middleware)
        self.failsafe = Failsafe(self.config, type(self))
        self._middleware_chain: Callable[[Any], Any] | None = None
        self._sync_chain: Chain | None = None
        self._view_middleware: Hooks = []
        self._template_response_middleware: Hooks = []
        self._exception_middleware: Hooks = []

    def load_middleware(self, is_async: bool = True) -> None:  # noqa: FBT001, FBT002
        """Build the chain for async or for sync callers; a failure leaves no chain behind."""
        chain = Chain(self.failsafe, self.config)

        core = partial(self._get_response_async, chain)
        core_sync = partial(self._get_response, chain)
        chain.build(self.middleware, core, core_sync, is_async=is_async)
        if not is_async:
            self._sync_chain = chain
            return
        self._view_middleware = chain.view
        self._template_response_middleware = chain.template
        self._exception_middleware = chain.exception
        self._middleware_chain = chain.handler

    def adapt_method_mode(
        self,
        is_async: bool,  # noqa: FBT001
        method: Callable[..., Any],
        method_is_async: bool | None = None,  # noqa: FBT001
    ) -> Callable[..., Any]:
        """Return ``method`` as an async or a sync callable; itself where it is that already."""
        return adapt_method_mode(is_async, method, method_is_async)

    def get_response(self, request: Any) -> Any:
        """Return the response, for sync callers: scripts and tests; needs no running loop.

        Closing the response closes the request.
        """
        if self._sync_chain is None:
            self.load_middleware(is_async=False)
        assert self._sync_chain is not None  # noqa: S101 - for type checkers
        response = self._sync_chain.handler(request)  # type: ignore[misc]
        closers = getattr(response, "_resource_closers", None)
        if closers is not None:  # not so with those that only look like Django's
            closers.append(request.close)
        return self._logged(request, response)

    async def get_response_async(self, request: Any) -> Any:
        """Return the response; every failure of middleware and view is a response too.

        (Not with ``debug_propagate_exceptions``.)
        """
        if self._middleware_chain is None:
            self.load_middleware()
        return self._logged(request, await self._middleware_chain(request))  # type: ignore[misc]

    def _logged(self, request: Any, response: Any) -> Any:
        if response.status_code >= 400 and not getattr(response, "_has_been_logged", False):
            log_response(request, response)
            response._has_been_logged = True  # noqa: SLF001
        return response

    # The core: what all middleware is around.

    async def _get_response_async(self, chain: Chain, request: Any) -> Any:
        match = self.resolve_request(request)
        view, args, kwargs = match
        response = None
        if chain.view:
            response = await _first(chain.view, request, view, args, kwargs)
        if response is None:
            try:
                if is_async_view(match, view):
                    response = await view(request, *args, **kwargs)
                else:
                    response = await in_request_thread(view, request, *args, **kwargs)
            except Exception as error:
                response = await self.process_exception_by_middleware(error, request, chain)
                if response is None:
                    raise
        if not hasattr(response, "status_code"):
            response = self._coerced(response, view)
        if callable(getattr(response, "render", None)):
            note(request, response)
            response = await self._render(request, response, chain)
        return response

    async def _render(self, request: Any, response: Any, chain: Chain) -> Any:
        for method, is_async in chain.template:
            response = await _called(method, is_async, request, response)
            self.check_response(response, method, _hook_name(method))
        render = response.render
        try:
            return await _called(render, is_async_callable(render))
        except Exception as error:
            answer = await self.process_exception_by_middleware(error, request, chain)
            if answer is None:
                raise
            return answer

    async def process_exception_by_middleware(
        self, exception: Exception, request: Any, chain: Chain | None = None
    ) -> Any:
        """Return the response of the first ``process_exception`` that gives one, or None.

        Async hooks run on the loop, sync ones in the request's thread.
        """
        hooks = self._exception_middleware if chain is None else chain.exception
        return await _first(hooks, request, exception) if hooks else None

    def _get_response(self, chain: Chain, request: Any) -> Any:
        match = self.resolve_request(request)
        view, args, kwargs = match
        response = _first_sync(chain.view, request, view, args, kwargs)
        if response is None:
            call = async_to_sync(view) if is_async_view(match, view) else view
            try:
                response = call(request, *args, **kwargs)
            except Exception as error:
                response = _first_sync(chain.exception, request, error)
                if response is None:
                    raise
        if not hasattr(response, "status_code"):
            response = self._coerced(response, view)
        if callable(getattr(response, "render", None)):
            note(request, response)
            response = self._render_sync(request, response, chain)
        return response

    def _render_sync(self, request: Any, response: Any, chain: Chain) -> Any:
        for method, is_async in chain.template:
            response = (async_to_sync(method) if is_async else method)(request, response)
            self.check_response(response, method, _hook_name(method))
        render = response.render
        try:
            return (async_to_sync(render) if is_async_callable(render) else render)()
        except Exception as error:
            answer = _first_sync(chain.exception, request, error)
            if answer is None:
                raise
            return answer

    def resolve_request(self, request: Any) -> Any:
        """Return ``(view, args, kwargs)`` for the request, and set its ``resolver_match``.

        ``request.urlconf``, a table or router set by middleware, replaces the handler's own.
        Raises ``Resolver404`` or ``MethodNotAllowed``.
        """
        router = self.router
        other = request.__dict__.get("urlconf")
        if other is not None:
            router = as_router(other, redirect_slashes=self.config.redirect_slashes)
        if isinstance(router, Router):
            match = router.resolve(request.path_info, request.method)
        else:
            match = router.resolve(request.path_info)
        request.resolver_match = match
        return match

    def check_response(self, response: Any, callback: Any, name: str | None = None) -> None:
        """Raise ``ValueError`` for None and for a coroutine that was not awaited.

        The message names the view, or ``name``.
        """
        if response is None or close_coroutine(response):
            got = "None" if response is None else "an unawaited coroutine; it may lack an 'await'"
            raise ValueError(f"{name or _view_name(callback)} returned {got}: expected a response")

    def _coerced(self, response: Any, view: Any) -> HttpResponseBase:
        self.check_response(response, view)
        if self.config.coerce_response:
            if isinstance(response, str | bytes):
                from penstock.handler.response import HttpResponse

                return HttpResponse(response)
            if isinstance(response, dict | list):
                from penstock.handler.json_response import JsonResponse

                return JsonResponse(response, safe=False)
        raise TypeError(f"{_view_name(view)} returned {response!r}: expected a response")


def as_router(routes_or_view: Any, *, redirect_slashes: bool) -> Any:
    """A router of whatever a handler may be given."""
    if isinstance(routes_or_view, Router) or hasattr(routes_or_view, "resolve"):
        return routes_or_view
    if isinstance(routes_or_view, Route):
        return Router([routes_or_view], redirect_slashes=redirect_slashes)
    if isinstance(routes_or_view, list | tuple):
        return Router(routes_or_view, redirect_slashes=redirect_slashes)
    if callable(routes_or_view):
        return _OneView(routes_or_view)
    raise ImproperlyConfigured(
        f"expected a list of routes, a view or an object with resolve(path), got {routes_or_view!r}"
    )


class _OneView:
    """The router of a handler that has one view for every path."""

    def __init__(self, view: Any) -> None:
        self.view = view
        self.route = Route("", view)

    def resolve(self, path: str) -> Any:
        return _OneMatch(self.route, self.view)


class _OneMatch:
    __slots__ = ("args", "func", "kwargs", "route", "router")

    def __init__(self, route: Route, view: Any) -> None:
        self.route = route
        self.router = None
        self.func = view
        self.args: tuple[Any, ...] = ()
        self.kwargs: dict[str, Any] = {}

    def __iter__(self) -> Any:
        return iter((self.func, self.args, self.kwargs))


def is_async_view(match: Any, view: Any) -> bool:
    """Whether the view is async; known beforehand for routes of ours."""
    route = getattr(match, "route", None)
    if isinstance(route, Route) and route.view is view:
        return route.is_async
    return is_async_callable(view)


async def _called(method: Callable[..., Any], is_async: bool, *args: Any) -> Any:  # noqa: FBT001
    return await (method(*args) if is_async else in_request_thread(method, *args))


async def _first(hooks: Hooks, *args: Any) -> Any:
    """The first result that is not None; neighbouring sync hooks share one hop."""
    index = 0
    while index < len(hooks):
        method, is_async = hooks[index]
        index += 1
        if is_async:
            result = await method(*args)
        else:
            run = [method]
            while index < len(hooks) and not hooks[index][1]:
                run.append(hooks[index][0])
                index += 1
            result = await in_request_thread(_first_of, run, *args)
        if result is not None:
            return result
    return None


def _first_of(methods: list[Callable[..., Any]], *args: Any) -> Any:
    for method in methods:
        result = method(*args)
        if result is not None:
            return result
    return None


def _first_sync(hooks: Hooks, *args: Any) -> Any:
    for method, is_async in hooks:
        result = (async_to_sync(method) if is_async else method)(*args)
        if result is not None:
            return result
    return None


def _hook_name(method: Any) -> str:
    owner = getattr(method, "__self__", None)
    return f"{type(owner).__name__}.process_template_response"


def _view_name(view: Any) -> str:
    if isinstance(view, types.FunctionType):
        return f"the view {view.__module__}.{view.__name__}"
    return f"the view {view.__class__.__module__}.{view.__class__.__name__}.__call__"
