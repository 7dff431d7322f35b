"""What the client gets: the application's response, or penstock's own where there is none."""

from __future__ import annotations

import logging
from itertools import chain
from time import perf_counter
from typing import TYPE_CHECKING, Any

from penstock.adapter.errors import EventError, EventFailed, LifespanError, PayloadTooLarge
from penstock.adapter.exchange import ExchangeState
from penstock.adapter.reply import Reply, ReplyRules

if TYPE_CHECKING:
    from penstock.adapter.asgi import Scope
    from penstock.adapter.cycle import HTTPCycle
    from penstock.adapter.settings import Settings
    from penstock.adapter.sources.source import EventSource

logger = logging.getLogger("penstock")


def reply_to(cycle: HTTPCycle, rules: ReplyRules, *, raise_errors: bool) -> Reply:
    """Return the reply to a request whose application has ended, or was left behind.

    Logs whatever went wrong, with the request id. Raises: LifespanError; what the application
    raised, if ``raise_errors`` is on.
    """
    exchange, error = cycle.exchange, cycle.error
    if error is not None:
        if isinstance(error, LifespanError):
            raise error
        if not cycle.expired:
            logger.error(
                "%s: %s", _subject(cycle), str(error) or type(error).__name__, exc_info=error
            )
            if raise_errors:
                raise error
    if exchange.state is ExchangeState.COMPLETE:
        if cycle.expired:
            logger.warning("%s: work after the response was cut at the deadline", _subject(cycle))
        return rules.reply(exchange, cycle.sink.body(), is_head=cycle.scope["method"] == "HEAD")
    if cycle.expired:
        logger.error(
            "%s: no response before the deadline; the application was cancelled after %.3f s",
            _subject(cycle),
            perf_counter() - cycle.began,
        )
        return Reply.plain(504, "Gateway Timeout")
    if exchange.error is not None and exchange.error is not error:
        # The application swallowed what its send raised.
        logger.error("%s: %s", _subject(cycle), exchange.error, exc_info=exchange.error)
    if isinstance(exchange.error, PayloadTooLarge):
        return _too_large(exchange.error)
    if error is None and exchange.error is None:
        logger.error(
            "%s: the application returned before it had %s",
            _subject(cycle),
            "sent the end of its response"
            if exchange.state is ExchangeState.RESPONSE
            else "sent http.response.start",
        )
    return Reply.plain(500, "Internal Server Error")


def refusal(error: EventError, request_id: object) -> Reply:
    """Return the reply to an event that cannot be shown to an application; the reason is logged."""
    logger.warning("request %s: %s", request_id, error)
    return Reply.plain(error.status, "Content Too Large" if error.status == 413 else "Bad Request")


def answer_with(
    source: EventSource,
    reply: Reply,
    scope: Scope,
    settings: Settings,
    *,
    limit_bytes: int,
    cause: BaseException | None = None,
) -> tuple[Any, Reply]:
    """Return what the function returns, and the reply in it: another one if the first is too big.

    Raises: EventFailed, because of ``cause`` if there is one.
    """
    try:
        answer = source.write(reply, scope, settings)
    except EventFailed as failure:
        raise failure from cause
    # As JSON a character is twelve bytes at most (two escapes), and names may stand there twice.
    headers = 64 * len(reply.headers) + 24 * sum(map(len, chain.from_iterable(reply.headers)))
    body = len(reply.body) if reply.is_base64 else 12 * len(reply.body)
    if body + headers + _ENVELOPE_BYTES > limit_bytes:
        from penstock.adapter.body import json_size

        size = json_size(answer, is_base64=reply.is_base64)
        if size > limit_bytes:
            error = PayloadTooLarge(source.name, limit_bytes, size)
            logger.error("request %s: %s", request_id(scope), error)
            reply = _too_large(error)
            answer = source.write(reply, scope, settings)
    return answer, reply


_ENVELOPE_BYTES = 256  # keys, status and punctuation around headers and body, generously


def request_id(scope: Scope) -> object:
    """The id of the invocation, None if there is no context."""
    return getattr(scope.get("aws.context"), "aws_request_id", None)


def _subject(cycle: HTTPCycle) -> str:
    scope = cycle.scope
    return f"request {request_id(scope)} ({scope['method']} {scope['path']!r})"


def _too_large(error: PayloadTooLarge) -> Reply:
    return Reply.plain(
        502,
        f"The response is too large: it has {error.actual_bytes} bytes or more, and"
        f" {error.limit_bytes} can be sent.",
    )
