"""Tasks and their cancellation."""

from __future__ import annotations

import asyncio
from typing import Any


def is_being_cancelled() -> bool:
    """Whether the current task was cancelled; ``uncancel``, as of a timeout, takes that back."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def comes_from_outside(error: BaseException) -> bool:
    """Whether it is a cancellation of the task, and no failure of the code that raised it."""
    return isinstance(error, asyncio.CancelledError) and is_being_cancelled()


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
