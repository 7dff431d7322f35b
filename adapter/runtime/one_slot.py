"""Serves one invocation at a time, each to its end before the next event is asked for."""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

from penstock.adapter.errors import PayloadTooLarge, RuntimeAPIError
from penstock.adapter.event_loop import process_loop
from penstock.adapter.runtime import context as contexts
from penstock.adapter.runtime import logs
from penstock.adapter.runtime.answers import JSON, encode_reply, encode_result
from penstock.adapter.runtime.calls import HandlerCall, decode_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from penstock.adapter.runtime.client import RuntimeClient
    from penstock.adapter.runtime.protocol import Invocation
    from penstock.adapter.runtime.stop import StopSignal
    from penstock.adapter.runtime.stream import Stream
    from penstock.adapter.runtime.target import Target

logger = logging.getLogger("penstock")

SHUTDOWN_GRACE_S: Final = 0.1
"""What an invocation under way has to end by itself when the environment shuts down."""


class OneSlot:
    """The loop of a process that Lambda freezes between two invocations."""

    def __init__(self, client: RuntimeClient, target: Target, stop: StopSignal) -> None:
        self._client = client
        self._call = getattr(self, f"_call_{target.kind}")
        self._handler = target.handler
        self._stop = stop

    def run(self) -> None:
        """Serve until SIGTERM. Raises: RuntimeAPIError when there is no Runtime API any more."""
        next_invocation = self._client.next
        while (invocation := next_invocation()) is not None:
            self._serve(invocation)
            if self._stop.requested:
                return

    def _serve(self, invocation: Invocation) -> None:
        context = contexts.LambdaContext(invocation)
        contexts.begin(context, alone=True)
        transport = BlockingTransport(self._client, invocation)
        error: BaseException | None = None
        try:
            self._call(decode_event(invocation), context, transport)
        except BaseException as raised:
            error = raised
        if error is not None:
            self._fail(error, invocation, transport)
        try:
            transport.settle()
        except RuntimeAPIError as problem:
            logger.error("request %s: %s", invocation.request_id, problem)
        logs.flush()
        if isinstance(error, SystemExit | KeyboardInterrupt):
            raise error

    def _fail(
        self, error: BaseException, invocation: Invocation, transport: BlockingTransport
    ) -> None:
        from penstock.adapter.runtime.reports import Report

        report = Report(error, invocation.request_id)
        logs.log_report(report)
        if not transport.is_answered:
            transport.fail(report.type, report.body, report.cause)

    def _call_adapter(self, event: Any, context: Any, transport: BlockingTransport) -> None:
        self._handler.deliver(event, context, transport)

    def _call_sync(self, event: Any, context: Any, transport: BlockingTransport) -> None:
        # In a context of its own: what a handler sets is not there in the next invocation.
        result = contextvars.copy_context().run(self._handler, event, context)
        if isinstance(result, Coroutine):
            result = self._wait(result, context, transport)
        transport.answer_result(result)

    def _call_async(self, event: Any, context: Any, transport: BlockingTransport) -> None:
        transport.answer_result(self._wait(self._handler(event, context), context, transport))

    def _wait(
        self, coroutine: Coroutine[Any, Any, Any], context: Any, transport: BlockingTransport
    ) -> Any:
        call = HandlerCall(coroutine, context)
        loop = process_loop.acquire()
        try:
            return loop.run_until_complete(call.run())
        finally:
            process_loop.release()


class BlockingTransport:
    """Carries one answer away over the blocking client; a stream over a connection of its own."""

    can_stream = True
    on_broken: Callable[[float], object] | None = None

    def __init__(self, client: RuntimeClient, invocation: Invocation) -> None:
        self._client = client
        self._invocation = invocation
        self._stream: Stream | None = None
        self._is_posted = False

    @property
    def is_answered(self) -> bool:
        """Whether an answer has begun to leave, so that no error can be reported in its place."""
        return self._is_posted or self._stream is not None

    def answer(self, answer: Any, source: str, limit_bytes: int) -> None:
        parts = encode_reply(answer)
        size = sum(map(len, parts))
        if size > limit_bytes:
            raise PayloadTooLarge(source, limit_bytes, size)
        self._post(self._client.write.answer(self._invocation, size, JSON), parts)

    def answer_result(self, result: Any) -> None:
        """Take what an ordinary handler returned."""
        content_type, parts = encode_result(result)
        size = sum(map(len, parts))
        self._post(self._client.write.answer(self._invocation, size, content_type), parts)

    def fail(self, error_type: str, report: bytes, cause: str | None) -> None:
        """Report an error in the place of an answer."""
        head = self._client.write.error(self._invocation, len(report), error_type, cause)
        self._post(head, (report,))

    def _post(self, head: bytes, parts: Iterable[bytes]) -> None:
        self._is_posted = True
        self._client.post(head, parts)

    async def start(self, prelude: bytes, body: bytes, *, more: bool) -> None:
        from penstock.adapter.runtime.stream import Stream

        head = self._client.write.stream(self._invocation)
        self._stream = Stream(self._client.address, head, self.on_broken)
        await self._stream.start(prelude, body, more=more)

    async def send(self, body: bytes, *, more: bool) -> None:
        assert self._stream is not None  # noqa: S101 - start comes first
        await self._stream.send(body, more=more)

    async def abort(self, error: BaseException) -> None:
        from penstock.adapter.runtime.reports import Report

        assert self._stream is not None  # noqa: S101 - start comes first
        report = Report(error, self._invocation.request_id)
        await self._stream.abort(report.type, report.body)

    def settle(self) -> None:
        """Wait until the Runtime API has the answer. Raises: RuntimeAPIError if it refused it."""
        if self._is_posted:
            self._client.settle()
        elif self._stream is not None:
            loop = process_loop.acquire()
            try:
                loop.run_until_complete(self._stream.settle())
            finally:
                process_loop.release()
