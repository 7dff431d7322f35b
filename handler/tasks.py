"""Tasks and their cancellation."""

from __future__ import annotations

import asyncio
from typing import Any


def is_being_cancelled() -> bool:
    """Whether a ``CancelledError`` comes from outside, and not from the code that raised it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def settle(task: asyncio.Future[Any], *, cancel: bool = True) -> None:
    """Return when ``task`` is done; its outcome is dropped.

    A cancellation that comes meanwhile does not cut the wait short; it is raised afterwards.
    """
    interrupted: asyncio.CancelledError | None = None
    if cancel and not task.done():
        task.cancel()
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            interrupted = error
    if not task.cancelled():
        task.exception()  # retrieved, so that Python does not report it as lost
    if interrupted is not None:
        raise interrupted
