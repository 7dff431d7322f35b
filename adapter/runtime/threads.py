"""Ordinary ``def`` handlers, several at once: each call in a thread."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.adapter.runtime.context import LambdaContext

logger = logging.getLogger("penstock")


class HandlerThreads:
    """Threads for ``slots`` calls at once, and for as many that are left behind.

    Each thread has an event loop set, as the main thread has for a handler that is alone.
    """

    def __init__(self, handler: Callable[[Any, Any], Any], slots: int) -> None:
        self._handler = handler
        self._slots = slots
        self._left_behind = 0
        self._pool = ThreadPoolExecutor(
            2 * slots, thread_name_prefix="penstock handler", initializer=_set_loop
        )

    async def call(self, event: Any, context: LambdaContext) -> Any:
        """Return what the handler returns.

        Raises: what it raises. Cancelled, it leaves the thread behind, and raises SystemExit once
        there are as many of those as slots, so that Lambda replaces the process.
        """
        identity: list[int] = []
        call = asyncio.get_running_loop().run_in_executor(
            self._pool, contextvars.copy_context().run, self._run, identity, event, context
        )
        try:
            await asyncio.wait({call})  # which does not cancel it
        except asyncio.CancelledError:
            self._leave_behind(call, identity)
            raise
        return call.result()

    def _leave_behind(self, call: asyncio.Future[Any], identity: list[int]) -> None:
        frame = sys._current_frames().get(identity[0]) if identity else None  # noqa: SLF001
        logger.error(
            "the handler has not returned in time; a thread cannot be cancelled, and is left"
            " behind, at\n%s",
            "".join(traceback.format_stack(frame)) if frame is not None else "(not started)",
        )
        self._left_behind += 1
        call.add_done_callback(self._came_back)
        if self._left_behind >= self._slots:
            logger.error("all threads are stuck: this process ends, and Lambda starts another")
            raise SystemExit(1)

    def _run(self, identity: list[int], event: Any, context: LambdaContext) -> Any:
        identity.append(threading.get_ident())
        return self._handler(event, context)

    def _came_back(self, call: asyncio.Future[Any]) -> None:
        self._left_behind -= 1
        call.exception()  # nobody waits for it any more


def _set_loop() -> None:
    asyncio.set_event_loop(asyncio.new_event_loop())
