"""What the client gets where the application's own response cannot be sent, and what is logged."""

from __future__ import annotations

import logging
import os
from asyncio import CancelledError
from time import perf_counter
from typing import TYPE_CHECKING, Any

from penstock.adapter.errors import (
    ClientDisconnected,
    EventError,
    LifespanError,
    PayloadTooLarge,
)
from penstock.adapter.exchange import ExchangeState
from penstock.adapter.reply import Reply

if TYPE_CHECKING:
    from penstock.adapter.cycle import HTTPCycle

logger = logging.getLogger("penstock")

# Images whose AWS client writes non-ASCII text as it is; elsewhere it becomes \uXXXX
# (awslambdaric 4.2.2, lambda_runtime_marshaller.py).
_UTF8_ENVIRONMENTS = frozenset(f"AWS_Lambda_python3.{minor}" for minor in range(12, 16))

# Bytes that JSON leaves as they are; a quote or a backslash becomes two, others six at most.
_AS_THEY_ARE = bytes(byte for byte in range(32, 256) if byte not in b'"\\\x7f')


def report(cycle: HTTPCycle, *, raise_errors: bool) -> None:
    """Log how the application ended, if it raised or met its deadline.

    Raises: LifespanError; the application's SystemExit or KeyboardInterrupt; any other exception
    of the application, if ``raise_errors`` is on.
    """
    error = cycle.error
    if isinstance(error, LifespanError | SystemExit | KeyboardInterrupt):
        raise error
    # How an application ends that was cut short, unless it has trouble of its own on the way out.
    # Starlette has a ClientDisconnect of its own for what its send raised.
    expected = isinstance(error, CancelledError | ClientDisconnected)
    expected = expected or type(error).__name__ == "ClientDisconnect"
    trouble = None if expected else error
    if cycle.cut_short:
        logger.warning(
            "%s: cut short, as %s; it ended after %.3f s",
            cycle.subject,
            cycle.cut_short,
            perf_counter() - cycle.began,
            exc_info=trouble,
        )
        return
    if not cycle.expired:
        logger.error("%s: %s", cycle.subject, str(error) or type(error).__name__, exc_info=error)
        if raise_errors and error is not None:
            raise error
        return
    if cycle.exchange.state is ExchangeState.COMPLETE:
        logger.warning(
            "%s: work after the response was cut at the deadline",
            cycle.subject,
            exc_info=trouble,
        )
    else:
        logger.error(
            "%s: no response before the deadline; the application was cancelled after %.3f s",
            cycle.subject,
            perf_counter() - cycle.began,
            exc_info=trouble,
        )


def substitute(cycle: HTTPCycle) -> Reply:
    """Return penstock's own reply to a request that the application has not answered."""
    if cycle.expired:
        return _plain(cycle, 504, "Gateway Timeout")
    if cycle.cut_short:  # the environment is going away, but may still be heard
        return _plain(cycle, 503, "Service Unavailable")
    explain(cycle)
    breach = cycle.exchange.error
    if isinstance(breach, PayloadTooLarge):
        return _too_large(cycle, breach)
    return _plain(cycle, 500, "Internal Server Error")


def explain(cycle: HTTPCycle) -> None:
    """Log why the response is not complete, unless that is what the application raised."""
    breach = cycle.exchange.error
    if breach is not None and breach is not cycle.error:
        # The application swallowed what its send raised.
        logger.error("%s: %s", cycle.subject, breach, exc_info=breach)
    elif cycle.error is None:
        logger.error(
            "%s: the application returned before it had sent %s",
            cycle.subject,
            "the end of its response"
            if cycle.exchange.state is ExchangeState.RESPONSE
            else "http.response.start",
        )


def refusal(error: EventError, request_id: object) -> Reply:
    """Return the reply to an event that cannot be shown to an application; the reason is logged."""
    logger.warning("request %s: %s", request_id, error)
    return Reply.plain(error.status, "Content Too Large" if error.status == 413 else "Bad Request")


def too_large_reply(cycle: HTTPCycle, reply: Reply, answer: Any) -> Reply | None:
    """Return the reply instead of one that Lambda would refuse for its size; None if it is not."""
    limit = cycle.sink.limit_bytes
    size = _json_size(answer, reply.body, is_base64=reply.is_base64, enough=limit)
    if size <= limit:
        return None
    return too_large(cycle, PayloadTooLarge(cycle.sink.source, limit, size))


def too_large(cycle: HTTPCycle, error: PayloadTooLarge) -> Reply:
    """Log that the answer was too large, and return the reply in its place."""
    logger.error("%s: %s", cycle.subject, error)
    return _too_large(cycle, error)


def _too_large(cycle: HTTPCycle, error: PayloadTooLarge) -> Reply:
    return _plain(
        cycle,
        502,
        f"The response is too large: it has {error.actual_bytes} bytes or more, and"
        f" {error.limit_bytes} can be sent.",
    )


def _plain(cycle: HTTPCycle, status: int, text: str) -> Reply:
    return Reply.plain(status, "" if cycle.scope["method"] == "HEAD" else text)


def _json_size(answer: Any, body: str, *, is_base64: bool, enough: int) -> int:
    r"""Return the bytes that Lambda gets when AWS's client has serialised the answer.

    Counts what its ``Encoder`` class writes: escapes, a blank behind each separator, and, outside
    its newer images, ``\uXXXX`` for what is not ASCII. ``body`` is the answer's own; a number that
    cannot be exceeded is returned instead of the exact one where it is not above ``enough``.
    """
    from json import dumps

    escapes = os.environ.get("AWS_EXECUTION_ENV") not in _UTF8_ENVIRONMENTS
    whole = isinstance(answer, dict) and answer.get("body") is body
    rest = {**answer, "body": ""} if whole else answer
    size = _utf8_size(dumps(rest, ensure_ascii=escapes), escapes=escapes)
    if not whole:
        return size
    if is_base64:
        return size + len(body)
    # Serialising megabytes to count them would cost more than all the rest, so bounds come first.
    # An escape is six bytes for one; a character that is not ASCII has one to three bytes more than
    # an ASCII one, and becomes six or twelve; without escapes two of three bytes become six.
    data = body.encode("utf-8", "surrogatepass")
    size += len(data) + (5 if escapes else 2) * (len(data) - len(body))
    if size > enough:
        return _utf8_size(dumps(answer, ensure_ascii=escapes), escapes=escapes)
    special = data.translate(None, _AS_THEY_ARE)
    doubled = special.count(b'"') + special.count(b"\\")
    size += doubled + 5 * (len(special) - doubled)
    if size <= enough:
        return size
    return _utf8_size(dumps(answer, ensure_ascii=escapes), escapes=escapes)


def _utf8_size(text: str, *, escapes: bool) -> int:
    # simplejson, which AWS's client uses, escapes these two although it escapes no other.
    more = 0 if escapes else 3 * (text.count("\u2028") + text.count("\u2029"))
    return len(text.encode("utf-8", "surrogatepass")) + more
