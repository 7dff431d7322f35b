"""A task for the work of a request, and what may cut it short."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from penstock.handler.exceptions import ASGIProtocolError, RequestAborted
from penstock.handler.receiving import StreamBody
from penstock.handler.tasks import settle
from penstock.handler.watching import watch_of

if TYPE_CHECKING:
    from penstock.handler.exchange import Exchange
    from penstock.handler.watching import Watch

logger = logging.getLogger("penstock.request")


class Supervision:
    """Has a request's work done in a task, and ends it: disconnect, deadline, cancellation.

    The server's own task waits for the work, and finishes the clean-up if it was cut short. With
    ``listens``, a disconnect is listened for, though only after some milliseconds. ``deadline`` is
    a time of ``loop.time()``, or None; the handler's ``response_timeout`` may come before it.
    """

    # Class attributes are the initial values: instances are made for each request.
    _listener: asyncio.Task[None] | None = None
    _timer: asyncio.TimerHandle | None = None
    _grace_timer: asyncio.TimerHandle | None = None
    _was_cut = False
    _is_abandoned = False
    _wake: asyncio.Future[None] | None = None

    def __init__(self, exchange: Exchange, deadline: float | None, *, listens: bool) -> None:
        self._exchange = exchange
        self._deadline = deadline
        self._loop = loop = asyncio.get_running_loop()
        self._watch: Watch | None = watch_of(loop) if listens else None

    async def run(self) -> None:
        """Do the work and its clean-up; nothing is raised, the exchange keeps what went wrong."""
        exchange = self._exchange
        exchange.supervision = self
        self._task = self._loop.create_task(self._work())
        self._arm()
        await self._join()
        await self._disarm()
        await exchange.end.run(exchange.outcome)

    async def _work(self) -> None:
        exchange = self._exchange
        try:
            await exchange.work()
            # Work that was cut short leaves the clean-up to who waits for it, unless nobody does.
            if exchange.reason is None or self._is_abandoned:
                exchange.ending = True
                await exchange.end.run(exchange.outcome)
        finally:
            # A callback of the task would wake the caller one pass of the loop later.
            self._wake_up()

    def _arm(self) -> None:
        """Have disconnects and the deadline noticed."""
        timeout, deadline = self._exchange.handler.config.response_timeout, self._deadline
        if self._watch is not None:
            self._watch.add(self, self._loop)
        if timeout is not None:
            own = self._loop.time() + timeout
            deadline = own if deadline is None else min(deadline, own)
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._cut, "deadline")

    async def _disarm(self) -> None:
        self._exchange.ending = True
        for timer in (self._timer, self._grace_timer):
            if timer is not None:
                timer.cancel()
        if self._watch is not None:
            self._watch.remove(self)
        if self._listener is not None:
            try:
                await settle(self._listener)
            except asyncio.CancelledError as error:
                self._exchange.cancelled = error

    # What may cut the work short.

    def listen(self) -> None:
        """Listen for a disconnect, if the body does not need the messages."""
        body = self._exchange.end.body
        waits = isinstance(body, StreamBody) and not body.complete
        if self._listener is None and not self._is_over() and not waits:
            self._listener = self._loop.create_task(self._listen())

    def body_ended(self) -> None:
        """The messages that come now are for who listens."""
        if self._watch is not None:
            self._loop.call_soon(self.listen)

    async def _listen(self) -> None:
        exchange = self._exchange
        try:
            await exchange.handler.listen_for_disconnect(exchange.receive)
        except RequestAborted:
            self._cut("disconnect")
        except ASGIProtocolError as error:
            exchange.protocol_error = error
        except Exception:
            logger.exception("receive() failed while the response was made; it goes on without")

    def _is_over(self) -> bool:
        return self._exchange.ending or self._task.done()

    def _cut(self, reason: str) -> None:
        """Cancel the work, once, unless it is in its clean-up, which runs in any case."""
        if self._is_over() or self._was_cut:
            return
        self._was_cut = True
        exchange = self._exchange
        exchange.reason = exchange.reason or reason
        self._task.cancel()
        if exchange.reason == "deadline":
            self._wake_up()
        grace = exchange.handler.config.disconnect_grace
        if grace is not None:
            self._grace_timer = self._loop.call_later(grace, self._abandon)

    def _abandon(self) -> None:
        if self._task.done():
            return
        exchange = self._exchange
        self._is_abandoned = True
        exchange.handler.abandon(self._task)
        logger.error(
            "%s: the view ignored its cancellation for %s s and is left behind",
            getattr(exchange.end.request, "path", ""),
            exchange.handler.config.disconnect_grace,
        )
        self._wake_up()

    # Waiting for the work.

    def _wake_up(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _join(self) -> None:
        """Wait until the work is over or abandoned; answer the deadline meanwhile."""
        exchange, task = self._exchange, self._task
        answered = False
        while not task.done() and not self._is_abandoned:
            self._wake = self._loop.create_future()
            try:
                await self._wake
                if exchange.reason == "deadline" and not answered:
                    answered = True
                    await exchange.answer_deadline()
            except asyncio.CancelledError as error:
                exchange.cancelled = error
                if self._was_cut or exchange.ending:
                    task.cancel()
                else:
                    self._cut("cancelled")
