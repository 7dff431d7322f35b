"""Something going wrong at every single point where an application that is served waits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from stepping_loop import SteppingLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from asgi_calls import Server

# More points than any application here has: a run that goes on without end fails.
MOST = 400
ERRORS = {"OSError": OSError, "ValueError": ValueError, "RuntimeError": RuntimeError}


class Interruption:
    """An application that is served once, and interrupted at one point.

    ``kind`` says with what: a ``cancel`` (also ``cancel soon``: in the loop's next pass, and
    ``cancel twice``), a ``disconnect`` (also ``disconnect soon``) or a ``deadline`` after the
    ``at``-th suspension of any task; or an error in the ``at``-th call, such as ``send OSError`` or
    ``receive RuntimeError``. ``gone`` is the message of a client that has left.
    """

    def __init__(self, loop: SteppingLoop, server: Server, kind: str, at: int, gone: Any) -> None:
        self.loop = loop
        self.server = server
        self.kind = kind
        self.what, _, error = kind.partition(" ")
        self.error = ERRORS.get(error, Exception)
        self.at = at
        self.gone = gone
        self.seen = 0
        self.interrupted = False
        self.was_cancelled = False
        self.raised: BaseException | None = None
        self.task: asyncio.Task[None] | None = None

    def is_here(self, what: str) -> bool:
        """Count a point; whether it is the one."""
        if self.what != what:
            return False
        self.seen += 1
        self.interrupted = self.interrupted or self.seen == self.at
        return self.seen == self.at

    def on_step(self) -> None:
        task = self.task
        if task is None or task.done():
            return
        if self.is_here("disconnect"):
            self.now_or_soon(self.server.add, self.gone)
        elif self.is_here("deadline"):
            self.loop.skipped = 31
        elif self.is_here("cancel"):
            self.now_or_soon(self.cancel, task)
            if self.kind == "cancel twice":
                self.loop.call_soon(task.cancel)

    def now_or_soon(self, function: Callable[..., None], *args: Any) -> None:
        if self.kind.endswith("soon"):
            self.loop.call_soon(function, *args)
        else:
            function(*args)

    def cancel(self, task: asyncio.Task[None]) -> None:
        self.was_cancelled = task.cancel()

    async def receive(self) -> Any:
        await asyncio.sleep(0)
        if self.is_here("receive"):
            raise self.error
        return await self.server.receive()

    async def send(self, message: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        await self.server.send(message)
        if self.is_here("send"):
            raise self.error
        await asyncio.sleep(0)

    async def serve(self, app: Any, scope: dict[str, Any]) -> None:
        """Serve it, and see that no task and no timer is left."""
        before = asyncio.all_tasks()
        self.loop.on_step = self.on_step
        self.task = self.loop.create_task(app(scope, self.receive, self.send))
        await asyncio.wait({self.task})
        self.loop.on_step = lambda: None
        assert set() == asyncio.all_tasks() - before - {self.task}
        soon = self.loop.time() + 1
        left = [one for one in self.loop.timers if not one.cancelled() and one.when() > soon]
        assert [] == left
        if not self.task.cancelled():
            self.raised = self.task.exception()


Served = TypeVar("Served", bound=Interruption)


def at_every_point(
    serve: Callable[[SteppingLoop, int], Coroutine[Any, Any, Served]],
) -> Iterator[Served]:
    """Yield one interruption after the other, and at last the run that had none."""
    for at in range(1, MOST):
        with asyncio.Runner(loop_factory=SteppingLoop) as runner:
            loop = runner.get_loop()
            assert isinstance(loop, SteppingLoop)
            one = runner.run(serve(loop, at))
        yield one
        if not one.interrupted:
            return
    pytest.fail(f"more than {MOST} points")
