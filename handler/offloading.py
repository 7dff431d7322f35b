"""Blocking work off the event loop, in a thread that is not the request's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from penstock.handler.tasks import settle

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


async def in_thread(function: Callable[..., T], *args: object) -> T:
    """Return ``function(*args)``, called in a thread of the loop's default executor.

    A cancelled caller leaves only when the function has returned: nobody closes a file that a
    thread is still writing to.
    """
    future = asyncio.get_running_loop().run_in_executor(None, function, *args)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await settle(future, cancel=False)
        raise
