"""SIGTERM: how Lambda announces the end to a runtime that has registered an extension."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

GRACE_S: Final = 0.1
"""What has begun may take to its end when the environment shuts down: Lambda kills after 0.3 s."""
REASON: Final = "the environment shuts down"


class StopSignal:
    """Remembers SIGTERM, and wakes whoever waits for the next event.

    Attributes: ``requested``; ``fd``, a descriptor that is readable from then on; ``notify``, if
    set called in the signal handler: for an invocation under way.

    The handler raises nothing, so no signal can tear an event that has just been read. An event
    loop's own signal handling would not do: between two invocations no loop is running.
    """

    def __init__(self) -> None:
        self.requested = False
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
            self.requested = True
            os.write(self._writer, b"\0")
            if self.notify is not None:
                self.notify()
