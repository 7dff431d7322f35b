"""An invocation under way: what it is, its answer, its clock."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penstock.infra.runtime_api.answer import Answer

if TYPE_CHECKING:
    from penstock.infra.runtime_api.invocation import Invocation


@dataclass(slots=True, eq=False)
class Running:
    """An invocation on its way through an environment.

    ``timer`` ends it at its deadline; ``ended`` is set when the runtime is done with it, work after
    the answer included. ``log_position`` is the number of log records before it.
    """

    invocation: Invocation
    answer: Answer = field(default_factory=Answer)
    timer: asyncio.TimerHandle | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    log_position: int = 0

    def stop_clock(self) -> None:
        """Let the deadline pass without consequences."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
