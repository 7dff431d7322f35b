"""Compress what is worth it, for clients that take it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.handler.batteries.layer import Layer
from penstock.handler.compression import compress

if TYPE_CHECKING:
    from penstock.handler.batteries.layer import GetResponse


class GZip(Layer):
    """Compress text, JSON and the like of 500 bytes and more with gzip, streams part by part.

    See ``penstock.handler.compression.compress`` for what is left alone. A page that shows both a
    secret and something that its visitor sent should not be compressed: the length then tells of
    the secret (the BREACH attack). ``Cache-Control: no-transform`` keeps a response out.

    Source: RFC 9110 sections 8.4.1 and 12.5.3.
    """

    async def respond(self, request: Any, get_response: GetResponse) -> Any:
        """Return the response, compressed if it may be."""
        return await compress(request, await get_response(request))
