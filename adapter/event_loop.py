"""The event loop of synchronous callers: one for the life of the process."""

from __future__ import annotations

import asyncio
import atexit
import threading
import warnings


class ProcessLoop:
    """Lends the event loop to one caller at a time, between ``acquire`` and ``release``."""

    def __init__(self) -> None:
        lock = threading.Lock()
        self._wait = lock.acquire
        self.release = lock.release
        self._loop: asyncio.AbstractEventLoop | None = None

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
        loop = self._loop
        if loop is None or loop.is_closed():
            try:
                loop = self._loop = _current_or_new_loop()
            except BaseException:
                self.release()
                raise
            atexit.register(_end_tasks, loop)
        return loop


def is_loop_running() -> bool:
    """Whether an event loop is running in this thread."""
    return asyncio._get_running_loop() is not None  # noqa: SLF001 - documented, raises nothing


def _current_or_new_loop() -> asyncio.AbstractEventLoop:
    # A module that ran `loop.run_until_complete(connect())` at import has tied its clients to the
    # current loop, so that one is used if there is one.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            loop = asyncio.get_event_loop()
        if not loop.is_closed():
            return loop
    except RuntimeError:
        pass
    loop = asyncio.new_event_loop()
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
