"""An invocation as its caller sees it: ids and times, the answer, or why it failed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penstock.infra.runtime_api.environment import Environment
    from penstock.infra.runtime_api.invocation import FunctionError, Invocation
    from penstock.infra.runtime_api.running import Running


class FunctionFailed(Exception):
    """The invocation ended in an error.

    Shapes: ``error`` has the type as Lambda keeps it, and the JSON that the caller gets.
    """

    def __init__(self, request_id: str, error: FunctionError) -> None:
        text = error.body.decode(errors="replace")
        super().__init__(f"invocation {request_id}: {error.error_type}: {text}")
        self.request_id = request_id
        self.error = error


class Pending:
    """An invocation that is under way.

    ``invocation`` has its ids and times. The answer is read once: by ``payload``, ``result`` or
    ``chunks``.
    """

    def __init__(self, running: Running, environment: Environment) -> None:
        self.invocation: Invocation = running.invocation
        self._running = running
        self._answer = running.answer
        self._environment = environment

    @property
    def request_id(self) -> str:
        """The invocation's request id."""
        return self.invocation.request_id

    @property
    def content_type(self) -> str:
        """What the runtime said its answer is; there from the first chunk on."""
        return self._answer.content_type

    @property
    def is_streamed(self) -> bool:
        """Whether the runtime streamed its answer; known from the first chunk on."""
        return self._answer.is_streamed

    @property
    def error(self) -> FunctionError | None:
        """Why the invocation failed; None while it has not."""
        return self._answer.error

    async def begun(self) -> None:
        """Return when the answer begins, or has failed without one."""
        await self._answer.begun()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the answer as it arrives.

        Raises: FunctionFailed behind the last chunk, if the invocation failed.
        """
        async for piece in self._answer.pieces():
            yield piece
        if self._answer.error is not None:
            raise FunctionFailed(self.request_id, self._answer.error)

    async def payload(self) -> bytes:
        """Return the whole answer as it was posted. Raises: FunctionFailed."""
        return b"".join([chunk async for chunk in self.chunks()])

    async def result(self) -> Any:
        """Return the answer as JSON-like data. Raises: FunctionFailed; ValueError if it is none."""
        return json.loads(await self.payload())

    async def ended(self) -> None:
        """Return when the runtime is done with the invocation, work after the answer included."""
        await self._running.ended.wait()

    def expire(self) -> None:
        """Let the deadline come now."""
        self._environment.expire(self._running)

    def abandon(self) -> None:
        """Read no more: as on Lambda, the runtime does not learn of it."""
        self._answer.abandon()
