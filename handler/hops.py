"""From the event loop to the request's thread and back."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import asgiref.sync
from asgiref.sync import AsyncToSync, SyncToAsync, sync_to_async

from penstock.handler.threads import Lease

if TYPE_CHECKING:
    from collections.abc import Callable

    CarryOver = Callable[[Context], None]

# What asgiref itself uses to take context variables and its Locals to the other thread. A version
# that does it in another way has no such function: then its own hop is taken.
_carry_over: CarryOver | None = getattr(asgiref.sync, "_restore_context", None)

P = ParamSpec("P")
T = TypeVar("T")
_threadlocal = SyncToAsync.threadlocal


async def in_request_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a sync function on this request's thread; context variables go along and come back.

    It does what ``sync_to_async(function)(...)`` does, at half the price, and hands over to it
    where it cannot: below ``async_to_sync``, outside a request, while an exception is handled.
    Other than there, a cancellation waits for the function to end; what it returns is returned, so
    that it is not lost, and the cancellation is raised where the task waits next.
    """
    scope = SyncToAsync.thread_sensitive_context.get(None)
    lease = None if scope is None else SyncToAsync.context_to_thread_executor.get(scope)
    if (
        _carry_over is None
        or not isinstance(lease, Lease)
        or sys.exc_info()[1] is not None
        or getattr(AsyncToSync.executors, "current", None) is not None
    ):
        return await sync_to_async(function)(*args, **kwargs)
    return await _Call(function, args, kwargs, _carry_over).over(lease)  # type: ignore[no-any-return]


def _cancel_again() -> None:
    """Have the cancellation that was held back raised at the task's next wait; it counts once."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - it was cancelled
    task.uncancel()
    task.cancel()


class _Call:
    """One call on its way."""

    def __init__(
        self,
        function: Callable[..., Any],
        args: Any,
        kwargs: Any,
        carry_over: CarryOver,
    ) -> None:
        self._carry_over = carry_over
        self._function = function
        self._args = args
        self._kwargs = kwargs
        self._context = copy_context()
        self._loop = asyncio.get_running_loop()
        self._back = self._loop.create_future()
        self._ended = False
        self._result: Any = None
        self._error: BaseException | None = None
        # Tasks that async_to_sync started on the loop for the function; asgiref fills it.
        self._tasks: list[asyncio.Task[Any]] = []

    async def over(self, lease: Lease) -> Any:
        interrupted = False
        lease.post(self)
        while not self._back.done() or self._back.cancelled():
            try:
                await self._back
            except asyncio.CancelledError:
                if lease.withdraw(self):
                    raise
                interrupted = True
                for task in self._tasks:
                    task.cancel()
                self._back = self._loop.create_future()
                if self._ended:
                    break
        if interrupted:
            _cancel_again()
        self._carry_over(self._context)
        if self._error is None:
            return self._result
        try:
            raise self._error
        finally:
            self._error = None  # the traceback holds this frame, and it the error

    def done(self) -> bool:
        """Whether the function has ended."""
        return self._ended

    def run(self) -> None:
        """Call the function on the thread that this is called on."""
        # By these async_to_sync finds the way back to the loop.
        _threadlocal.main_event_loop = self._loop
        _threadlocal.main_event_loop_pid = os.getpid()
        _threadlocal.task_context = self._tasks
        try:
            self._result = self._context.run(self._inside)
        except BaseException as error:
            self._error = error
        self._ended = True
        with suppress(RuntimeError):  # the loop was closed, and nobody waits
            self._loop.call_soon_threadsafe(self._come_back)

    def _inside(self) -> Any:
        self._carry_over(self._context)
        return self._function(*self._args, **self._kwargs)

    def _come_back(self) -> None:
        if not self._back.done():
            self._back.set_result(None)
