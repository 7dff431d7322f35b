"""What an HTTP request and a WebSocket handshake have in common: the scope, as attributes.

Everything that takes work is made at its first use. Sources: ASGI HTTP and WebSocket, connection
scope; RFC 3875 section 4.1 for the names in ``META``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from penstock.handler.config import DEFAULT_CONFIG
from penstock.handler.exceptions import DisallowedHost, InvalidRequestHeader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from penstock.handler.config import HandlerConfig
    from penstock.handler.datastructures import QueryDict
    from penstock.handler.headers import RequestHeaders
    from penstock.handler.negotiation import MediaType
    from penstock.handler.routing import ResolverMatch

T = TypeVar("T")
_HOST = r"([a-z0-9.-]*[a-z0-9-]\.?|\[[a-f0-9]*:[a-f0-9.:]+\])(?::([0-9]+))?"
# RFC 3986 section 3.3, less ";" and "=", which some servers take for path parameters.
_SAFE_IN_PATH = "/:@&+$,-_.!~*'()"
_UNPREFIXED = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


class Lazy(Generic[T]):
    """An attribute that is computed at its first use and kept in the instance.

    It can be set and deleted there like any other; unlike ``functools.cached_property`` it takes
    no lock.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self.compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Lazy[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Lazy[T] | T:
        if instance is None:
            return self
        value = self.compute(instance)
        instance.__dict__[self.name] = value
        return value


class Connection:
    """The attributes that a scope has, with the names that Django gives them.

    Any further attribute may be set, as middleware does with ``session`` and ``user``.

    Raises ``InvalidRequestHeader`` for content lengths that are no numbers or contradict each
    other, and ``UnicodeDecodeError`` for a query string that is not UTF-8.
    """

    resolver_match: ResolverMatch | None = None

    def __init__(self, scope: Any, config: HandlerConfig = DEFAULT_CONFIG) -> None:
        self.scope = scope
        self.config = config
        self.path: str = scope["path"]
        name = config.force_script_name
        if name is None:
            name = scope.get("root_path") or ""
        self.script_name: str = name
        self.path_info = below(self.path, name) if name else self.path
        query = scope.get("query_string", b"")
        self._query: str = query if isinstance(query, str) else query.decode()
        self._content_length = content_length(scope.get("headers", ()))

    @Lazy
    def META(self) -> dict[str, Any]:  # noqa: N802
        """CGI names (RFC 3875) to values; a plain dict that may be changed.

        Header names with ``_`` are left out, because they would pass for names with ``-``.
        """
        scope = self.scope
        meta: dict[str, Any] = {
            "REQUEST_METHOD": self.method,
            "QUERY_STRING": self._query,
            "SCRIPT_NAME": self.script_name,
            "PATH_INFO": self.path_info,
            "SERVER_PROTOCOL": f"HTTP/{scope.get('http_version', '1.1')}",
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.url_scheme": scope.get("scheme") or "http",
        }
        client, server = scope.get("client"), scope.get("server")
        if client:
            meta["REMOTE_ADDR"] = meta["REMOTE_HOST"] = client[0]
            meta["REMOTE_PORT"] = client[1]
        meta["SERVER_NAME"] = server[0] if server else "unknown"
        port = server[1] if server else 0
        meta["SERVER_PORT"] = "" if port is None else str(port)
        for raw_name, raw_value in scope.get("headers", ()):
            name = raw_name.decode("latin-1").lower()
            if "_" in name:
                continue
            key = _UNPREFIXED.get(name) or "HTTP_" + name.upper().replace("-", "_")
            value = raw_value.decode("latin-1")
            if key == "HTTP_COOKIE":
                value = value.rstrip("; ")
            if key in meta:
                # RFC 9113 section 8.2.3 for cookies; equal content lengths are one.
                if key == "CONTENT_LENGTH":
                    continue
                value = f"{meta[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{value}"
            meta[key] = value
        return meta

    @Lazy
    def method(self) -> str:
        """The method in upper case; ``GET`` for a WebSocket handshake (RFC 6455 section 4.1)."""
        method: str = self.scope.get("method") or "GET"
        return method.upper()

    @Lazy
    def headers(self) -> RequestHeaders:
        """The headers as they came, read-only; names without regard to case."""
        from penstock.handler.headers import RequestHeaders

        return RequestHeaders(self.scope.get("headers", ()))

    @Lazy
    def GET(self) -> QueryDict:  # noqa: N802
        """The query as an immutable ``QueryDict``, in this request's ``encoding``."""
        from penstock.handler.datastructures import QueryDict

        return QueryDict(
            self.META.get("QUERY_STRING", "") if "META" in self.__dict__ else self._query,
            encoding=self.encoding or self.config.default_charset,
            max_fields=self.config.data_upload_max_number_fields,
        )

    @Lazy
    def COOKIES(self) -> dict[str, str]:  # noqa: N802
        """Cookies by name; of equal names the last."""
        if "META" in self.__dict__:
            header = self.META.get("HTTP_COOKIE", "")
        else:
            header = self.headers.get("cookie", "")
        if not header:
            return {}
        from penstock.handler.cookies import parse_cookies

        return parse_cookies(header)

    _encoding: str | None = None

    @property
    def encoding(self) -> str | None:
        """The charset to read the query and forms with; ``None`` means ``default_charset``.

        Setting it makes ``GET`` and ``POST`` be read again.
        """
        return self._encoding

    @encoding.setter
    def encoding(self, value: str | None) -> None:
        self._encoding = value
        self.__dict__.pop("GET", None)

    # Where the client thinks it is.

    @property
    def scheme(self) -> str:
        """``http``, ``https``, ``ws`` or ``wss``: a trusted proxy's word, or else the scope's."""
        trusted = self.config.secure_proxy_ssl_header
        own: str = self.scope.get("scheme") or "http"
        if trusted is None:
            return own
        value = self.META.get(trusted[0])
        if value is None:
            return own
        secure = value.split(",", 1)[0].strip() == trusted[1]
        if own in {"ws", "wss"}:
            return "wss" if secure else "ws"
        return "https" if secure else "http"

    def is_secure(self) -> bool:
        """Whether the connection is encrypted, as far as the scope or a trusted proxy says."""
        return self.scheme in {"https", "wss"}

    def get_host(self) -> str:
        """Return the host, with its port if it is in the header.

        Raises ``DisallowedHost`` (a 400) if it is malformed, repeated or not among
        ``allowed_hosts``.
        """
        host = self._raw_host()
        found = re.fullmatch(_HOST, host.lower())  # compiled at its first use
        if found is None:
            raise DisallowedHost(
                f"Host {host!r}: expected a name of letters, digits, '-' and '.', or an address"
                " in brackets, with or without a port (RFC 9110 section 7.2)"
            )
        domain = found[1].removesuffix(".")
        if not any(_matches(domain, pattern.lower()) for pattern in self.config.allowed_hosts):
            raise DisallowedHost(
                f"Host {host!r} is not among allowed_hosts: add {domain!r} if it is yours"
            )
        return host

    def _raw_host(self) -> str:
        meta = self.META
        host: str | None = None
        if self.config.use_x_forwarded_host:
            host = meta.get("HTTP_X_FORWARDED_HOST")
        if host is None:
            host = meta.get("HTTP_HOST")
        if host is None:
            host = str(meta["SERVER_NAME"])
            port = self.get_port()
            if port not in {"", "443" if self.is_secure() else "80"}:
                host = f"{host}:{port}"
        return host

    def get_port(self) -> str:
        """Return the port as text, from the proxy's header if that is trusted."""
        if self.config.use_x_forwarded_port:
            forwarded = self.META.get("HTTP_X_FORWARDED_PORT")
            if forwarded is not None:
                return str(forwarded)
        return str(self.META["SERVER_PORT"])

    def get_full_path(self, force_append_slash: bool = False) -> str:  # noqa: FBT001, FBT002
        """Return path and query, percent-encoded."""
        return self._full(self.path, force_append_slash)

    def get_full_path_info(self, force_append_slash: bool = False) -> str:  # noqa: FBT001, FBT002
        """Return the same for the path below the script name."""
        return self._full(self.path_info, force_append_slash)

    def _full(self, path: str, slash: bool) -> str:  # noqa: FBT001
        from urllib.parse import quote

        from penstock.handler.uris import iri_to_uri

        query = self.META.get("QUERY_STRING", "") if "META" in self.__dict__ else self._query
        end = "/" if slash and not path.endswith("/") else ""
        return f"{quote(path, safe=_SAFE_IN_PATH)}{end}{f'?{iri_to_uri(query)}' if query else ''}"

    def build_absolute_uri(self, location: object = None) -> str:
        """Return ``location`` as an absolute, ASCII-only URI; without one, this request's own.

        What is missing comes from this request: scheme, host, and for relative locations the path.
        """
        from urllib.parse import quote, urljoin, urlsplit

        from penstock.handler.uris import iri_to_uri

        here = f"{self.scheme}://{self.get_host()}"
        if location is None:
            return here + self.get_full_path()
        target = str(location)
        try:
            bits = urlsplit(target)
        except ValueError:  # such as a bracket that is not closed: not a URL, so a path
            return f"{here}/{quote(target, safe=_SAFE_IN_PATH)}"
        if bits.scheme and bits.netloc:
            return iri_to_uri(target)
        if (
            bits.path.startswith("/")
            and not bits.scheme
            and not bits.netloc
            and "/./" not in bits.path
            and "/../" not in bits.path
        ):
            return iri_to_uri(here + target.removeprefix("//"))
        return iri_to_uri(urljoin(here + self.path, target))

    # What the client accepts.

    @Lazy
    def accepted_types(self) -> list[MediaType]:
        """Media types of the ``accept`` header by quality, then specificity; none with q=0."""
        from penstock.handler.negotiation import accepted_types

        return accepted_types(self.headers.get("accept", "*/*"))

    def accepted_type(self, media_type: str) -> MediaType | None:
        """Return the accepted type that matches best, or None."""
        from penstock.handler.negotiation import accepted_type

        return accepted_type(self.accepted_types, media_type)

    def accepts(self, media_type: str) -> bool:
        """Whether a response of this type is acceptable."""
        return self.accepted_type(media_type) is not None

    def get_preferred_type(self, media_types: Sequence[str]) -> str | None:
        """Return which of these types the client likes best, or None if it accepts none."""
        from penstock.handler.negotiation import preferred_type

        return preferred_type(self.accepted_types, media_types)

    # The rest of the scope.

    @Lazy
    def state(self) -> dict[str, Any]:
        """The lifespan's state: a shallow copy of this request's own."""
        return dict(self.scope.get("state") or {})

    @property
    def path_params(self) -> dict[str, Any]:
        """What the route's converters made of the path."""
        match = self.resolver_match
        return {} if match is None else match.kwargs

    @property
    def http_version(self) -> str:
        """``1.0``, ``1.1``, ``2`` or ``3``."""
        version: str = self.scope.get("http_version", "1.1")
        return version

    @property
    def raw_path(self) -> bytes | None:
        """The path as it came, percent-encoded; None where the server does not say."""
        raw: bytes | None = self.scope.get("raw_path")
        return raw

    @property
    def aws_event(self) -> Any:
        """``scope["aws.event"]``: the event, when an adapter for AWS Lambda put it there."""
        return self.scope.get("aws.event")

    @property
    def aws_context(self) -> Any:
        """``scope["aws.context"]``: the invocation's context, likewise."""
        return self.scope.get("aws.context")

    def url_for(self, name: str, /, **kwargs: Any) -> str:
        """Return the absolute URI of the route of this name; raises ``NoReverseMatch``."""
        match = self.resolver_match
        if match is None or match.router is None:
            from penstock.handler.exceptions import NoReverseMatch

            raise NoReverseMatch(f"{name!r}: this request was not routed by a table of ours")
        return self.build_absolute_uri(match.router.reverse(name, self.script_name, **kwargs))


def below(path: str, prefix: str) -> str:
    """The part of ``path`` below ``prefix``; all of it where the prefix is not one of segments."""
    prefix = prefix.rstrip("/")
    if not path.startswith(prefix):
        return path
    rest = path[len(prefix) :]
    if not rest:
        return "/"
    return rest if rest[0] == "/" else path


def content_length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """The content length that the headers agree on (RFC 9110 section 8.6)."""
    length: int | None = None
    for name, value in headers:
        if len(name) == 14 and name.lower() == b"content-length":
            text = value.strip()
            # isdigit of bytes knows ASCII only, unlike that of str.
            if not text.isdigit() or len(text) > 18:
                raise InvalidRequestHeader(f"content-length {value[:40]!r}: expected digits")
            if length not in {None, int(text)}:
                raise InvalidRequestHeader(f"content-length is {length} and {int(text)}")
            length = int(text)
    return length


def _matches(host: str, pattern: str) -> bool:
    if pattern == "*":
        return True
    if pattern.startswith("."):
        return host == pattern[1:] or host.endswith(pattern)
    return host == pattern
