"""Ordinary handlers: the event in, and a coroutine's end by the deadline at the latest."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any, Final

from penstock.adapter.cycle import places
from penstock.adapter.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine

    from penstock.adapter.runtime.context import LambdaContext
    from penstock.adapter.runtime.protocol import Invocation

logger = logging.getLogger("penstock")

_STARTS: Final = ("{", "[")


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


_decoder = json.JSONDecoder(parse_constant=_refuse)
_decode = _decoder.raw_decode

MARGIN_S: Final = 0.15
"""Before Lambda's deadline a coroutine is cancelled, and half of it later left behind."""


def decode_event(invocation: Invocation) -> Any:
    """Return the event: JSON, or its bytes if the invoker said that it is something else.

    As with AWS's client, blanks and a byte order mark may stand before it, and NaN is no JSON.
    Raises: Fault (UnmarshalError) if it is not the JSON that it says it is.
    """
    if invocation.content_type not in ("application/json", ""):
        return invocation.event
    try:
        text = invocation.event.decode()
        if text.startswith(_STARTS):
            event, end = _decode(text)
            if end == len(text):
                return event
        return _decoder.decode(text.removeprefix("\ufeff"))  # with blanks around it, or more
    except (ValueError, RecursionError) as error:
        raise Fault("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}") from None


class LimitedCall:
    """One call of a coroutine function, named so in what is said of it.

    It is cancelled after ``limit_s`` seconds (None: never), or by ``hang_up``, and left behind
    ``patience_s`` later if it ignores that.
    """

    def __init__(
        self, call: Awaitable[Any], name: str, limit_s: float | None, patience_s: float
    ) -> None:
        self._call = call
        self._name = name
        self._limit_s = limit_s
        self._patience_s = patience_s
        self._reason = ""
        self._was_cancelled = False
        self._timer: asyncio.TimerHandle | None = None
        self._result: Any = None
        self._error: BaseException | None = None

    async def run(self) -> Any:
        """Return what the call returns.

        Raises: what it raises; Fault (``Function.TimedOut``) if it was cancelled.
        """
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._capture())
        self._left_behind = loop.create_future()
        if self._timer is None and self._limit_s is not None:  # hang_up may have been first
            self._timer = loop.call_later(self._limit_s, self._cancel, self._patience_s)
        await asyncio.wait({self._task, self._left_behind}, return_when=asyncio.FIRST_COMPLETED)
        if self._timer is not None:
            self._timer.cancel()
        if not self._task.done():
            stack = "".join(f"\n  {place}" for place in places(self._call))
            logger.error(
                "%s ignored its cancellation and is left behind, at%s",
                self._name,
                stack or " nowhere",
            )
        elif not (self._was_cancelled and isinstance(self._error, asyncio.CancelledError)):
            if self._error is not None:
                raise self._error
            return self._result
        reason = self._reason or "shortly before the deadline"
        message = f"{self._name} was cancelled {reason}"
        raise Fault("Function.TimedOut", message) from self._error  # which has the place

    def hang_up(self, grace: float, why: str) -> None:
        """Cancel the call after a grace in seconds, and leave it behind after another one.

        ``why`` is for the error.
        """
        self._reason = f"as {why}"
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(grace, self._cancel, grace)

    async def _capture(self) -> None:
        # A task that raises SystemExit would take the event loop down with it.
        try:
            self._result = await self._call
        except BaseException as error:
            self._error = error

    def _cancel(self, patience: float) -> None:
        self._was_cancelled = True
        self._task.cancel()
        self._timer = asyncio.get_running_loop().call_later(
            patience, self._left_behind.set_result, None
        )


class HandlerCall(LimitedCall):
    """The call of an ``async def`` handler, which ends shortly before the deadline."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], context: LambdaContext) -> None:
        left_s = context.get_remaining_time_in_millis() / 1000
        margin_s = min(MARGIN_S, left_s / 2)
        super().__init__(coroutine, "the handler", left_s - margin_s, margin_s / 2)
