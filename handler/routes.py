"""The entries of a table of routes; each is checked when it is made."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from penstock.handler.converters import CONVERTERS, quoted
from penstock.handler.coroutines import is_async_callable
from penstock.handler.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from penstock.handler.converters import Converter

_BRACKETS = re.compile(r"<(?:(?P<converter>[^>:]*):)?(?P<name>[^>]*)>")


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
    return [route.below(prefix, namespace) for route in flat_list(routes)]


def flat_list(routes: Iterable[Route | list[Route]]) -> list[Route]:
    """Entries and tables, of which there may be some within others, as one list."""
    flat: list[Route] = []
    for route in routes:
        if isinstance(route, Route):
            flat.append(route)
        elif isinstance(route, list | tuple):
            flat.extend(flat_list(route))
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
