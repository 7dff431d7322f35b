"""Refuse requests for other hosts, also where no view asks for the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.handler.batteries.layer import Layer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.handler.batteries.layer import GetResponse


class AllowedHosts(Layer):
    """Answer 400 unless the host is well-formed and in ``HandlerConfig.allowed_hosts``.

    Without it, the host is checked where something asks for it: ``request.get_host()``, absolute
    URLs. With it, a host that somebody made up cannot get as far as a cache or a log either.
    ``except_paths`` are left alone: health checks of load balancers come with an address as host.

    Source: RFC 9112 section 3.2, the Host header.
    """

    def __init__(self, *, except_paths: Iterable[str] = ()) -> None:
        self.except_paths = frozenset(except_paths)

    async def respond(self, request: Any, get_response: GetResponse) -> Any:
        """Check the host, then go on."""
        if request.path_info not in self.except_paths:
            request.get_host()  # raises DisallowedHost, which becomes the 400
        return await get_response(request)
