"""Code that blocks the event loop cannot be cancelled: its stack is logged, the process ends."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

from penstock.adapter.runtime import logs

if TYPE_CHECKING:
    from penstock.adapter.runtime.transports import InvocationTransport

logger = logging.getLogger("penstock")

SHARE: Final = 2 / 3
"""How long before Lambda's deadline an invocation that has not ended counts as stuck.

A part of the target's patience: that long before the deadline, everything that listens has been
cancelled and left behind.
"""


class Watchdog:
    """Watches the invocations under way, from a thread that is made for the first of them.

    In the usual case it costs an entry in a dict: the thread sleeps up to a deadline that has
    passed long since when it wakes. Code that holds the interpreter's lock keeps it out as well;
    then Lambda itself ends the process. ``patience`` is the target's.
    """

    def __init__(self, patience: float) -> None:
        self._margin = SHARE * patience
        self._due: dict[InvocationTransport, float] = {}
        self._wake = threading.Event()
        self._sleeps_until = -1.0
        self._main = threading.get_ident()

    def watch(self, transport: InvocationTransport, left_s: float) -> None:
        """Watch an invocation, which has ``left_s`` seconds, until ``release``."""
        if left_s <= 0:
            return  # there is nothing to be had for it any more, and others may be at work
        due = time.monotonic() + max(left_s - self._margin, left_s / 2)
        self._due[transport] = due
        if due < self._sleeps_until:
            self._wake.set()
        elif self._sleeps_until < 0:
            self._sleeps_until = due
            threading.Thread(target=self._run, name="penstock watchdog", daemon=True).start()

    def release(self, transport: InvocationTransport) -> None:
        """The invocation has ended."""
        self._due.pop(transport, None)

    def _run(self) -> None:
        while True:
            pause = self._look()
            if pause is not None:
                self._wake.wait(pause)
            self._wake.clear()

    def _look(self) -> float | None:
        """Return the seconds to the next deadline, None if another invocation came meanwhile.

        Apart from ``_run``, so that no invocation is kept in memory while the thread sleeps.
        """
        watched = list(self._due.items())
        now = time.monotonic()
        for transport, due in watched:
            if due <= now:
                self._end(transport)
        self._sleeps_until = min((due for _, due in watched), default=float("inf"))
        if watched != list(self._due.items()):
            return None
        return min(self._sleeps_until - now, threading.TIMEOUT_MAX)

    def _end(self, transport: InvocationTransport) -> None:
        import traceback

        frame = sys._current_frames().get(self._main)  # noqa: SLF001 - documented
        stack = "".join(traceback.format_stack(frame)) if frame else "(unknown)\n"
        try:
            logger.error(
                "request %s: blocked up to the deadline by code that cannot be cancelled; this"
                " process ends, and Lambda starts another. The code is at\n%s",
                transport.invocation.request_id,
                stack,
            )
            if not transport.is_answered:
                _report(transport)
        finally:
            logs.flush()
            os._exit(1)


def _report(transport: InvocationTransport) -> None:
    # All but never needed, so not in every cold start.
    from penstock.adapter.errors import Fault
    from penstock.adapter.runtime.client import RuntimeClient
    from penstock.adapter.runtime.reports import Report

    invocation = transport.invocation
    fault = Fault(
        "Function.TimedOut", "blocked up to the deadline by code that cannot be cancelled"
    )
    report = Report(fault, invocation.request_id)
    client = RuntimeClient(*transport.address)
    body = report.body
    client.request(client.write.error(invocation, len(body), report.type, report.cause), body)
