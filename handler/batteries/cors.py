"""Let pages of other origins call this service (Fetch standard, CORS protocol)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.handler.batteries.layer import Layer
from penstock.handler.compression import add_vary
from penstock.handler.exceptions import ImproperlyConfigured
from penstock.handler.response import HttpResponse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.handler.batteries.layer import GetResponse

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


class CORS(Layer):
    """Set the ``Access-Control-*`` headers, and answer preflight requests.

    Args:
        allow_origins: origins as browsers send them (``https://app.example.com``),
            ``https://*.example.com`` for every subdomain, or ``*`` for all.
        allow_methods: methods that a preflight allows.
        allow_headers: request headers that a preflight allows; ``*`` for whichever it asks for.
        allow_credentials: whether cookies and such may be sent. Not together with the origin ``*``:
            any page could then act as your user.
        expose_headers: response headers that a page may read.
        max_age: seconds that a browser may remember a preflight.

    A preflight from an origin that is not allowed gets a 403; any other request from there is
    answered without the headers, so that the browser keeps the response from the page. ``Vary``
    says ``Origin`` wherever the response depends on it, for the sake of caches.

    Source: Fetch standard, section "HTTP extensions: CORS protocol".
    """

    def __init__(
        self,
        *,
        allow_origins: Iterable[str],
        allow_methods: Iterable[str] = _METHODS,
        allow_headers: Iterable[str] = (),
        allow_credentials: bool = False,
        expose_headers: Iterable[str] = (),
        max_age: int = 600,
    ) -> None:
        origins = _listed("allow_origins", allow_origins)
        self.all_origins = "*" in origins
        if self.all_origins and allow_credentials:
            raise ImproperlyConfigured(
                "CORS(allow_credentials=True): expected the origins by name, got '*': "
                "any page could act with the cookies of your users"
            )
        for origin in origins - {"*", "null"}:
            scheme, separator, host = origin.partition("://")
            if not (scheme and separator and host) or "/" in host or origin != origin.lower():
                raise ImproperlyConfigured(
                    f"CORS allow_origins: {origin!r}: expected scheme://host[:port] in lower case, "
                    "without a path"
                )
        self.origins = frozenset(origin for origin in origins if "://*." not in origin)
        # (scheme, end of the host): "https://*.example.com" → ("https://", ".example.com")
        self.parents = tuple(
            (f"{origin.partition('*')[0]}", origin.partition("*")[2])
            for origin in origins
            if "://*." in origin
        )
        headers = _listed("allow_headers", allow_headers)
        self.any_header = "*" in headers
        self.allow_headers = ", ".join(sorted(headers))
        methods = _listed("allow_methods", allow_methods)
        self.allow_methods = ", ".join(sorted(method.upper() for method in methods))
        self.expose_headers = ", ".join(sorted(_listed("expose_headers", expose_headers)))
        self.allow_credentials = allow_credentials
        self.max_age = str(max_age)

    def allows(self, origin: str) -> bool:
        """Whether pages of this origin may call."""
        return (
            self.all_origins
            or origin in self.origins
            or any(
                origin.startswith(scheme)
                and origin.endswith(end)
                and len(origin) > len(scheme) + len(end)
                for scheme, end in self.parents
            )
        )

    async def respond(self, request: Any, get_response: GetResponse) -> Any:
        """Return the response with its headers, or the answer to a preflight."""
        origin = request.headers.get("origin")
        asked = request.headers.get("access-control-request-method")
        if origin is not None and request.method == "OPTIONS" and asked is not None:
            return self._preflight(request, origin)
        response = await get_response(request)
        if origin is not None and self.allows(origin):
            self._allow(response, origin)
            if self.expose_headers:
                response["Access-Control-Expose-Headers"] = self.expose_headers
        if not self.all_origins:
            add_vary(response, "Origin")
        return response

    def _preflight(self, request: Any, origin: str) -> HttpResponse:
        if self.allows(origin):
            response = HttpResponse(status=204)
            self._allow(response, origin)
            response["Access-Control-Allow-Methods"] = self.allow_methods
            response["Access-Control-Max-Age"] = self.max_age
            wanted = request.headers.get("access-control-request-headers")
            allowed = wanted if self.any_header else self.allow_headers
            if allowed:
                response["Access-Control-Allow-Headers"] = allowed
        else:
            response = HttpResponse("this origin may not call", status=403)
            response["Content-Type"] = "text/plain; charset=utf-8"
        for name in (
            "Origin",
            "Access-Control-Request-Method",
            "Access-Control-Request-Headers",
        ):
            add_vary(response, name)
        return response

    def _allow(self, response: Any, origin: str) -> None:
        response["Access-Control-Allow-Origin"] = "*" if self.all_origins else origin
        if self.allow_credentials:
            response["Access-Control-Allow-Credentials"] = "true"


def _listed(name: str, values: Iterable[str]) -> set[str]:
    if isinstance(values, str):
        raise ImproperlyConfigured(f"CORS {name}={values!r}: expected a list, not a string")
    return set(values)
