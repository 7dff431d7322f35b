"""One execution environment: invocations go in, a runtime takes them, answers come out.

It knows the clock and leaves the order of things to the state machines; HTTP and the runtime's
process are not its business.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from penstock.infra.runtime_api.extensions import Extension, Extensions
from penstock.infra.runtime_api.invocation import FunctionError, Invocation
from penstock.infra.runtime_api.log import LogRecord
from penstock.infra.runtime_api.machine import (
    INIT_ERROR,
    RESTORE_ERROR,
    RESTORE_NEXT,
    RESTORED,
    ManyAtOnce,
    OneAtATime,
)
from penstock.infra.runtime_api.refusals import INVALID_MODE
from penstock.infra.runtime_api.running import Running

if TYPE_CHECKING:
    from collections.abc import Hashable

    from penstock.infra.runtime_api.invocation import Call
    from penstock.infra.runtime_api.log import FunctionLog
    from penstock.infra.runtime_api.machine import Machine
    from penstock.infra.runtime_api.settings import Settings


class Keeper(Protocol):
    """Who starts and ends the runtime, told by the environment what happens."""

    def needed(self, running: Running) -> None:
        """An invocation waits for the runtime."""

    def initialised(self) -> None:
        """The runtime has asked for its first event, and all extensions for theirs."""

    def init_failed(self) -> None:
        """The runtime has reported that it could not initialise."""

    def timed_out(self) -> None:
        """An invocation has reached its deadline, and the runtime is to be replaced."""

    def idle(self) -> None:
        """There is nothing to do for the runtime and its extensions."""


class Environment:
    """Runs one function in one place.

    ``init_error`` is the failure of the last initialisation, where no invocation was there to get
    it. ``keeper`` is set by whoever keeps the runtime.
    """

    keeper: Keeper

    def __init__(self, settings: Settings, log: FunctionLog) -> None:
        self.settings = settings
        self.log = log
        self.init_error: FunctionError | None = None
        self._queue: deque[Running] = deque()
        self._running: dict[Invocation, Running] = {}
        self._waiting: dict[Hashable, asyncio.Future[Any]] = {}
        self._ready = asyncio.Event()
        self._restore_poller: Hashable | None = None
        self._machine: Machine
        self.extensions: Extensions
        self._renew()

    def _renew(self) -> None:
        concurrency = self.settings.concurrency
        self._machine = OneAtATime() if concurrency is None else ManyAtOnce(concurrency)
        self.extensions = Extensions(
            external=self.settings.external_extensions, invoke_events=concurrency is None
        )
        self._ready.clear()
        self.is_initialised = False
        self._init_has_failed = False

    # The caller's side

    def submit(self, call: Call) -> Running:
        """Take an invocation; its answer ends in any case."""
        invocation = Invocation(
            call,
            self.settings.function_arn,
            str(uuid.uuid4()) if self.settings.invocation_ids else "",
            submitted_at=self._now(),
        )
        running = Running(invocation)
        if any(other.invocation.request_id == call.request_id for other in self._all()):
            running.fail("Client.DuplicatedInvokeId", "invoke ID already exists")
            return running
        busy = self.is_initialised and not self._machine.free_pollers
        if busy and self.settings.refuses_when_busy:
            running.fail("Runtime.Unavailable", "no idle runtimes")
            return running
        self._queue.append(running)
        self.keeper.needed(running)
        self._deliver()
        return running

    def _all(self) -> list[Running]:
        return [*self._queue, *(r for r in self._running.values() if not r.answer.has_ended)]

    async def ready(self) -> None:
        """Return when the runtime waits for an event, with all of its slots."""
        await self._ready.wait()

    def _deliver(self) -> None:
        """Hand out what waits, as far as the runtime and the extensions wait for it."""
        if not self._can_deliver():
            return
        if not self.is_initialised:
            self.is_initialised = True
            self.init_error = None
            self.keeper.initialised()
        if self._machine.free_pollers >= (self.settings.concurrency or 1):
            self._ready.set()
            if not self._queue:
                self.keeper.idle()
        while self._queue and self._can_deliver():
            running = self._queue.popleft()
            poller = self._machine.deliver(running.invocation)
            self._running[running.invocation] = running
            self.begin_clock(running)
            running.invocation.delivered_at = self._now()
            running.log_position = len(self.log.records)
            self.log.note_start(running.invocation.request_id)
            self._tell_extensions(running.invocation)
            self._ready.clear()
            self._wake(poller, running.invocation)

    def _can_deliver(self) -> bool:
        return self.extensions.all_waiting and self._machine.free_pollers > 0

    def begin_clock(self, running: Running) -> None:
        """Let an invocation's time run from now on, unless it does already."""
        if running.timer is None:
            timeout = running.invocation.call.timeout_s
            running.invocation.deadline_ms = int((time.time() + timeout) * 1000)
            loop = asyncio.get_running_loop()
            running.timer = loop.call_later(timeout, self.expire, running)

    def _tell_extensions(self, invocation: Invocation) -> None:
        event: dict[str, Any] = {
            "eventType": "INVOKE",
            "deadlineMs": invocation.deadline_ms,
            "requestId": invocation.request_id,
            "invokedFunctionArn": invocation.function_arn,
        }
        if invocation.call.trace_id:
            event["tracing"] = {"type": "X-Amzn-Trace-Id", "value": invocation.call.trace_id}
        self.publish(event)

    def publish(self, event: dict[str, Any]) -> None:
        """Give an event to the extensions that asked for its type."""
        for poller in self.extensions.publish(event):
            self._wake(poller, event)

    def _wake(self, poller: Hashable, value: object) -> None:
        future = self._waiting.pop(poller, None)
        if future is not None and not future.done():
            future.set_result(value)

    # The runtime's side

    def poll(self, poller: Hashable) -> Invocation | asyncio.Future[Invocation]:
        """Take a request for an event; a future where it has to wait. Raises: Refused."""
        invocation = self._machine.poll(poller)
        if invocation is not None:
            return invocation
        self._finish_previous()
        self.extensions.open = False
        future = self._wait(poller)
        self._deliver()
        return future

    def poll_extension(
        self, extension: Extension, poller: Hashable
    ) -> dict[str, Any] | asyncio.Future[dict[str, Any]]:
        """Take an extension's request for an event; a future where it has to wait."""
        event = self.extensions.poll(extension, poller)
        if event is not None:
            return event
        future = self._wait(poller)
        self._deliver()
        return future

    def not_delivered(self, invocation: Invocation) -> None:
        """The connection ended before the event had left.

        A classic runtime asks again and gets it; with several slots nobody else may have it.
        """
        running = self._running.get(invocation)
        if self.settings.concurrency is not None and running is not None:
            self._fail(running, "Sandbox.Failure", "the event could not be sent to the runtime")
            self._machine.sent(invocation)
            self._forget_running(running)

    def _wait(self, poller: Hashable) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[poller] = future
        return future

    def forget(self, poller: Hashable) -> None:
        """Take back a request for an event: its connection is gone."""
        self._waiting.pop(poller, None)
        self._machine.forget(poller)
        self.extensions.forget(poller)

    def _finish_previous(self) -> None:
        """A classic runtime that asks for the next event is done with the one before."""
        if self.settings.concurrency is not None:
            return
        for invocation, running in list(self._running.items()):
            if running.answer.has_ended:
                invocation.ended_at = self._now()
                self._forget_running(running)

    def _forget_running(self, running: Running) -> None:
        running.stop_clock()
        running.ended.set()
        invocation = running.invocation
        self._running.pop(invocation, None)
        if invocation.delivered_at is not None:
            seconds = self._now() - invocation.delivered_at
            self.log.note_end(invocation.request_id, seconds, self.settings.memory_mb)

    def begin_post(self, step: str, request_id: str, invocation_id: str) -> Running:
        """Return what a post (``RESPONSE`` or ``ERROR``) is about. Raises: Refused."""
        return self._running[self._machine.begin(step, request_id, invocation_id)]

    def end_post(self, running: Running, error: FunctionError | None = None) -> None:
        """The post is complete: the caller gets the end of its answer."""
        if running.answer.has_ended:
            return
        self._machine.sent(running.invocation)
        running.invocation.answered_at = self._now()
        running.answer.end(error)
        if self.settings.concurrency is not None:
            self._forget_running(running)

    def refuse_mode(self, running: Running) -> None:
        """The runtime has named a response mode that there is not.

        A classic runtime is stuck then, as with AWS: it gets no event before the deadline.
        """
        error = FunctionError.of_platform("Runtime.InvalidResponseModeHeader", INVALID_MODE.message)
        if self.settings.concurrency is None:
            running.answer.end(error)
        else:
            self.end_post(running, error)

    def expire(self, running: Running) -> None:
        """Do what happens at an invocation's deadline, whatever the clock says."""
        if running.ended.is_set():
            return
        running.stop_clock()
        if running in self._queue:
            self._queue.remove(running)
        if not running.answer.has_ended:
            seconds = running.invocation.call.timeout_s
            message = f"Task timed out after {seconds:.2f} seconds"
            self._fail(running, "Sandbox.Timedout", message)
        if self.settings.concurrency is None:
            self.keeper.timed_out()
            return
        self._machine.expire(running.invocation)
        self._forget_running(running)
        if running.cut_off is not None:
            running.cut_off()

    def _fail(self, running: Running, error_type: str, message: str) -> None:
        request_id = running.invocation.request_id
        text = f"RequestId: {request_id} Error: {message}"
        self.log.add(LogRecord("platform", f"{request_id} {message}"))
        running.answer.end(FunctionError.of_platform(error_type, text))

    def fail_init(self, error: FunctionError) -> None:
        """Take the runtime's report that it could not initialise. Raises: Refused."""
        self._machine.step(INIT_ERROR)
        self._end_init(error)
        self.keeper.init_failed()

    def _end_init(self, error: FunctionError) -> None:
        """Give the failure of an initialisation to the invocation that waits, if there is one."""
        self._init_has_failed = True
        self.init_error = error
        if self._queue and not self.is_initialised:
            self._queue.popleft().end(error)
            self.init_error = None

    # SnapStart, which classic functions have only

    def poll_restore(self, poller: Hashable) -> asyncio.Future[Any]:
        """Take the request that waits for the restored snapshot. Raises: Refused."""
        self._machine.step(RESTORE_NEXT)
        self._restore_poller = poller
        self.keeper.initialised()
        self._ready.set()
        return self._wait(poller)

    def restoring(self) -> Hashable:
        """Return the poller that waits for the restore. Raises: RuntimeError if there is none."""
        if self._restore_poller is None:
            raise RuntimeError("expected a runtime that waits at /restore/next, got none")
        return self._restore_poller

    def restore(self) -> None:
        """Let the restored runtime go on. Raises: RuntimeError if there is none."""
        poller = self.restoring()
        self._restore_poller = None
        self._machine.step(RESTORED)
        self._ready.clear()
        self._wake(poller, None)

    def fail_restore(self, error: FunctionError) -> None:
        """Take the runtime's report that its work after the restore failed. Raises: Refused."""
        self._machine.step(RESTORE_ERROR)
        self._end_init(error)

    # The keeper's side

    @property
    def queued(self) -> Running | None:
        """The invocation that waits for the runtime, if there is one."""
        return self._queue[0] if self._queue else None

    def end_runtime(self, error_type: str, message: str, *, replaced: bool = False) -> None:
        """The runtime is gone: what it was doing has failed, and a new one begins afresh.

        Unless it is being replaced, an invocation that waited for its initialisation fails too.
        """
        for running in list(self._running.values()):
            if not running.answer.has_ended:
                self._fail(running, error_type, message)
            self._forget_running(running)
        to_blame = not (replaced or self.is_initialised or self._init_has_failed)
        if to_blame and self._queue:
            request_id = self._queue[0].invocation.request_id
            text = f"RequestId: {request_id} Error: {message}"
            self._end_init(FunctionError.of_platform(error_type, text))
        for future in self._waiting.values():
            future.cancel()
        self._waiting.clear()
        self._renew()

    def close(self) -> None:
        """End everything that has not ended yet, with an error."""
        message = "the execution environment has been shut down"
        self.end_runtime("Sandbox.Failure", message, replaced=True)
        while self._queue:
            self._queue.popleft().fail("Sandbox.Failure", message)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
