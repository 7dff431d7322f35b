"""SIGTERM: how Lambda announces the end to a runtime that has registered an extension."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

INVOCATIONS_S: Final = 0.12
"""From SIGTERM to the end of what was under way: the answer has been taken, or never will be."""
SHUTDOWN_S: Final = 0.28
"""From SIGTERM to the end of the application's shutdown: Lambda kills after 0.3 s where there is an
external extension, else after 0.5 s."""
_LEAST_S: Final = 0.05
"""What every wait has, also where code that blocks has used up the time of all others."""
REASON: Final = "the environment shuts down"


class StopSignal:
    """Remembers SIGTERM and when it came, and wakes whoever waits for the next event.

    Attributes: ``requested``; ``fd``, a descriptor that is readable from then on; ``notify``, if
    set called in the signal handler: for the invocations under way. ``clock`` counts seconds.

    The handler raises nothing, so no signal can tear an event that has just been read. An event
    loop's own signal handling would not do: between two invocations no loop is running.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.requested = False
        self._clock = clock
        self._came_at = 0.0
        self.notify: Callable[[], object] | None = None
        self.fd, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def install(self) -> None:
        """Take over SIGTERM in this process; main thread only."""
        signal.signal(signal.SIGTERM, self._handle)

    def _handle(self, number: int, frame: Any) -> None:
        self.request()

    def request(self) -> None:
        """Stop as SIGTERM would."""
        if not self.requested:
            self._came_at = self._clock()
            self.requested = True
            os.write(self._writer, b"\0")
            if self.notify is not None:
                self.notify()

    @property
    def grace_s(self) -> float:
        """Seconds for each of three: to end by itself, to end when cancelled, to be answered."""
        return self.left_s() / 3

    def left_s(self, until: float = INVOCATIONS_S) -> float:
        """Return the seconds that are left of ``until``, counted from SIGTERM; all before it.

        Every wait after SIGTERM takes its limit from here, so that one that was long leaves less to
        those behind it.
        """
        if not self.requested:
            return until
        return max(self._came_at + until - self._clock(), _LEAST_S)
