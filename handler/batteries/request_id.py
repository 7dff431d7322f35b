"""One id for a request, in the response and in every log record."""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from penstock.handler.batteries.layer import Layer
from penstock.handler.exceptions import ImproperlyConfigured
from penstock.handler.headers import is_token

if TYPE_CHECKING:
    from logging import LogRecord

    from penstock.handler.batteries.layer import GetResponse

# No space, quote, bracket or control character: an id must not be able to forge a line of a log.
_VALID = re.compile(r"[A-Za-z0-9._~+/=:@-]{1,128}")
_request_id: ContextVar[str | None] = ContextVar("penstock_request_id", default=None)


class RequestId(Layer):
    """Give each request an id: the client's, else the server's, else a new one.

    Views find it as ``request.request_id``, everything else in ``get_request_id()``, and the client
    in the response header. From a client it is taken if it has 1 to 128 letters, digits and
    ``. _ ~ + / = : @ -``; any other is replaced. The server's is
    ``scope["extensions"]["penstock"]["request_id"]``, which on AWS Lambda is the one in its logs.

    Args:
        header: the name of the header, in both directions.
        trust_client: whether an id that the client sent counts; switch it off at the edge of your
            system, where clients are strangers.
    """

    def __init__(self, *, header: str = "X-Request-ID", trust_client: bool = True) -> None:
        if not is_token(header):
            raise ImproperlyConfigured(f"RequestId header={header!r}: expected a header name")
        self.header = header
        self.trust_client = trust_client

    async def respond(self, request: Any, get_response: GetResponse) -> Any:
        """Set the id for everything below."""
        request.request_id = request_id = self._choose(request)
        _request_id.set(request_id)
        response = await get_response(request)
        response[self.header] = request_id
        return response

    def _choose(self, request: Any) -> str:
        if self.trust_client:
            sent = request.headers.get(self.header)
            if sent is not None and _VALID.fullmatch(sent):
                return str(sent)
        penstock = (request.scope.get("extensions") or {}).get("penstock") or {}
        given = penstock.get("request_id")
        if given is not None:
            return str(given)
        from uuid import uuid4

        return uuid4().hex


def get_request_id() -> str | None:
    """Return the id of the request that this code runs for, also in its threads and tasks."""
    return _request_id.get()


class RequestIdFilter:
    """A filter for ``logging`` handlers: each record gets ``request_id``, ``-`` outside a request.

    ::

        handler.addFilter(RequestIdFilter())
        handler.setFormatter(logging.Formatter("%(request_id)s %(levelname)s %(message)s"))
    """

    def filter(self, record: LogRecord) -> bool:
        """Complete the record and let it pass."""
        record.request_id = _request_id.get() or "-"
        return True
