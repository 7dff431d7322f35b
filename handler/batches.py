"""A sync iterator, pulled in the request's thread: many parts to a hop, few parts in memory."""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Any

from penstock.handler.hops import in_request_thread
from penstock.handler.tasks import settle

if TYPE_CHECKING:
    from collections.abc import Iterator

# A hop ends after so many bytes or seconds, whichever comes first.
_BATCH_BYTES = 65_536
_BATCH_SECONDS = 0.005
# How long a part may wait for the next one, in seconds; the longer the slower the iterator.
_LONGEST_NAP = 0.05


class SyncParts:
    """An async iterator over batches (lists) of parts; one part at least in each.

    A part that is there is passed on within 50 ms, also while the iterator blocks on the next.
    An error of the iterator comes after the parts before it. ``aclose`` waits for the thread.
    """

    def __init__(self, iterator: Iterator[Any]) -> None:
        self._iterator = iterator
        self._ready: deque[Any] = deque()
        self._ended = False
        self._error: BaseException | None = None
        self._stop = False
        self._hop: asyncio.Task[None] | None = None

    def __aiter__(self) -> SyncParts:
        return self

    async def __anext__(self) -> list[Any]:
        nap = _BATCH_SECONDS
        while True:
            if self._hop is None and not self._ended:
                self._hop = asyncio.ensure_future(in_request_thread(self._fill))
            if self._hop is not None:
                await asyncio.wait({self._hop}, timeout=nap)
                if self._hop.done():
                    hop, self._hop = self._hop, None
                    hop.result()
            batch = [self._ready.popleft() for _ in range(len(self._ready))]
            if batch:
                return batch
            if self._ended and self._hop is None:
                if self._error is not None:
                    error, self._error = self._error, None
                    raise error
                raise StopAsyncIteration
            nap = min(nap * 2, _LONGEST_NAP)

    def _fill(self) -> None:
        size = 0
        end = perf_counter() + _BATCH_SECONDS
        try:
            for part in self._iterator:
                self._ready.append(part)
                size += len(part)
                if size >= _BATCH_BYTES or self._stop or perf_counter() >= end:
                    return
        except BaseException as error:
            self._error = error
        self._ended = True

    async def aclose(self) -> None:
        """Wait until the thread has left the iterator; closing that is its owner's task."""
        self._stop = True
        if self._hop is not None:
            await settle(self._hop)
        self._ready.clear()
