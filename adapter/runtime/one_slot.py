"""Serves one invocation at a time, each to its end before the next event is asked for."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from penstock.adapter.errors import RuntimeAPIError
from penstock.adapter.event_loop import EagerLoop, process_loop
from penstock.adapter.runtime import context as contexts
from penstock.adapter.runtime import logs
from penstock.adapter.runtime.calls import HandlerCall, decode_event
from penstock.adapter.runtime.stop import REASON
from penstock.adapter.runtime.transports import BlockingTransport

if TYPE_CHECKING:
    from penstock.adapter.runtime.client import RuntimeClient
    from penstock.adapter.runtime.protocol import Invocation
    from penstock.adapter.runtime.stop import StopSignal
    from penstock.adapter.runtime.target import Target
    from penstock.adapter.runtime.watchdog import Watchdog

logger = logging.getLogger("penstock")


class OneSlot:
    """The loop of a process that Lambda freezes between two invocations."""

    def __init__(
        self, client: RuntimeClient, target: Target, stop: StopSignal, watchdog: Watchdog
    ) -> None:
        self._client = client
        self._handler = target.handler
        self._call = {
            "adapter": self._call_adapter,
            "async": self._call_async,
            "sync": self._call_sync,
        }[target.kind]
        self._stop = stop
        self._watchdog = watchdog
        self._known: set[asyncio.Task[Any]] = set()

    def run(self) -> None:
        """Serve until SIGTERM.

        Raises: RuntimeAPIError when there is no Runtime API any more; SystemExit and
        KeyboardInterrupt of the function, which was reported.
        """
        self._tasks_left_behind("")  # what start-up has left behind is to stay
        next_invocation = self._client.next
        while (invocation := next_invocation()) is not None:
            self._serve(invocation)
            del invocation  # megabytes perhaps, which waiting for the next has no need of
            if self._stop.requested:
                return

    def _serve(self, invocation: Invocation) -> None:
        context = contexts.LambdaContext(invocation)
        contexts.begin(context, alone=True)
        transport = BlockingTransport(self._client, invocation, self._stop)
        self._watchdog.watch(transport, context.get_remaining_time_in_millis() / 1000)
        ending: BaseException | None = None
        try:
            self._call(decode_event(invocation), context, transport)
        except BaseException as error:
            if not transport.has_failed:
                transport.fail(error)
            if isinstance(error, SystemExit | KeyboardInterrupt):
                ending = error
        self._watchdog.release(transport)
        try:
            transport.settle()
        except RuntimeAPIError as error:
            logger.error("request %s: %s", invocation.request_id, error)  # noqa: TRY400
        self._stop.notify = None
        self._tasks_left_behind(invocation.request_id)
        logs.flush()
        if ending is not None:
            raise ending

    def _call_adapter(self, event: Any, context: Any, transport: BlockingTransport) -> None:
        self._hang_up_at_stop(transport)
        self._handler.deliver(event, context, transport)

    def _call_sync(self, event: Any, context: Any, transport: BlockingTransport) -> None:
        # In a context of its own: what a handler sets is not there in the next invocation.
        result = contextvars.copy_context().run(self._handler, event, context)
        if isinstance(result, Coroutine):
            result = self._wait(result, context, transport)
        transport.answer_result(result)

    def _call_async(self, event: Any, context: Any, transport: BlockingTransport) -> None:
        transport.answer_result(self._wait(self._handler(event, context), context, transport))

    def _wait(
        self, coroutine: Coroutine[Any, Any, Any], context: Any, transport: BlockingTransport
    ) -> Any:
        call = HandlerCall(coroutine, context)
        transport.on_broken = call.hang_up
        return process_loop.run(self._run(call, transport))

    async def _run(self, call: HandlerCall, transport: BlockingTransport) -> Any:
        self._hang_up_at_stop(transport)  # only in here there is a loop for it, at the first call
        return await call.run()

    def _hang_up_at_stop(self, transport: BlockingTransport) -> None:
        self._stop.notify = lambda: self._hang_up_soon(transport)
        if self._stop.requested:  # before, or while the event was arriving
            self._hang_up_soon(transport)

    def _hang_up_soon(self, transport: BlockingTransport) -> None:
        # In a signal handler, with the loop perhaps in the middle of something.
        loop = process_loop.current
        if loop is not None:
            loop.call_soon_threadsafe(self._hang_up, transport)

    def _hang_up(self, transport: BlockingTransport) -> None:
        if transport.on_broken is not None:
            transport.on_broken(self._stop.grace_s, REASON)

    def _tasks_left_behind(self, request_id: str) -> None:
        """Log the tasks that an invocation has not awaited: Lambda freezes them now."""
        loop = process_loop.current
        if isinstance(loop, EagerLoop):
            if loop.is_idle() and not loop.has_turned:
                return  # a new task would wait for its first step
            loop.has_turned = False
        tasks = asyncio.all_tasks(loop) if loop is not None else set()
        for task in tasks - self._known if tasks else ():
            if request_id:
                logger.warning(
                    "request %s: left a task behind, which goes on when the next invocation does:"
                    " %r",
                    request_id,
                    task,
                )
        self._known = tasks
