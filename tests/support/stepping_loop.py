"""An event loop that tells when a task has made a step, and whose clock can be put forward."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


class SteppingLoop(asyncio.SelectorEventLoop):
    """Keeps the timers that were set, and calls ``on_step`` after each step of each task."""

    def __init__(self) -> None:
        super().__init__()
        self.timers: list[asyncio.TimerHandle] = []
        self.skipped = 0.0
        self.on_step: Callable[[], None] = lambda: None
        self.set_task_factory(self._stepped)

    def time(self) -> float:
        return super().time() + self.skipped

    def call_at(  # type: ignore[override]
        self, *args: Any, **kwargs: Any
    ) -> asyncio.TimerHandle:
        timer: asyncio.TimerHandle = super().call_at(*args, **kwargs)
        self.timers.append(timer)
        return timer

    def _stepped(self, loop: Any, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
        return asyncio.Task(Stepped(coro, self), loop=loop, **kwargs)


class Stepped(Coroutine[Any, Any, Any]):
    """A coroutine that reports each of its suspensions."""

    def __init__(self, coro: Any, loop: SteppingLoop) -> None:
        self.coro = coro
        self.loop = loop

    def send(self, value: Any) -> Any:
        waited_for = self.coro.send(value)
        self.loop.on_step()
        return waited_for

    def throw(self, *args: Any) -> Any:
        waited_for = self.coro.throw(*args)
        self.loop.on_step()
        return waited_for

    def close(self) -> None:
        self.coro.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self.coro.__await__()  # type: ignore[no-any-return]
