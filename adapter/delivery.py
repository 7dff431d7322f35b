"""Brings the answers of one event source to their transports: whole, or as streams."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from penstock.adapter.body import b64encode, b64encode_bytes
from penstock.adapter.cycle import BufferedSink, EarlyCycle
from penstock.adapter.errors import (
    ClientDisconnected,
    EventFailed,
    PayloadTooLarge,
    ProtocolError,
)
from penstock.adapter.exchange import ExchangeState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penstock.adapter.asgi import Scope
    from penstock.adapter.cycle import HTTPCycle
    from penstock.adapter.reply import Reply, ReplyRules
    from penstock.adapter.settings import Settings
    from penstock.adapter.sources import EventSource
    from penstock.adapter.streaming import StreamingCycle
    from penstock.adapter.transport import Transport

    AccessLog = Callable[[EventSource, Scope, Reply | None, float], object]


class Delivery:
    """What the adapter does between the application and a transport.

    ``is_own`` says that the event source is penstock's, which passes a reply's body on as it is.
    Attribute: ``source``.
    """

    def __init__(
        self,
        source: EventSource,
        settings: Settings,
        rules: ReplyRules,
        log_access: AccessLog | None,
        *,
        is_own: bool,
    ) -> None:
        self.source = source
        self._settings = settings
        self._rules = rules
        self._log_access = log_access
        self._encode: Callable[[bytes], Any] = b64encode_bytes if is_own else b64encode
        self._may_stream = settings.invoke_mode == "response_stream" and source.prelude_limit > 0

    def streams(self, transport: Transport) -> bool:
        """Whether responses leave as they are produced."""
        return self._may_stream and transport.can_stream

    def open(self, transport: Transport, event: Any, *cycle_arguments: Any) -> HTTPCycle:
        """Return the cycle, made of what comes before and after the sink in ``HTTPCycle``."""
        app, lifespan, scope, body, *rest = cycle_arguments
        source = self.source
        cycle: EarlyCycle | StreamingCycle
        if self.streams(transport):
            # Most functions answer without it.
            from penstock.adapter.streaming import StreamingCycle, StreamingSink

            sink = StreamingSink(source.name, source.prelude_limit, transport)
            cycle = StreamingCycle(app, lifespan, scope, body, sink, *rest)
            cycle.make_prelude = self._prelude
        else:
            buffer = BufferedSink(source.name, source.answer_limit(event))
            cycle = EarlyCycle(app, lifespan, scope, body, buffer, *rest)
            cycle.take = self._answer
        cycle.transport = transport
        transport.on_broken = cycle.hang_up
        return cycle

    def conclude(self, cycle: HTTPCycle) -> Awaitable[None] | None:
        """Do what is left when the application has ended; what is returned must be awaited.

        Raises: what fails the invocation (EventFailed, LifespanError, SystemExit, with
        ``raise_errors`` any error of the application), unless its answer has begun to leave.
        """
        if isinstance(cycle, EarlyCycle):
            cycle.transport.on_broken = None  # or the two would keep each other in memory
            if cycle.error is not None or cycle.expired or cycle.cut_short:
                self._report(cycle, has_left=cycle.is_taken)
            if not cycle.is_taken:
                self._answer(cycle)
                return None
            if cycle.exchange.error is not None:
                self._explain(cycle)
            if cycle.failure is not None:
                raise cycle.failure
            return None
        return self._conclude_stream(cycle)  # type: ignore[arg-type] # open makes one of the two

    def _conclude_stream(self, cycle: StreamingCycle) -> Awaitable[None] | None:
        cycle.transport.on_broken = None
        failure: BaseException | None = None
        if cycle.error is not None or cycle.expired or cycle.cut_short:
            try:
                self._report(cycle, has_left=cycle.sink.has_started)
            except BaseException as error:
                if not cycle.sink.has_started:
                    raise
                failure = error  # once the stream has its end
        if failure is None and cycle.sink.has_ended:
            if cycle.exchange.error is not None:
                self._explain(cycle)
            self._log(cycle.scope, cycle.reply, cycle.began)
            return None
        return self._end_stream(cycle, failure)

    def refuse(self, transport: Transport, reply: Reply, scope: Scope) -> Awaitable[None] | None:
        """Answer an event that cannot be shown to an application; else as ``conclude``."""
        self._log(scope, reply, perf_counter())
        if self.streams(transport):
            return self._stream(transport, reply, scope)
        answer = self.source.write(reply, scope, self._settings)
        limit = self.source.answer_limit(scope["aws.event"])
        transport.answer(answer, self.source.name, limit)
        return None

    def _report(self, cycle: HTTPCycle, *, has_left: bool) -> None:
        from penstock.adapter.outcome import report

        report(cycle, raise_errors=self._settings.raise_errors and not has_left)

    def _explain(self, cycle: HTTPCycle) -> None:
        from penstock.adapter.outcome import explain

        explain(cycle)

    def _answer(self, cycle: EarlyCycle) -> None:
        source, settings, scope = self.source, self._settings, cycle.scope
        try:
            if cycle.exchange.state is ExchangeState.COMPLETE:
                reply = self._rules.reply(
                    cycle.exchange,
                    cycle.sink.body(),
                    is_head=scope["method"] == "HEAD",
                    encode=self._encode,
                )
            else:
                from penstock.adapter.outcome import substitute

                reply = substitute(cycle)
            cycle.reply = reply
            try:
                answer = source.write(reply, scope, settings)
            except EventFailed as failure:
                raise failure from cycle.error
            limit = cycle.sink.limit_bytes
            try:
                cycle.transport.answer(answer, source.name, limit)
            except PayloadTooLarge as error:
                from penstock.adapter.outcome import too_large

                cycle.reply = too_large(cycle, error)
                answer = source.write(cycle.reply, scope, settings)
                cycle.transport.answer(answer, source.name, limit)
        finally:
            self._log(scope, cycle.reply, cycle.began)

    def _prelude(self, cycle: StreamingCycle, is_empty: bool) -> bytes:  # noqa: FBT001
        is_head = cycle.scope["method"] == "HEAD"
        reply = self._rules.reply(cycle.exchange, b"", is_head=is_head, is_stream=True)
        cycle.reply = reply
        return self._encode_prelude(reply, cycle.scope, is_empty=is_empty and not is_head)

    def _encode_prelude(self, reply: Reply, scope: Scope, *, is_empty: bool) -> bytes:
        from json import dumps

        from penstock.adapter.reply import is_bodiless

        if is_empty and not is_bodiless(reply.status):
            # A stream of a prelude alone has been seen to hang at the Function URL's front.
            others = [pair for pair in reply.headers if pair[0] != "content-length"]
            reply.headers = [*others, ("content-length", "0")]
        prelude = self.source.prelude(reply, scope, self._settings)
        return dumps(prelude, separators=(",", ":")).encode()

    async def _stream(self, transport: Transport, reply: Reply, scope: Scope) -> None:
        prelude = self._encode_prelude(reply, scope, is_empty=not reply.body)
        await transport.start(prelude, reply.body.encode(), more=False)

    async def _end_stream(self, cycle: StreamingCycle, failure: BaseException | None) -> None:
        try:
            if not cycle.sink.has_started:
                from penstock.adapter.outcome import substitute

                cycle.reply = substitute(cycle)
                await self._stream(cycle.transport, cycle.reply, cycle.scope)
            elif not cycle.sink.has_ended:
                if not (cycle.expired or cycle.cut_short):
                    self._explain(cycle)
                await cycle.transport.abort(_reason(cycle))
        finally:
            self._log(cycle.scope, cycle.reply, cycle.began)
        if failure is not None:
            raise failure

    def _log(self, scope: Scope, reply: Reply | None, began: float) -> None:
        if self._log_access is not None:
            self._log_access(self.source, scope, reply, began)


def _reason(cycle: StreamingCycle) -> BaseException:
    """Why a stream that has begun does not come to its end."""
    if cycle.expired:
        return TimeoutError("the deadline came before the end of the response")
    if cycle.cut_short:  # where the invoker has gone, nobody reads this
        return InterruptedError(f"the response was cut short, as {cycle.cut_short}")
    error = cycle.exchange.error or cycle.error
    if error is None or isinstance(error, ClientDisconnected):
        return ProtocolError("the application returned before it had sent the end of its response")
    return error
