"""Threads for sync code: leased to a request and given back, so they survive it.

All thread-sensitive work of one request runs on one thread, and never two requests at once on the
same. A new thread per request would cost several times a hop and lose every thread-local resource,
such as a database connection.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any, TypeVar

from asgiref.sync import ThreadSensitiveContext

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor

    T = TypeVar("T")

_TAKES_EXECUTOR = "executor" in (ThreadSensitiveContext.__init__.__kwdefaults__ or {})


class thread_scope:  # noqa: N801
    """``async with thread_scope(pool)``: thread-sensitive work inside runs on one leased thread.

    No thread exists until sync code runs. asgiref before 3.13 takes no executor: there each scope
    has a thread of its own.
    """

    __slots__ = ("_context", "_lease")

    def __init__(self, pool: ThreadPool) -> None:
        if _TAKES_EXECUTOR:
            self._lease: Lease | None = Lease(pool)
            self._context = ThreadSensitiveContext(executor=self._lease)
        else:
            self._lease = None
            self._context = ThreadSensitiveContext()

    async def __aenter__(self) -> None:
        await self._context.__aenter__()

    async def __aexit__(self, *exc_info: object) -> None:
        await self._context.__aexit__(*exc_info)
        if self._lease is not None:
            self._lease.release()


class ThreadPool:
    """At most ``limit`` threads, the last one given back leased first.

    A request beyond the limit waits for a thread without blocking the loop.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._idle: list[ThreadPoolExecutor] = []
        self._all: list[ThreadPoolExecutor] = []
        self._waiting: deque[Lease] = deque()

    @property
    def size(self) -> int:
        """Threads that exist."""
        return len(self._all)

    def take(self, lease: Lease) -> ThreadPoolExecutor | None:
        """A thread for the lease; or None, and the lease is served when one is given back."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if len(self._all) >= self.limit:
                self._waiting.append(lease)
                return None
            from concurrent.futures import ThreadPoolExecutor

            name = f"penstock-sync-{len(self._all)}"
            worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
            self._all.append(worker)
            return worker

    def give_back(self, worker: ThreadPoolExecutor) -> None:
        """Take back an idle thread, and serve who waits longest."""
        with self._lock:
            lease = self._waiting.popleft() if self._waiting else None
            if lease is None:
                if worker in self._all:
                    self._idle.append(worker)
                return
        lease.serve(worker)

    def shutdown(self) -> None:
        """Stop the threads when they are idle, without waiting for them; the pool may go on."""
        with self._lock:
            workers, self._all, self._idle = self._all, [], []
        for worker in workers:
            worker.shutdown(wait=False)


class Lease(Executor):
    """One request's thread, taken from the pool at its first sync call."""

    def __init__(self, pool: ThreadPool) -> None:
        self._pool = pool
        self._worker: ThreadPoolExecutor | None = None
        self._last: Future[Any] | None = None
        self._queue: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._waits = False
        self._released = False
        self._lock = threading.Lock()

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run ``fn`` on this request's thread, after what was submitted before."""
        worker = self._worker
        if worker is None and not self._waits:
            # Set first: another thread may serve this lease as soon as the pool knows of it.
            self._waits = True
            worker = self._pool.take(self)
            if worker is not None:
                self._waits, self._worker = False, worker
        if worker is None or self._queue:
            return self._enqueue(fn, args, kwargs)
        self._last = future = worker.submit(fn, *args, **kwargs)
        return future

    def _enqueue(
        self, fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Future[T]:
        future: Future[T] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        with self._lock:
            if self._worker is None:
                self._queue.append((future, call))
            else:
                self._last = self._worker.submit(call)
        return future

    def serve(self, worker: ThreadPoolExecutor) -> None:
        """The pool has a thread now: run what waits for it."""
        with self._lock:
            self._worker, self._waits = worker, False
            while self._queue:
                self._last = worker.submit(self._queue.popleft()[1])
            released = self._released
        if released:
            self.release()

    def release(self) -> None:
        """Give the thread back, once it is idle; never blocks."""
        with self._lock:
            self._released = True
            worker = self._worker
        if worker is None:
            return  # never taken, or still waiting: `serve` comes back here
        last = self._last
        if last is None or last.done():
            self._pool.give_back(worker)
        else:
            last.add_done_callback(lambda _: self._pool.give_back(worker))
