"""Answer 304 if the client has the content already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.handler.batteries.layer import Layer
from penstock.handler.conditional import conditional

if TYPE_CHECKING:
    from penstock.handler.batteries.layer import GetResponse


class ConditionalGet(Layer):
    """Compare validators, and make an ``ETag`` where a view sets none.

    A 200 to GET or HEAD that is in memory gets a strong ``ETag`` of its content, unless it has one
    or must not be stored. Then ``If-Match``, ``If-None-Match``, ``If-Modified-Since`` and
    ``If-Unmodified-Since`` decide between the response, a 304 and a 412. The view runs in any case:
    what is saved is the transfer.

    Source: RFC 9110 sections 8.8 and 13.
    """

    async def respond(self, request: Any, get_response: GetResponse) -> Any:
        """Return the response, or the 304 or 412 in its place."""
        response = await get_response(request)
        if (
            request.method in {"GET", "HEAD"}
            and response.status_code == 200
            and not response.streaming
            and not response.has_header("ETag")
            and "no-store" not in response.get("Cache-Control", "").lower()
        ):
            response["ETag"] = etag_of(response.content)
        return conditional(request, response)


def etag_of(content: bytes) -> str:
    """Return a strong entity tag; equal content has equal ones, on every machine."""
    from hashlib import blake2b

    return f'"{blake2b(content, digest_size=16).hexdigest()}"'
