"""The event loop of synchronous callers: one for the life of the process."""

from __future__ import annotations

import asyncio
import threading
import warnings


class ProcessLoop:
    """Lends the event loop to one caller at a time: ``with process_loop as loop``.

    A second thread waits for its turn. Raises: RuntimeError inside a running event loop, where
    waiting would stop that loop.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> asyncio.AbstractEventLoop:
        if asyncio._get_running_loop() is not None:  # noqa: SLF001 - documented, raises nothing
            raise RuntimeError(
                "called from a running event loop, expected a synchronous caller:"
                " use `await adapter.handle(event, context)` here"
            )
        self._lock.acquire()
        if self._loop is None or self._loop.is_closed():
            self._loop = _current_or_new_loop()
        return self._loop

    def __exit__(self, *_: object) -> None:
        self._lock.release()


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


process_loop = ProcessLoop()
