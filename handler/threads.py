"""Threads for sync code: leased to a request and given back, so they survive it.

All thread-sensitive work of one request runs on one thread, and never two requests at once on the
same. A new thread per request would cost several times a hop and lose every thread-local resource,
such as a database connection.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from asgiref.sync import SyncToAsync, ThreadSensitiveContext

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token

T = TypeVar("T")


class ThreadScope:
    """Between ``enter`` and ``leave`` thread-sensitive work runs on one leased thread.

    No thread exists until sync code runs. A task that outlives the scope gets a thread of its own.
    Also an async context manager.
    """

    __slots__ = ("_context", "_lease", "_token")

    def __init__(self, pool: ThreadPool) -> None:
        self._lease = Lease(pool)
        self._context = ThreadSensitiveContext()
        self._token: Token[Any] | None = None

    def enter(self) -> None:
        """Begin, in the current context."""
        # What ThreadSensitiveContext(executor=...) does since asgiref 3.13, for every version, and
        # at a fifth of its price: it would also hide the thread of a sync caller further up.
        SyncToAsync.context_to_thread_executor[self._context] = self._lease
        self._token = SyncToAsync.thread_sensitive_context.set(self._context)

    def leave(self) -> None:
        """End, in the same context; the thread is given back once it is idle. Never blocks."""
        assert self._token is not None  # noqa: S101 - entered before
        del SyncToAsync.context_to_thread_executor[self._context]
        self._lease.release()
        # Last: it raises for a coroutine that was thrown away, whose context has gone before.
        SyncToAsync.thread_sensitive_context.reset(self._token)

    async def __aenter__(self) -> None:
        self.enter()

    async def __aexit__(self, *exc_info: object) -> None:
        self.leave()


class ThreadPool:
    """At most ``limit`` threads, the last one given back leased first.

    A request beyond the limit waits for a thread without blocking the loop.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.lock = threading.Lock()
        self._idle: list[Worker] = []
        self._all: list[Worker] = []
        self._waiting: deque[Lease] = deque()

    @property
    def size(self) -> int:
        """Threads that exist."""
        return len(self._all)

    def take(self, lease: Lease) -> Worker | None:
        """A thread for the lease; or None, and the lease is served when one is given back.

        The caller holds ``lock``.
        """
        if self._idle:
            return self._idle.pop()
        if len(self._all) >= self.limit:
            self._waiting.append(lease)
            return None
        worker = Worker(f"penstock-sync-{len(self._all)}")
        self._all.append(worker)
        return worker

    def give_back(self, worker: Worker) -> None:
        """Take back an idle thread, and serve who waits longest."""
        with self.lock:
            while self._waiting:
                if self._waiting.popleft().serve(worker):
                    return
            if worker in self._all:
                self._idle.append(worker)
                return
        worker.post(None)  # it was leased when the pool was shut down

    def shutdown(self) -> None:
        """Stop the idle threads, and each leased one when it is given back; never blocks.

        The pool may go on, with new threads.
        """
        with self.lock:
            idle, self._all, self._idle = self._idle, [], []
        for worker in idle:
            worker.post(None)

    def __del__(self) -> None:
        for worker in self._all:  # nobody can ask for them any more
            worker.post(None)


class Worker:
    """A thread that makes one call after the other; the calls must not raise.

    It is a daemon: whoever leaves the loop has waited for its calls, so at the exit it is idle.
    """

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self.post = self._calls.put
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        get = self._calls.get
        while (call := get()) is not None:
            call()
            del call  # or what it holds would live until the next one


class Call(Protocol):
    """Something to do on a thread."""

    def run(self) -> None:
        """Do it; must not raise."""

    def done(self) -> bool:
        """Whether it is over."""


class FutureCall:
    """A call that reports through a ``concurrent.futures.Future``."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.future: Future[Any] = Future()
        self.done = self.future.done
        self._function = function

    def run(self) -> None:
        """Make the call, unless it was cancelled before."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self._function()
        except BaseException as error:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class Lease(Executor):
    """One request's thread, taken from the pool at its first sync call."""

    def __init__(self, pool: ThreadPool) -> None:
        self._pool = pool
        self._worker: Worker | None = None
        self._last: Call | None = None
        self._queue: list[Call] | None = None
        self._released = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run ``fn`` on this request's thread, after what was submitted before."""
        call = FutureCall(partial(fn, *args, **kwargs))
        self.post(call)
        return call.future

    def post(self, call: Call) -> None:
        """Do the call on this request's thread, after what was posted before."""
        worker = self._worker
        if worker is None:
            with self._pool.lock:
                if self._queue is None:
                    self._worker = self._pool.take(self)
                worker = self._worker
                if worker is None:
                    self._queue = [*(self._queue or ()), call]
                    return
        self._last = call
        worker.post(call.run)

    def withdraw(self, call: Call) -> bool:
        """Take back a call that still waits for a thread; whether it did."""
        with self._pool.lock:
            if self._worker is None and self._queue is not None and call in self._queue:
                self._queue.remove(call)
                return True
        return False

    def serve(self, worker: Worker) -> bool:
        """Do what waits, if anything still does; whether the thread was taken. Pool is locked."""
        waiting, self._queue = self._queue, None
        if not waiting:
            return False
        self._worker = worker
        self._last = waiting[-1]
        for call in waiting:
            worker.post(call.run)
        if self._released:
            worker.post(partial(self._pool.give_back, worker))
        return True

    def release(self) -> None:
        """Give the thread back, once it is idle; never blocks."""
        self._released = True
        worker, last = self._worker, self._last
        self._last = None  # which knows this lease
        if worker is None:
            return  # never needed; or still waited for, and then `serve` gives it back
        if last is None or last.done():
            self._pool.give_back(worker)
        else:
            worker.post(partial(self._pool.give_back, worker))
