"""Carries the answer to one invocation to the Runtime API; see ``penstock.adapter.transport``."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, Final

from penstock.adapter.errors import PayloadTooLarge, RuntimeAPIError
from penstock.adapter.event_loop import process_loop
from penstock.adapter.runtime.answers import JSON, encode_reply, encode_result
from penstock.adapter.runtime.calls import LimitedCall
from penstock.adapter.runtime.stop import REASON

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from penstock.adapter.runtime.async_client import AsyncClient
    from penstock.adapter.runtime.client import RuntimeClient
    from penstock.adapter.runtime.protocol import Invocation
    from penstock.adapter.runtime.stop import StopSignal
    from penstock.adapter.runtime.stream import Stream


ABORT_S: Final = 0.1
"""What a reader has to take the error that ends a stream; then the connection is cut."""


class InvocationTransport:
    """Posts a buffered answer over its slot's ``client``; a stream has a connection of its own.

    Attributes: ``is_answered``, whether an answer has begun to leave, so that no error can be
    reported in its place; ``has_failed``, whether ``fail`` was called.
    """

    # `sam local` takes a stream for one text, prelude and all, and answers 502.
    can_stream = os.environ.get("AWS_SAM_LOCAL") != "true"
    is_answered = False
    has_failed = False
    on_broken: Callable[[float, str], object] | None = None
    _stream: Stream | None = None

    def __init__(
        self, client: RuntimeClient | AsyncClient, invocation: Invocation, stop: StopSignal
    ) -> None:
        self.invocation = invocation
        self._client = client
        self._stop = stop

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the Runtime API."""
        return self._client.address

    def answer(self, answer: Any, source: str, limit_bytes: int) -> None:
        parts = encode_reply(answer)
        size = sum(map(len, parts))
        if size > limit_bytes:
            raise PayloadTooLarge(source, limit_bytes, size)
        self._post(self._client.write.answer(self.invocation, size, JSON), parts)

    def answer_result(self, result: Any) -> None:
        """Take what an ordinary handler returned. Raises: Fault if Lambda would not take it."""
        content_type, content = encode_result(result)
        head = self._client.write.answer(self.invocation, len(content), content_type)
        self._post(head, (content,))

    def fail(self, error: BaseException) -> None:
        self.has_failed = True
        from penstock.adapter.runtime import logs
        from penstock.adapter.runtime.reports import Report

        report = Report(error, self.invocation.request_id)
        logs.log_report(report)
        if not self.is_answered:
            body = report.body
            head = self._client.write.error(self.invocation, len(body), report.type, report.cause)
            self._post(head, (body,))

    def _post(self, head: bytes, parts: Sequence[bytes]) -> None:
        self.is_answered = True
        self._client.post(head, parts)

    async def start(self, prelude: bytes, body: bytes, *, more: bool) -> None:
        from penstock.adapter.runtime.stream import Stream

        head = self._client.write.stream(self.invocation)
        stream = Stream(self.address, head, self.on_broken)
        await stream.open()
        self.is_answered = True
        self._stream = stream
        await stream.start(prelude, body, more=more)

    async def send(self, body: bytes, *, more: bool) -> None:
        if self._stream is None:
            raise ConnectionResetError("the stream could not be started")
        await self._stream.send(body, more=more)

    async def abort(self, error: BaseException) -> None:
        from penstock.adapter.runtime.reports import Report

        if self._stream is None:  # nothing has left
            self.fail(error)
            return
        report = Report(error, self.invocation.request_id)
        await self._stream.abort(report.type, report.body, min(ABORT_S, self._stop.left_s()))

    async def finish(self, hook: Awaitable[Any], limit_s: float | None) -> None:
        call = LimitedCall(hook, "the hook", limit_s, self._stop.grace_s)
        self.on_broken = call.hang_up
        if self._stop.requested:
            call.hang_up(self._stop.grace_s, REASON)
        try:
            await call.run()
        finally:
            self.on_broken = None

    async def _settle(self, taken: Awaitable[None], limit_s: float | None = None) -> None:
        """Wait for the Runtime API, up to a limit, and only for a moment once the stop has come.

        Raises: RuntimeAPIError if it has not taken the answer.
        """
        loop = asyncio.get_running_loop()
        reason = "the deadline came first"

        def hang_up(_grace: float, why: str) -> None:
            nonlocal reason
            reason = why
            patience.reschedule(loop.time() + self._stop.left_s())

        try:
            async with asyncio.timeout(limit_s) as patience:
                self.on_broken = hang_up
                if self._stop.requested:
                    hang_up(0, REASON)
                await taken
        except TimeoutError:
            raise RuntimeAPIError(f"the Runtime API has not taken the answer: {reason}") from None
        finally:
            self.on_broken = None


class BlockingTransport(InvocationTransport):
    """The transport of a process that serves one invocation at a time."""

    _client: RuntimeClient

    def settle(self) -> None:
        """Wait until the Runtime API has the answer. Raises: RuntimeAPIError if it has not."""
        if self._stream is not None:
            process_loop.run(self._settle(self._stream.settle()))
        elif self.is_answered:
            self._client.settle()


class AsyncTransport(InvocationTransport):
    """The transport of one of several slots on an event loop."""

    _client: AsyncClient

    async def settle(self, limit_s: float) -> None:
        """Do as ``BlockingTransport.settle``, for ``limit_s`` seconds at most."""
        if self._stream is not None:
            await self._settle(self._stream.settle(), limit_s)
        elif self.is_answered:
            await self._settle(self._client.settle(), limit_s)
