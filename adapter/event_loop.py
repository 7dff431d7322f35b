"""The event loop of synchronous callers: one for the life of the process."""

from __future__ import annotations

import asyncio
import atexit
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


class EagerLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop, and a short way for a coroutine that ends without having waited.

    Most invocations are such a coroutine, and a turn of the loop costs more than all else that
    penstock does for them: docs/adr/0008.
    """

    _stepping = False
    has_turned = False
    """Whether it has run since somebody set this to False: then tasks may wait for anything."""
    quiet = 1
    """How many watched descriptors no task waits for: the loop's own, which wakes it up."""

    def __init__(self) -> None:
        super().__init__()
        self._callbacks: Any = self._ready  # type: ignore[attr-defined]
        self._watched = self._selector.get_map()  # type: ignore[attr-defined]
        self._hooks: Any = (
            self._asyncgen_firstiter_hook,  # type: ignore[attr-defined]
            self._asyncgen_finalizer_hook,  # type: ignore[attr-defined]
        )

    def is_running(self) -> bool:
        """Whether the loop runs, or a coroutine has been started on it and not come back yet."""
        return self._stepping or super().is_running()

    def run_forever(self) -> None:
        """Run until stopped."""
        self.has_turned = True
        super().run_forever()

    def is_idle(self) -> bool:
        """Whether a turn would find nothing to do: no callback, timer, signal handler or socket."""
        return not (
            self._callbacks
            or self._scheduled  # type: ignore[attr-defined]
            or self._signal_handlers  # type: ignore[attr-defined]
            or len(self._watched) > self.quiet
            or self._debug  # type: ignore[attr-defined]
        )

    def start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Make a task of the coroutine, and run it until it waits for something or ends."""
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(*self._hooks)
        asyncio._set_running_loop(self)  # noqa: SLF001 - documented, for event loops
        self._stepping = True
        try:
            if sys.version_info >= (3, 12):
                return asyncio.Task(coroutine, loop=self, eager_start=True)
            task = asyncio.Task(coroutine, loop=self)
            self._callbacks.pop()._run()  # noqa: SLF001 - the first step, which it has just added
            return task
        finally:
            self._stepping = False
            asyncio._set_running_loop(None)  # noqa: SLF001
            sys.set_asyncgen_hooks(*hooks)


class ProcessLoop:
    """Lends the event loop to one caller at a time, between ``acquire`` and ``release``.

    Attributes: ``current``, the loop, None before its first use; ``shared``, the same while it
    serves several invocations at once, so that nobody can have it alone; ``reserved``, true if
    penstock's runtime has the process and will start applications on this loop itself.
    """

    current: asyncio.AbstractEventLoop | None = None
    shared: asyncio.AbstractEventLoop | None = None
    reserved = False
    _reader: tuple[int, Callable[[], object]] | None = None

    def __init__(self) -> None:
        lock = threading.Lock()
        self._wait = lock.acquire
        self.release = lock.release

    def acquire(self) -> asyncio.AbstractEventLoop:
        """Return the loop; a second thread waits for its turn.

        Raises: RuntimeError inside a running event loop, where waiting would stop that loop.
        """
        if is_loop_running():
            raise RuntimeError(
                "called from a running event loop, expected a synchronous caller:"
                " use `await adapter.handle(event, context)` here"
            )
        self._wait()
        loop = self.current
        if loop is None or loop.is_closed():
            try:
                loop = self.current = _current_or_new_loop()
                self._watch(loop)
            except BaseException:
                self.release()
                raise
            atexit.register(_end_tasks, loop)
        return loop

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what the coroutine returns, run on the loop."""
        loop = self.acquire()
        try:
            return loop.run_until_complete(coroutine)
        finally:
            self.release()

    def watch(self, fd: int, callback: Callable[[], object]) -> None:
        """Call back when the descriptor is readable and the loop runs, this one or any after it."""
        self._reader = fd, callback
        if self.current is not None and not self.current.is_closed():
            self._watch(self.current)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._reader is not None:
            loop.add_reader(*self._reader)
            if isinstance(loop, EagerLoop):
                loop.quiet += 1


def start(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, None]
) -> asyncio.Task[None]:
    """Make a task of the coroutine and give it its first step, with all else that is ready."""
    if isinstance(loop, EagerLoop) and loop.is_idle():
        return loop.start(coroutine)
    task = loop.create_task(coroutine)
    loop.stop()
    loop.run_forever()  # one turn
    return task


def is_loop_running() -> bool:
    """Whether an event loop is running in this thread."""
    return asyncio._get_running_loop() is not None  # noqa: SLF001 - documented, raises nothing


def _current_or_new_loop() -> asyncio.AbstractEventLoop:
    # A module that ran `loop.run_until_complete(connect())` at import has tied its clients to the
    # current loop, so that one is used if there is one.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        policy: Any = asyncio.get_event_loop_policy()
        current = getattr(getattr(policy, "_local", None), "_loop", None)
        if current is not None and not current.is_closed():
            return current  # type: ignore[no-any-return]
        is_default = type(policy) is asyncio.DefaultEventLoopPolicy
    if is_default and sys.platform != "win32":
        loop: asyncio.AbstractEventLoop = EagerLoop()
    else:
        loop = asyncio.new_event_loop()  # of an event loop that the application has chosen
    asyncio.set_event_loop(loop)
    return loop


def _end_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what is left, as asyncio.run does; Lambda kills a process, so this is for others."""
    if not loop.is_closed() and not loop.is_running():
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks, timeout=1))


process_loop = ProcessLoop()
