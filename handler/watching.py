"""Which requests have lasted long enough for somebody to listen for their disconnects.

A timer for each request would cost more than most small requests have to spare; this is one timer
for all that an event loop serves, and none while it serves nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import asyncio

    from penstock.handler.supervision import Supervision

# Seconds between two looks: a request is listened to after one to two of these.
PERIOD = 0.005


class Watch:
    """The young requests of one event loop."""

    # It holds no reference to its loop, which is collected with it.

    def __init__(self) -> None:
        self._new: dict[Supervision, None] = {}
        self._seen: dict[Supervision, None] = {}
        self._is_set = False

    def add(self, request: Supervision, loop: asyncio.AbstractEventLoop) -> None:
        """Call the request's ``listen`` in a while, unless it is removed before."""
        self._new[request] = None
        if not self._is_set:
            self._is_set = True
            loop.call_later(PERIOD, self._look, loop)

    def remove(self, request: Supervision) -> None:
        """The request is over."""
        if self._new.pop(request, self) is self:
            self._seen.pop(request, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        old, self._seen, self._new = self._seen, self._new, {}
        for request in old:
            request.listen()
        self._is_set = bool(self._seen)
        if self._is_set:
            loop.call_later(PERIOD, self._look, loop)


_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, Watch] = WeakKeyDictionary()


def watch_of(loop: asyncio.AbstractEventLoop) -> Watch:
    """The one watch of this event loop."""
    watch = _watches.get(loop)
    if watch is None:
        watch = _watches[loop] = Watch()
    return watch
