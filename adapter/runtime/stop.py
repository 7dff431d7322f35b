"""SIGTERM: how Lambda announces the end to a runtime that has registered an extension."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from contextlib import suppress
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
_PIPE_BYTES: Final = 65536
REASON: Final = "the environment shuts down"


class StopSignal:
    """Remembers SIGTERM and when it came, and wakes whoever waits for the next event.

    Attributes: ``requested``; ``fd``, a descriptor that any signal with a handler makes readable:
    whoever is woken by it calls ``drain``, and waits on unless the stop is requested; ``notify``,
    if set called in the signal handler: for the invocations under way. ``clock`` counts seconds.

    The handler raises nothing, so no signal can tear an event that has just been read. An event
    loop's own signal handling would not do: between two invocations no loop is running.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.requested = False
        self._clock = clock
        self._came_at = 0.0
        self.notify: Callable[[], object] | None = None
        self.fd, self._writer = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._writer, False)

    def install(self) -> None:
        """Take over SIGTERM in this process, and have all signals written to ``fd``.

        Main thread only. Python runs handlers between two bytecodes: a signal that comes right
        before a wait, and is not written, is handled when something else ends the wait. A process
        has one such descriptor, and ``loop.add_signal_handler`` takes it: where the application has
        called that, its signals go to the loop, and SIGTERM is written by its handler only.
        """
        signal.signal(signal.SIGTERM, self._handle)
        of_a_loop = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        if of_a_loop != -1:
            signal.set_wakeup_fd(of_a_loop)

    def leave_to_forks(self) -> None:
        """Let SIGTERM end the processes that the function forks: theirs is not for this one."""
        masks = threading.local()

        def block() -> None:
            # It may come before a process has got so far.
            masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

        def restore() -> None:
            signal.pthread_sigmask(signal.SIG_SETMASK, masks.before)

        def leave() -> None:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            restore()

        os.register_at_fork(before=block, after_in_parent=restore, after_in_child=leave)

    def close(self) -> None:
        """Undo ``install``, in a process that was forked: SIGTERM ends it, as by default."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.close(self.fd)
        os.close(self._writer)

    def _handle(self, number: int, frame: Any) -> None:
        self.request()

    def request(self) -> None:
        """Stop as SIGTERM would."""
        if not self.requested:
            self._came_at = self._clock()
            self.requested = True
            with suppress(BlockingIOError):  # full of other signals, it is readable
                os.write(self._writer, b"\0")
            if self.notify is not None:
                self.notify()

    def drain(self) -> None:
        """Take what signals have written to ``fd``."""
        with suppress(BlockingIOError):  # a thread that runs the event loop was first
            os.read(self.fd, _PIPE_BYTES)

    def wait(self, seconds: float) -> bool:
        """Wait for the stop, so long at most, and say whether it has come."""
        end = self._clock() + seconds
        while not self.requested:
            if not select.select([self.fd], (), (), max(end - self._clock(), 0))[0]:
                break
            self.drain()
        return self.requested

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
