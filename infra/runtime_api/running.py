"""An invocation under way: what it is, its answer, its clock."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penstock.infra.runtime_api.answer import Answer
from penstock.infra.runtime_api.invocation import FunctionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.infra.runtime_api.invocation import Invocation


@dataclass(slots=True, eq=False)
class Running:
    """An invocation on its way through an environment.

    ``timer`` ends it at its deadline; ``ended`` is set when the runtime is done with it, work after
    the answer included. ``log_position`` is the number of log records before it. ``cut_off`` closes
    the connection that the answer comes on, while it does.
    """

    invocation: Invocation
    answer: Answer = field(default_factory=Answer)
    timer: asyncio.TimerHandle | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    log_position: int = 0
    cut_off: Callable[[], None] | None = None

    def stop_clock(self) -> None:
        """Let the deadline pass without consequences."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def end(self, error: FunctionError) -> None:
        """End an invocation that no runtime has: it has failed."""
        self.stop_clock()
        self.answer.end(error)
        self.ended.set()

    def fail(self, error_type: str, message: str) -> None:
        """End an invocation that no runtime has, with an error of Lambda's own."""
        self.end(FunctionError.of_platform(error_type, message))
