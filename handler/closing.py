"""Calling what a response has to have called when it is done with."""

from __future__ import annotations

import inspect
import logging
from io import FileIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Closer = Callable[[], object]

logger = logging.getLogger("penstock.request")


def call_closers(closers: list[Closer]) -> None:
    """Call each in order; errors are logged, and the next one is called.

    Async ones run on an event loop of their own, or on that of the request whose thread this is;
    on the loop's own thread they cannot, which is such an error.
    """
    for closer in closers:
        try:
            if _is_async(closer):
                from asgiref.sync import async_to_sync

                async_to_sync(_awaited)(closer)
            else:
                closer()
        except Exception:
            logger.exception("a closer of a response failed: %r", closer)


async def acall_closers(closers: list[Closer]) -> None:
    """Do the same from async code: adjacent sync ones in one hop to the request's thread.

    Each is called even if the task is cancelled meanwhile; that is raised at the end.
    """
    interrupted: BaseException | None = None
    while closers:
        first = closers[0]
        try:
            if _is_async(first):
                del closers[0]
                await _awaited(first)
            else:
                count = next((i for i, one in enumerate(closers) if _is_async(one)), len(closers))
                run, closers = closers[:count], closers[count:]
                await _call_sync(run)
        except Exception:
            logger.exception("a closer of a response failed: %r", first)
        except BaseException as error:
            interrupted = error
    if interrupted is not None:
        raise interrupted


async def _call_sync(closers: list[Closer]) -> None:
    if all(isinstance(getattr(closer, "__self__", None), FileIO) for closer in closers):
        call_closers(closers)  # closing a file that was only read from waits for nothing
        return
    from penstock.handler.hops import in_request_thread

    await in_request_thread(call_closers, closers)


def _is_async(closer: Closer) -> bool:
    """True for coroutine functions, for ``aclose`` of an async generator, and for async objects."""
    if inspect.iscoroutinefunction(closer):
        return True
    owner = getattr(closer, "__self__", None)
    return inspect.isasyncgen(owner) or inspect.iscoroutinefunction(
        getattr(closer, "__call__", None)  # noqa: B004 - the method's kind is asked for
    )


async def _awaited(closer: Callable[[], Any]) -> None:
    await closer()
