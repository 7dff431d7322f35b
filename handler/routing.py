"""Routes: from path and method to a view, and back from a name to a path.

All routes are checked and indexed when the ``Router`` is made. The index is a tree of the literal
segments in front of a route's first converter; the first match in the order of the list wins.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from penstock.handler.converters import CONVERTERS, quoted
from penstock.handler.coroutines import is_async_callable
from penstock.handler.exceptions import (
    ImproperlyConfigured,
    MethodNotAllowed,
    NoReverseMatch,
    Resolver404,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from penstock.handler.converters import Converter

_BRACKETS = re.compile(r"<(?:(?P<converter>[^>:]*):)?(?P<name>[^>]*)>")
_KINDS = frozenset(("http", "websocket", "mount"))

current_router: ContextVar[tuple[Any, str] | None] = ContextVar(
    "penstock.handler current router", default=None
)
"""The router and script name of the request that is being served; for ``reverse``."""


class Route:
    """One entry of a table: made by ``path``, ``websocket`` and ``mount``.

    Raises ``ImproperlyConfigured`` for a pattern that cannot be meant.
    """

    def __init__(
        self,
        pattern: str,
        view: Any,
        name: str | None = None,
        methods: Iterable[str] | None = None,
        *,
        kind: str = "http",
        stream_body: bool = False,
    ) -> None:
        self.pattern = pattern
        self.view = view
        # What is called for it; a mount that is behind middleware has a view made of its app.
        self.route_view = view
        self.name = name
        self.kind = kind
        self.stream_body = stream_body or bool(getattr(view, "stream_body", False))
        self.is_async = is_async_callable(view)
        self.methods = None if methods is None else _methods(pattern, methods)
        self.parts = list(_parse(pattern))
        self.converters: dict[str, Converter] = {
            part[0]: part[1] for part in self.parts if not isinstance(part, str)
        }
        self.regex = self._compile() if self.converters else None
        self.order = 0

    def __repr__(self) -> str:
        return f"<{self.kind} route {self.pattern!r}>"

    def _compile(self) -> re.Pattern[str]:
        text = "".join(
            re.escape(part) if isinstance(part, str) else f"(?P<{part[0]}>{part[1].regex})"
            for part in self.parts
        )
        try:
            return re.compile(text, re.DOTALL)
        except re.error as error:
            raise ImproperlyConfigured(f"route {self.pattern!r}: {error}") from error

    def below(self, prefix: str, namespace: str | None) -> Route:
        """The same route in a table that is included at ``prefix``."""
        name = self.name
        if name is not None and namespace is not None:
            name = f"{namespace}:{name}"
        return Route(
            prefix + self.pattern,
            self.view,
            name,
            self.methods,
            kind=self.kind,
            stream_body=self.stream_body,
        )

    @property
    def prefix(self) -> list[str]:
        """The literal segments in front of the first converter."""
        first = self.parts[0] if self.parts else ""
        if not isinstance(first, str):
            return []
        segments = first.split("/")
        # The last segment is cut short by a converter or, in a mount, by what is below it.
        return segments if self.regex is None and self.kind != "mount" else segments[:-1]

    def match(self, path: str) -> dict[str, Any] | None:
        """Arguments for the view, or None if this route is not meant; without leading slash."""
        if self.regex is None:
            return {} if path == self.pattern else None
        found = self.regex.fullmatch(path)
        if found is None:
            return None
        arguments = found.groupdict()
        try:
            for name, converter in self.converters.items():
                arguments[name] = converter.to_python(arguments[name])
        except ValueError:
            return None
        return arguments

    def url(self, arguments: dict[str, Any]) -> str | None:
        """The path with these arguments, or None if they are not the ones that it takes."""
        if arguments.keys() != self.converters.keys():
            return None
        done = []
        for part in self.parts:
            if isinstance(part, str):
                done.append(part)
                continue
            try:
                text = part[1].to_url(arguments[part[0]])
            except (ValueError, TypeError, AttributeError):
                return None
            if not re.fullmatch(part[1].regex, text, re.DOTALL):
                return None
            done.append(text)
        return quoted("".join(done))


def path(
    pattern: str,
    view: Callable[..., Any],
    name: str | None = None,
    methods: Iterable[str] | None = None,
    *,
    stream_body: bool = False,
) -> Route:
    """Send requests for ``pattern``, without leading slash, to ``view(request, **arguments)``.

    ``<converter:name>`` in the pattern stands for an argument; converters are str (the default),
    int, float, slug, path, uuid, date and those of ``register_converter``. Without ``methods`` the
    view gets every method; with them others are answered with 405, HEAD goes where GET goes, and
    OPTIONS is answered with 204. ``stream_body``: the view runs while the body arrives.
    """
    if not callable(view):
        raise ImproperlyConfigured(f"route {pattern!r}: expected a callable view, got {view!r}")
    return Route(pattern, view, name, methods, stream_body=stream_body)


def websocket(pattern: str, view: Callable[..., Any], name: str | None = None) -> Route:
    """Send WebSockets for ``pattern`` to ``view(websocket, **arguments)``."""
    if not callable(view):
        raise ImproperlyConfigured(f"route {pattern!r}: expected a callable view, got {view!r}")
    return Route(pattern, view, name, kind="websocket")


class Mount(Route):
    """An ASGI application below a prefix."""

    def __init__(
        self, prefix: str, app: Any, name: str | None, scopes: frozenset[str], *, inside: bool
    ) -> None:
        if not callable(app):
            raise ImproperlyConfigured(f"mount {prefix!r}: expected an ASGI app, got {app!r}")
        super().__init__(prefix.strip("/"), app, name, kind="mount")
        if self.converters:
            raise ImproperlyConfigured(f"mount {prefix!r}: a prefix of a mount has no converters")
        self.scopes = scopes
        self.inside = inside

    def below(self, prefix: str, namespace: str | None) -> Route:
        """The same mount in a table that is included at ``prefix``."""
        name = self.name
        if name is not None and namespace is not None:
            name = f"{namespace}:{name}"
        return Mount(prefix + self.pattern, self.view, name, self.scopes, inside=self.inside)

    @property
    def prefix(self) -> list[str]:
        """All of its segments: what is below them belongs to it too."""
        return self.pattern.split("/") if self.pattern else []

    def match(self, path: str) -> dict[str, Any] | None:
        """No arguments if the path is the prefix or below it, else None."""
        inside = not self.pattern or path == self.pattern or path.startswith(self.pattern + "/")
        return {} if inside else None

    def child_scope(self, scope: Any, script_name: str) -> dict[str, Any]:
        """The scope for the application: ``root_path`` longer, ``path`` whole, as ASGI asks."""
        root = script_name.rstrip("/")
        return {**scope, "root_path": f"{root}/{self.pattern}" if self.pattern else root}


def mount(
    prefix: str, app: Any, name: str | None = None, *, through_middleware: bool = False
) -> Mount:
    """Hand everything below ``prefix`` to an ASGI application, HTTP and WebSocket.

    It sees ``root_path`` extended by the prefix and ``path`` whole. HTTP requests go through the
    middleware only with ``through_middleware``.
    """
    scopes = frozenset(("http", "websocket"))
    return Mount(prefix, app, name, scopes, inside=through_middleware)


def mount_websocket(prefix: str, app: Any, name: str | None = None) -> Mount:
    """Hand the WebSockets below ``prefix`` to an ASGI application, full duplex and unchanged."""
    return Mount(prefix, app, name, frozenset(("websocket",)), inside=False)


def include(
    prefix: str, routes: Iterable[Route | list[Route]], namespace: str | None = None
) -> list[Route]:
    """Return a table for use within another, below ``prefix``, which may hold converters.

    With a ``namespace`` the names become ``namespace:name``.
    """
    return [route.below(prefix, namespace) for route in _flat(routes)]


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
        self.routes = _flat(routes)
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


def _flat(routes: Iterable[Route | list[Route]]) -> list[Route]:
    flat: list[Route] = []
    for route in routes:
        if isinstance(route, Route):
            flat.append(route)
        elif isinstance(route, list | tuple):
            flat.extend(_flat(route))
        else:
            raise ImproperlyConfigured(f"expected a route of path() or include(), got {route!r}")
    return flat


def _methods(pattern: str, methods: Iterable[str]) -> frozenset[str]:
    if isinstance(methods, str):
        raise ImproperlyConfigured(f"route {pattern!r}: methods={methods!r}: expected a list")
    found = frozenset(method.upper() for method in methods)
    if not found:
        raise ImproperlyConfigured(f"route {pattern!r}: methods is empty")
    return found


def _parse(pattern: str) -> Iterator[str | tuple[str, Converter]]:
    """Literal text, and pairs of argument and converter, in turn."""
    if pattern.startswith("/"):
        raise ImproperlyConfigured(f"route {pattern!r}: expected text without a leading slash")
    seen: set[str] = set()
    end = 0
    for found in _BRACKETS.finditer(pattern):
        if found.start() > end:
            yield pattern[end : found.start()]
        end = found.end()
        name, kind = found["name"], found["converter"]
        if any(character.isspace() for character in found[0]):
            raise ImproperlyConfigured(f"route {pattern!r}: whitespace in {found[0]!r}")
        if not name.isidentifier() or not name.isascii():
            raise ImproperlyConfigured(f"route {pattern!r}: {name!r} is no name of an argument")
        if name in seen:
            raise ImproperlyConfigured(f"route {pattern!r}: {name!r} stands twice")
        seen.add(name)
        converter = CONVERTERS.get("str" if kind is None else kind)
        if converter is None:
            raise ImproperlyConfigured(
                f"route {pattern!r}: no converter is called {kind!r}; there are"
                f" {', '.join(sorted(CONVERTERS))}"
            )
        yield name, converter
    if end < len(pattern):
        yield pattern[end:]


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
