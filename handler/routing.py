"""From path and method to a view, and back from a name to a path.

All routes are checked and indexed when the ``Router`` is made. The index is a tree of the literal
segments in front of a route's first converter; the first match in the order of the list wins.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from penstock.handler.converters import quoted
from penstock.handler.exceptions import (
    ImproperlyConfigured,
    MethodNotAllowed,
    NoReverseMatch,
    Resolver404,
)
from penstock.handler.routes import Mount, Route, flat_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


_KINDS = frozenset(("http", "websocket", "mount"))

current_router: ContextVar[tuple[Any, str] | None] = ContextVar(
    "penstock.handler current router", default=None
)
"""The router and script name of the request that is being served; for ``reverse``."""


class ResolverMatch:
    """What routing found; also iterable as ``(func, args, kwargs)``."""

    __slots__ = ("args", "func", "kwargs", "route", "router")

    def __init__(self, router: Router, route: Route, view: Any, kwargs: dict[str, Any]) -> None:
        self.router = router
        self.route = route
        self.func = view
        self.args: tuple[Any, ...] = ()
        self.kwargs = kwargs

    def __iter__(self) -> Iterator[Any]:
        return iter((self.func, self.args, self.kwargs))

    def __getitem__(self, index: int) -> Any:
        return (self.func, self.args, self.kwargs)[index]

    @property
    def view_name(self) -> str | None:
        """The route's name with its namespace."""
        return self.route.name

    @property
    def url_name(self) -> str | None:
        """The route's name without its namespace."""
        return None if self.route.name is None else self.route.name.rpartition(":")[2]

    def __repr__(self) -> str:
        return f"<match {self.route.pattern!r} {self.kwargs!r}>"


class _Node:
    __slots__ = ("children", "routes")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.routes: list[Route] = []


class Router:
    """A table of routes, checked and indexed.

    Raises ``ImproperlyConfigured`` if two routes have the same name and the same arguments.
    """

    def __init__(
        self, routes: Iterable[Route | list[Route]], *, redirect_slashes: bool = False
    ) -> None:
        self.routes = flat_list(routes)
        self.redirect_slashes = redirect_slashes
        self._roots = {kind: _Node() for kind in _KINDS}
        self._names: dict[str, list[Route]] = {}
        for order, route in enumerate(self.routes):
            route.order = order
            node = self._roots[route.kind]
            for segment in route.prefix:
                node = node.children.setdefault(segment, _Node())
            node.routes.append(route)
            if isinstance(route, Mount) and route.inside:
                self._add_as_view(route)
            if route.name is not None:
                self._register(route.name, route)
        self.has_mounts = any(route.kind == "mount" for route in self.routes)
        self.has_websockets = any(route.kind == "websocket" for route in self.routes)
        self.streams = any(route.stream_body for route in self.routes)

    def _add_as_view(self, mounted: Mount) -> None:
        """Have requests find the mount behind the middleware."""
        from penstock.handler.mounting import as_view

        mounted.route_view = as_view(mounted.view, mounted.child_scope)
        node = self._roots["http"]
        for segment in mounted.prefix:
            node = node.children.setdefault(segment, _Node())
        node.routes.append(mounted)

    def _register(self, name: str, route: Route) -> None:
        known = self._names.setdefault(name, [])
        if any(one.converters.keys() == route.converters.keys() for one in known):
            raise ImproperlyConfigured(
                f"routes {known[0].pattern!r} and {route.pattern!r} are both called {name!r}"
            )
        known.append(route)

    def _candidates(self, kind: str, path: str) -> Sequence[Route]:
        node = self._roots[kind]
        found: Sequence[Route] = node.routes
        mixed = False
        for segment in path.split("/"):
            child = node.children.get(segment)
            if child is None:
                break
            node = child
            if node.routes:
                mixed = bool(found)
                found = [*found, *node.routes] if mixed else node.routes
        return sorted(found, key=_order) if mixed else found

    def resolve(self, path: str, method: str | None = None) -> ResolverMatch:
        """Return the first route that matches path (with its leading slash) and method.

        Raises ``Resolver404``, or ``MethodNotAllowed`` with the methods of all that match.
        """
        path_ = path[1:] if path[:1] == "/" else path
        allowed: set[str] = set()
        fallback: tuple[Route, dict[str, Any]] | None = None
        for route in self._candidates("http", path_):
            kwargs = route.match(path_)
            if kwargs is None:
                continue
            methods = route.methods
            if methods is None or method is None or method in methods:
                if fallback is not None and methods is None:
                    break
                return ResolverMatch(self, route, route.route_view, kwargs)
            if method == "HEAD" and "GET" in methods and fallback is None:
                fallback = (route, kwargs)
            allowed |= methods
        if fallback is not None:
            return ResolverMatch(self, fallback[0], fallback[0].view, fallback[1])
        if allowed:
            return self._other_method(path, method, allowed)
        if self.redirect_slashes and not path.endswith("/") and self._matches(path_ + "/"):
            return ResolverMatch(self, _TO_SLASH, _TO_SLASH.view, {})
        raise Resolver404(path)

    def _other_method(self, path: str, method: str | None, allowed: set[str]) -> ResolverMatch:
        allowed.add("OPTIONS")
        if "GET" in allowed:
            allowed.add("HEAD")
        if method != "OPTIONS":
            raise MethodNotAllowed(allowed)
        return ResolverMatch(self, _OPTIONS, _answer_options, {"allowed": sorted(allowed)})

    def _matches(self, path: str) -> bool:
        return any(route.match(path) is not None for route in self._candidates("http", path))

    def resolve_websocket(self, path: str) -> ResolverMatch:
        """Return the first WebSocket route that matches, or raise ``Resolver404``."""
        path_ = path[1:] if path[:1] == "/" else path
        for route in self._candidates("websocket", path_):
            kwargs = route.match(path_)
            if kwargs is not None:
                return ResolverMatch(self, route, route.view, kwargs)
        raise Resolver404(path)

    def find_mount(self, kind: str, path: str) -> Mount | None:
        """The mount that a scope of this kind and path belongs to, in the order of the list."""
        path_ = path[1:] if path[:1] == "/" else path
        for route in self._candidates("mount", path_):
            if isinstance(route, Mount) and kind in route.scopes and route.match(path_) is not None:
                for other in self._candidates(kind, path_):
                    if other.order < route.order and other.match(path_) is not None:
                        return None
                return route
        return None

    def reverse(self, name: str, script_name: str = "", /, **kwargs: Any) -> str:
        """Return the path of the route of this name; raises ``NoReverseMatch``."""
        routes = self._names.get(name)
        if routes is None:
            raise NoReverseMatch(f"no route is called {name!r}")
        for route in routes:
            url = route.url(kwargs)
            if url is not None:
                return f"{quoted(script_name.rstrip('/'))}/{url}"
        expected = " or ".join(str(sorted(route.converters)) for route in routes)
        raise NoReverseMatch(f"route {name!r} takes {expected}, got {kwargs!r}")


def reverse(name: str, /, **kwargs: Any) -> str:
    """Return the path of a route of the handler that serves the current request.

    The script name is in front. Raises ``NoReverseMatch``, also outside a request.
    """
    current = current_router.get()
    router = None if current is None else current[0]
    if current is None or not isinstance(router, Router):
        raise NoReverseMatch(f"reverse({name!r}): no request is being served by a table of ours")
    return router.reverse(name, current[1], **kwargs)


def _order(route: Route) -> int:
    return route.order


async def _answer_options(_: Any, allowed: list[str]) -> Any:
    from penstock.handler.response import HttpResponse

    return HttpResponse(status=204, headers={"Allow": ", ".join(allowed)})


async def _redirect_to_slash(request: Any) -> Any:
    from penstock.handler.response import HttpResponsePermanentRedirect

    target = request.get_full_path(force_append_slash=True)
    # Two slashes in front would name another host.
    if target.startswith("//"):
        target = f"/%2F{target[2:]}"
    return HttpResponsePermanentRedirect(
        target, preserve_request=request.method not in {"GET", "HEAD"}
    )


_OPTIONS = Route("", _answer_options)
_TO_SLASH = Route("", _redirect_to_slash)
