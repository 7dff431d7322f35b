"""Serves several invocations at once on one event loop, each from a slot of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from penstock.adapter.errors import RuntimeAPIError
from penstock.adapter.event_loop import process_loop
from penstock.adapter.runtime import context as contexts
from penstock.adapter.runtime.async_client import AsyncClient
from penstock.adapter.runtime.calls import HandlerCall, decode_event
from penstock.adapter.runtime.stop import REASON
from penstock.adapter.runtime.transports import AsyncTransport

if TYPE_CHECKING:
    from penstock.adapter.runtime.client import RuntimeClient
    from penstock.adapter.runtime.protocol import Invocation
    from penstock.adapter.runtime.stop import StopSignal
    from penstock.adapter.runtime.target import Target
    from penstock.adapter.runtime.threads import HandlerThreads
    from penstock.adapter.runtime.watchdog import Watchdog

logger = logging.getLogger("penstock")

_started: ContextVar[WeakSet[asyncio.Task[Any]] | None] = ContextVar("penstock_tasks", default=None)
"""The tasks that were started in the invocation that the running code belongs to."""

LEAST_S: Final = 0.1
"""What the Runtime API has at least to take an answer, at whatever time it was given."""


class ManySlots:
    """One task a slot: it waits for an event, and serves it to its end.

    Slots share the event loop and nothing else: connection, context variables and failures are
    their own.
    """

    def __init__(
        self,
        client: RuntimeClient,
        target: Target,
        slots: int,
        stop: StopSignal,
        watchdog: Watchdog,
    ) -> None:
        self._address = client.address
        self._before_retry = client.before_retry
        self._handler = target.handler
        self._call = {
            "adapter": self._call_adapter,
            "async": self._call_async,
            "sync": self._call_sync,
        }[target.kind]
        self._slots = slots
        self._stop = stop
        self._watchdog = watchdog
        self._waiting: dict[asyncio.Task[None], AsyncClient] = {}
        self._under_way: set[AsyncTransport] = set()
        self._ending: BaseException | None = None
        self._threads: HandlerThreads | None = None

    async def run(self) -> None:
        """Serve until SIGTERM; what is under way then has a moment to end.

        Raises: RuntimeAPIError when no slot can get an event any more; SystemExit and
        KeyboardInterrupt of the function, when all others have ended.
        """
        loop = process_loop.shared = asyncio.get_running_loop()
        if loop.get_task_factory() is None:
            loop.set_task_factory(_make_task)
        # Not the loop's own signal handler, which runs when it has time: what counts is when the
        # signal came.
        self._stop.notify = lambda: loop.call_soon_threadsafe(self._hang_up_all)
        tasks = [loop.create_task(self._slot(number)) for number in range(1, self._slots + 1)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        if self._ending is not None:
            raise self._ending
        if not self._stop.requested:
            raise next(filter(None, results), RuntimeAPIError("all slots have ended"))

    async def _slot(self, number: int) -> None:
        client = AsyncClient(self._address, self._before_retry)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this is one
        try:
            while not self._is_ending():
                self._waiting[task] = client
                try:
                    invocation = await client.next()
                finally:
                    del self._waiting[task]
                await self._serve(client, invocation)
                del invocation  # megabytes perhaps, which waiting for the next has no need of
        except RuntimeAPIError as error:
            logger.error("slot %d of %d ends: %s", number, self._slots, error)  # noqa: TRY400
            raise
        except asyncio.CancelledError:
            if not self._is_ending():
                raise
        except Exception:
            logger.exception("slot %d of %d ends", number, self._slots)
            raise
        finally:
            client.close()

    async def _serve(self, client: AsyncClient, invocation: Invocation) -> None:
        context = contexts.LambdaContext(invocation)
        contexts.begin(context, alone=False)
        started: WeakSet[asyncio.Task[Any]] = WeakSet()
        _started.set(started)
        transport = AsyncTransport(client, invocation, self._stop)
        self._under_way.add(transport)
        if self._stop.requested:  # while the event was arriving
            asyncio.get_running_loop().call_soon(self._hang_up, transport)
        self._watchdog.watch(transport, context.get_remaining_time_in_millis() / 1000)
        try:
            await self._call(decode_event(invocation), context, transport)
        except BaseException as error:
            if isinstance(error, SystemExit | KeyboardInterrupt):
                self._end(error)  # so that no event comes to a process that ends
            if not transport.has_failed:
                transport.fail(error)
        self._watchdog.release(transport)
        try:
            left_s = max(context.get_remaining_time_in_millis() / 1000, LEAST_S)
            await transport.settle(left_s)
        except RuntimeAPIError as error:
            client.close()
            logger.error("request %s: %s", invocation.request_id, error)  # noqa: TRY400
        finally:
            self._under_way.discard(transport)
            _log_tasks_left_behind(started, invocation.request_id)
            contexts.current.set(None)

    async def _call_adapter(self, event: Any, context: Any, transport: AsyncTransport) -> None:
        await self._handler.deliver_inside(event, context, transport)

    async def _call_async(self, event: Any, context: Any, transport: AsyncTransport) -> None:
        transport.answer_result(await self._wait(self._handler(event, context), context, transport))

    async def _call_sync(self, event: Any, context: Any, transport: AsyncTransport) -> None:
        if self._threads is None:
            from penstock.adapter.runtime.threads import HandlerThreads

            self._threads = HandlerThreads(self._handler, self._slots)
        result = await self._wait(self._threads.call(event, context), context, transport)
        if isinstance(result, Coroutine):
            result = await self._wait(result, context, transport)
        transport.answer_result(result)

    async def _wait(
        self, coroutine: Coroutine[Any, Any, Any], context: Any, transport: AsyncTransport
    ) -> Any:
        call = HandlerCall(coroutine, context)
        transport.on_broken = call.hang_up
        return await call.run()

    def _is_ending(self) -> bool:
        return self._stop.requested or self._ending is not None

    def _end(self, error: BaseException) -> None:
        """The function wants this process to end: the slots end when they have nothing to do."""
        self._ending = self._ending or error
        self._stop_waiting()

    def _hang_up_all(self) -> None:
        self._stop_waiting()
        for transport in self._under_way:
            self._hang_up(transport)

    def _hang_up(self, transport: AsyncTransport) -> None:
        if transport.on_broken is not None:
            transport.on_broken(self._stop.grace_s, REASON)

    def _stop_waiting(self) -> None:
        """End the slots that wait for an event, but for those to which one is on its way."""
        loop = asyncio.get_running_loop()
        for task, client in self._waiting.items():
            if client.is_receiving:
                loop.call_later(self._stop.left_s(), self._give_up, task)
            else:
                task.cancel()

    def _give_up(self, task: asyncio.Task[None]) -> None:
        if task in self._waiting and task.cancel():
            logger.error("this process ends, and an event that was arriving is lost")


def _make_task(
    loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
) -> asyncio.Task[Any]:
    task = asyncio.Task(coroutine, loop=loop, **options)
    started = _started.get()
    if started is not None:
        started.add(task)
    return task


def _log_tasks_left_behind(started: WeakSet[asyncio.Task[Any]], request_id: str) -> None:
    for task in started:
        if not task.done():
            logger.warning(
                "request %s: left a task behind, which goes on as long as this process: %r",
                request_id,
                task,
            )
