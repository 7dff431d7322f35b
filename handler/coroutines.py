"""What is a coroutine function, in every disguise."""

from __future__ import annotations

import inspect
import sys
from functools import partial
from typing import Any

if sys.version_info >= (3, 12):
    _is_marked = inspect.iscoroutinefunction
else:
    # asgiref marks with asyncio's mark before Python 3.12, which inspect does not know.
    from asyncio import iscoroutinefunction as _is_marked


def is_async_callable(function: Any) -> bool:
    """Whether calling it gives an awaitable.

    Coroutine functions, partials of them, marked callables, and instances whose class defines
    ``async def __call__``.
    """
    while isinstance(function, partial):
        function = function.func
    if _is_marked(function):
        return True
    return not isinstance(function, type) and inspect.iscoroutinefunction(
        getattr(type(function), "__call__", None)  # noqa: B004
    )


def close_coroutine(value: Any) -> bool:
    """Close a coroutine that nobody awaited, without Python's warning; whether it was one."""
    if not inspect.iscoroutine(value):
        return False
    value.close()
    return True
