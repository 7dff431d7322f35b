"""Waiting for a task to be over, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any


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
