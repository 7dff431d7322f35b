"""One line a request, for those who ask for it."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.adapter.asgi import Scope
    from penstock.adapter.reply import Reply
    from penstock.adapter.sources import EventSource

logger = logging.getLogger("penstock.access")


class AccessLog:
    """Logs ``GET /items 200 3.2 ms cold http-api request-id`` at INFO to ``penstock.access``.

    The same facts are attributes of the record, for JSON formatters: ``method``, ``path`` (as on
    the wire, ASCII), ``status`` (None if the invocation failed), ``duration_ms``, ``cold_start``,
    ``event_source``, ``request_id``.
    """

    def __init__(self) -> None:
        self._cold = True
        if logger.level == logging.NOTSET:
            # Lambda's root logger starts at WARNING; who turns this log on wants to see it.
            logger.setLevel(logging.INFO)

    def __call__(
        self, source: EventSource, scope: Scope, reply: Reply | None, began: float
    ) -> None:
        """Log one request; ``reply`` is None if its invocation fails."""
        facts = {
            "method": scope.get("method", "-"),
            # As on the wire, so that no client can forge a line. Scopes of one's own event sources
            # need not have it (in those of Mangum's handlers it is None).
            "path": (scope.get("raw_path") or b"-").decode("ascii", "backslashreplace"),
            "status": reply.status if reply is not None else None,
            "event_source": source.name,
            "request_id": getattr(scope["aws.context"], "aws_request_id", None),
            "duration_ms": round((perf_counter() - began) * 1000, 3),
            "cold_start": self._cold,
        }
        self._cold = False
        logger.info(
            "%s %s %s %.1f ms %s %s %s",
            facts["method"],
            facts["path"],
            facts["status"],
            facts["duration_ms"],
            "cold" if facts["cold_start"] else "warm",
            facts["event_source"],
            facts["request_id"],
            extra=facts,
        )
