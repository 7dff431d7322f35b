"""Several processes for the invocations that Managed Instances hand out at once.

One process serves them all on one event loop, which suits applications that wait for others. One
that computes needs a process for each core: PENSTOCK_PROCESSES.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from penstock.adapter.runtime import logs
from penstock.adapter.runtime.stop import StopSignal

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger("penstock")

SHORT_LIFE_S: Final = 10.0
SHORT_LIVES: Final = 3
"""So many lives shorter than that in a row, and the parent gives the environment up."""
PAUSE_S: Final = 1.0
"""Shortest time from one start to the next in the same place."""

_parent: int | None = None


def split(*, taken_over: bool = False) -> int:
    """Return how many invocations at once this process shall serve.

    AWS_LAMBDA_MAX_CONCURRENCY says how many the environment serves. If PENSTOCK_PROCESSES asks for
    more than one process, they are forked here: this function returns in each of them, with its
    share, and never in the parent, which starts anew what ends. AWS's client, if ``taken_over``,
    has forked one process for each slot already.
    """
    slots = 1 if taken_over else _count("AWS_LAMBDA_MAX_CONCURRENCY")
    wanted = _count("PENSTOCK_PROCESSES")
    processes = min(wanted, slots)
    if processes < wanted:
        logger.warning(
            "PENSTOCK_PROCESSES=%d: expected at most one for each invocation at once, of which this"
            " process can have %d (on Managed Instances, start it by AWS_LAMBDA_EXEC_WRAPPER)",
            wanted,
            slots,
        )
    if processes == 1:
        return slots
    share, more = divmod(slots, processes)
    return _Parent([share + (index < more) for index in range(processes)]).run()


def ready() -> None:
    """Tell the parent, if there is one, that the init phase went well in this process."""
    if _parent is not None:
        os.write(_parent, b"\0")
        os.close(_parent)


class _Parent:
    """Starts a process for each share of the slots, and others in the place of those that end.

    A process that ends before it was ever ready has told Lambda why: the environment ends with it.
    """

    def __init__(self, shares: Sequence[int]) -> None:
        self._shares = shares
        self._places: dict[int, int] = {}
        self._started = [0.0] * len(shares)
        self._readiness = [-1] * len(shares)
        self._was_ready = [False] * len(shares)
        self._short_lives = [0] * len(shares)
        self._status: int | None = None
        self._signals = StopSignal()

    def run(self) -> int:
        self._signals.notify = lambda: self._stop(0)
        self._signals.install()
        signal.signal(signal.SIGCHLD, lambda *_: None)  # with a handler, it ends the wait
        for place in range(len(self._shares)):
            if self._fork(place):
                return self._shares[place]
        while self._places:
            place, status = self._wait()
            if self._is_worth_another(place, status) and self._fork(place):
                return self._shares[place]
        logs.flush()
        os._exit(self._status or 0)

    def _fork(self, place: int) -> bool:
        """Fork; return True in the child."""
        global _parent  # noqa: PLW0603 - a process has one
        reader, writer = os.pipe()
        logs.flush()
        self._started[place] = time.monotonic()
        # A SIGTERM in between would not be forwarded to a child that is in no list yet.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        process = os.fork()
        if process:
            self._places[process] = place
            self._readiness[place] = reader
            os.close(writer)
        else:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._signals.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if process:
            return False
        os.close(reader)
        _parent = writer
        socket_path = os.environ.get("_LAMBDA_TELEMETRY_LOG_FD_PROVIDER_SOCKET")
        if socket_path:
            try:
                logs.redirect(socket_path)
            except OSError as error:
                logger.warning("%s: %s; the log stays with that of the parent", socket_path, error)
        return True

    def _wait(self) -> tuple[int, int]:
        while not (ended := os.waitpid(-1, os.WNOHANG))[0]:
            select.select([self._signals.fd], (), ())
            self._signals.drain()
        process, encoded = ended
        if process not in self._places:  # of the wrapper script that became this process
            return self._wait()
        place = self._places.pop(process)
        if os.read(self._readiness[place], 1):
            self._was_ready[place] = True
        os.close(self._readiness[place])
        return place, os.waitstatus_to_exitcode(encoded)

    def _is_worth_another(self, place: int, status: int) -> bool:
        if self._status is not None:
            return False
        lived_s = time.monotonic() - self._started[place]
        self._short_lives[place] = self._short_lives[place] + 1 if lived_s < SHORT_LIFE_S else 0
        is_lost = not self._was_ready[place] or self._short_lives[place] >= SHORT_LIVES
        logger.error(
            "process %d of %d ended with status %d after %.1f s: %s",
            place + 1,
            len(self._shares),
            status,
            lived_s,
            "the environment ends with it" if is_lost else "it is started again",
        )
        if is_lost:
            self._stop(status if status > 0 else 1)
        elif lived_s < PAUSE_S:
            self._signals.wait(PAUSE_S - lived_s)
        return self._status is None

    def _stop(self, status: int) -> None:
        if self._status is None:
            self._status = status
        for process in list(self._places):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)


def _count(variable: str) -> int:
    value: Any = os.environ.get(variable, "1")
    try:
        return max(1, int(value))
    except ValueError:
        logger.warning("%s=%r: expected a whole number, going on with 1", variable, value)
        return 1
