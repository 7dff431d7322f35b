"""Runs the application for one request: the shell, with its I/O, around an HTTPExchange."""

from __future__ import annotations

import logging
import os
from time import perf_counter
from typing import TYPE_CHECKING, Any

from penstock.adapter.errors import PayloadTooLarge
from penstock.adapter.exchange import ExchangeState, HTTPExchange

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from penstock.adapter.asgi import ASGIApp, Message, Scope
    from penstock.adapter.lifespan import Lifespan
    from penstock.adapter.reply import Reply
    from penstock.adapter.transport import Transport

logger = logging.getLogger("penstock")

UNDER_WAY = (ExchangeState.REQUEST, ExchangeState.RESPONSE)


class BufferedSink:
    """Keeps the whole body in memory, and stops the application once it is more than will pass.

    ``source`` names the front door. ``limit_bytes`` counts the answer as JSON; a body of more bytes
    cannot fit into that.
    """

    __slots__ = ("_chunks", "_size", "limit_bytes", "source")

    def __init__(self, source: str, limit_bytes: int) -> None:
        self.source = source
        self.limit_bytes = limit_bytes
        self._chunks: list[bytes] = []
        self._size = 0

    def write(self, content: bytes | str) -> None:
        """Take body bytes, or the path of a file that is the body.

        Raises: PayloadTooLarge once the body alone exceeds the limit; OSError of the file.
        """
        if isinstance(content, str):
            # os and open: a Path would only cost time.
            self._grow(os.stat(content).st_size)  # noqa: PTH116
            with open(content, "rb") as file:  # noqa: PTH123
                content = file.read()
        else:
            self._grow(len(content))
        self._chunks.append(content)

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > self.limit_bytes:
            raise PayloadTooLarge(self.source, self.limit_bytes, self._size)

    def body(self) -> bytes:
        """The body so far; a body of one chunk is that chunk, not a copy."""
        return self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)


class HTTPCycle:
    """One request through the application.

    Attributes: ``scope``; ``sink``; ``deadline`` (loop clock, seconds; None if there is none);
    ``patience``, the seconds that the application has after its cancellation there, before it is
    left behind; ``began`` (performance counter); and, once it has ``ended``: ``exchange``;
    ``error``, what the application raised (None if it returned); ``expired``, whether the deadline
    came first; ``cut_short``, why it was ended before that ("" if it was not).
    """

    # Class attributes are the initial values: instances are made for each request.
    error: BaseException | None = None
    ended = False
    expired = False
    cut_short = ""
    _done: Callable[[], object] | None = None
    _timer: asyncio.TimerHandle | None = None

    def __init__(
        self,
        app: ASGIApp,
        lifespan: Lifespan,
        scope: Scope,
        body: bytes,
        sink: Any,
        deadline: float | None,
        patience: float,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.began = perf_counter()
        self.scope = scope
        self.sink = sink
        self.deadline = deadline
        self.patience = patience
        self.exchange = HTTPExchange()
        self._app = app
        self._lifespan = lifespan
        self._loop = loop
        self._body: bytes | None = body
        self._waiting: list[asyncio.Future[None]] = []

    def watch(self, task: asyncio.Task[None], done: Callable[[], object]) -> None:
        """Call ``done`` when the task, which is that of ``run``, has ended or is left behind.

        At the deadline it gets ``http.disconnect`` and is cancelled, and left behind when its
        patience is over. Not part of ``run``: most applications end in their first step, and a
        timer costs more than that.
        """
        self._task = task
        self._done = done
        if self.deadline is not None:
            self._timer = self._loop.call_at(self.deadline, self._expire)

    @property
    def subject(self) -> str:
        """How the log names the request: its id, and what was asked for."""
        scope = self.scope
        request_id = getattr(scope.get("aws.context"), "aws_request_id", None)
        return f"request {request_id} ({scope['method']} {scope['path']!r})"

    def hang_up(self, grace: float, why: str) -> None:
        """Nobody takes the response any more: ``http.disconnect``, and cancellation after a grace.

        ``grace`` is in seconds; after another one at the latest the application is left behind.
        ``why`` is for the log, and for the application's next ``send``: "nobody takes the response
        any more", or "the environment shuts down". Where the end has begun already, it only comes
        sooner.
        """
        if self.ended:
            return
        if not (self.cut_short or self.expired):
            self.cut_short = why
            self.exchange.close(why)
            self._disconnect()
        self.patience = min(self.patience, grace)
        due = self._loop.time() + grace
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._cut)

    async def run(self) -> None:
        """Run the application to its end; what it raises is in ``error``, not raised."""
        try:
            if not self._lifespan.settled:
                await self._lifespan.startup()
            self.scope["state"] = self._lifespan.state.copy()
            await self._app(self.scope, self._receive, self._send)
        except BaseException as error:
            self.error = error  # for whoever has started this, also SystemExit
        finally:
            if self._timer is not None:
                self._timer.cancel()
            if not self.ended:
                self.ended = True
                if self._done is not None:
                    self._done()

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        if self.exchange.state in UNDER_WAY and not self.expired:
            waiter = self._loop.create_future()
            self._waiting.append(waiter)
            await waiter
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        try:
            content = self.exchange.advance(message)
            if content:
                try:
                    self.sink.write(content)
                except Exception as error:
                    self.exchange.fail(error)
                    raise
        finally:
            if self._waiting and self.exchange.state not in UNDER_WAY:
                self._disconnect()

    def _disconnect(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting.clear()

    def _expire(self) -> None:
        self.expired = True
        self.exchange.close("the deadline of this request has passed")
        self._disconnect()
        # Whoever waits for the disconnect runs first and may still clean up in its own way.
        self._loop.call_soon(self._cut)

    def _cut(self) -> None:
        if self.ended:
            return
        self._task.cancel()
        self._timer = self._loop.call_later(self.patience, self._abandon)

    def _abandon(self) -> None:
        stack = "".join(f"\n  {place}" for place in places(self._task.get_coro()))
        logger.error(
            "%s: the application ignored its cancellation and is left behind, at%s",
            self.subject,
            stack or " an unknown place",
        )
        self.ended = True
        if self._done is not None:
            self._done()


class EarlyCycle(HTTPCycle):
    """A cycle that has its response taken when it is complete, while the application goes on.

    ``take`` is called once with the cycle, inside the application's last ``send``. Attributes:
    ``transport``; ``reply``, what was sent; ``is_taken``, whether ``take`` was called; ``failure``,
    what that raised.
    """

    take: Callable[[EarlyCycle], object]
    transport: Transport
    reply: Reply | None = None
    is_taken = False
    failure: BaseException | None = None

    async def _send(self, message: Message) -> None:
        # As in HTTPCycle: to await that one would cost more than it does.
        exchange = self.exchange
        try:
            content = exchange.advance(message)
            if content:
                try:
                    self.sink.write(content)
                except Exception as error:
                    exchange.fail(error)
                    raise
        finally:
            if self._waiting and exchange.state not in UNDER_WAY:
                self._disconnect()
        if exchange.state is ExchangeState.COMPLETE:
            self.is_taken = True
            try:
                self.take(self)
            except BaseException as error:
                self.failure = error  # not the application's: its response is complete


def seconds_left(context: Any) -> float | None:
    """Return the seconds up to Lambda's deadline; None with a context of a test, or without one."""
    try:
        return context.get_remaining_time_in_millis() / 1000  # type: ignore[no-any-return]
    except AttributeError:
        return None


def places(awaited: Any) -> Iterator[str]:
    """Yield where a coroutine waits, outermost first; Task.get_stack has the first frame only."""
    while (frame := getattr(awaited, "cr_frame", None)) is not None:
        yield f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"
        awaited = awaited.cr_await
