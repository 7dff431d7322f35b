"""From the event loop to the request's thread and back."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import asgiref.sync
from asgiref.sync import AsyncToSync, SyncToAsync, sync_to_async

from penstock.handler.threads import Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    CarryOver = Callable[[Context], None]

# What asgiref itself uses to take context variables and its Locals to the other thread. A version
# that does it in another way has no such function: then its own hop is taken.
_carry_over: CarryOver | None = getattr(asgiref.sync, "_restore_context", None)

# The variable that holds asgiref's Local of "async_to_sync is waiting above"; None if it has none.
_variable = getattr(getattr(AsyncToSync.executors, "_storage", None), "_data", None)
_local_data = _variable if isinstance(_variable, ContextVar) else None

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
        or _is_below_async_to_sync()
    ):
        return await sync_to_async(function)(*args, **kwargs)
    return await _Call(lease, _carry_over, function, args, kwargs)  # type: ignore[no-any-return]


def _is_below_async_to_sync() -> bool:
    # A Local that was never set takes 2 µs to say so, its context variable next to nothing.
    if _local_data is not None and _local_data.get(None) is None:
        return False
    return getattr(AsyncToSync.executors, "current", None) is not None


def _cancel_again() -> None:
    """Have the cancellation that was held back raised at the task's next wait; it counts once."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - it was cancelled
    task.uncancel()
    task.cancel()


class _Call:
    """One call on its way, and the future that its task waits for.

    A future of asyncio's, as ``asyncio.isfuture`` describes them, would wake the task a pass of the
    loop later, and it would be cancelled while the function runs. This one refuses: the task then
    keeps the cancellation until the function has ended.
    """

    _asyncio_future_blocking = False
    _ended = False
    _withdrawn = False
    _result: Any = None
    _error: BaseException | None = None
    _wake_up: Callable[[_Call], object] | None = None

    def __init__(
        self,
        lease: Lease,
        carry_over: CarryOver,
        function: Callable[..., Any],
        args: Any,
        kwargs: Any,
    ) -> None:
        self._lease = lease
        self._carry_over = carry_over
        self._function = function
        self._args = args
        self._kwargs = kwargs
        self._context = copy_context()
        self._loop = asyncio.get_running_loop()
        # Tasks that async_to_sync started on the loop for the function; asgiref fills it.
        self._tasks: list[asyncio.Task[Any]] = []

    def __await__(self) -> Generator[_Call, None, Any]:
        interrupted = False
        self._lease.post(self)
        while not self._ended:
            self._asyncio_future_blocking = True
            try:
                yield self
            except asyncio.CancelledError:
                if self._withdrawn:
                    raise
                interrupted = True
        if interrupted:
            _cancel_again()
        self._carry_over(self._context)
        if self._error is None:
            return self._result
        try:
            raise self._error
        finally:
            self._error = None  # the traceback holds this frame, and it the error

    # What the task asks of a future.

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop that the call comes back to."""
        return self._loop

    def add_done_callback(self, wake_up: Callable[[_Call], object], *, context: Context) -> None:
        """Call ``wake_up`` when the call is back."""
        self._wake_up, self._context_of_task = wake_up, context

    def cancel(self, msg: Any = None) -> bool:
        """Take the call back if it still waits for a thread; else cancel what it waits for."""
        if self._lease.withdraw(self):
            self._withdrawn = True
            self._loop.call_soon(self._come_back)
            return True
        for task in self._tasks:
            task.cancel()
        return False

    def result(self) -> None:
        """Raise if the call was taken back."""
        if self._withdrawn:
            raise asyncio.CancelledError

    # On the thread, and back.

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
        wake_up, self._wake_up = self._wake_up, None
        if wake_up is not None:
            self._context_of_task.run(wake_up, self)
