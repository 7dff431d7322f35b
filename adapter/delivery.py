"""Brings the answer of one invocation to its transport: whole, or as a stream."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from penstock.adapter.body import b64encode, b64encode_bytes
from penstock.adapter.cycle import BufferedSink
from penstock.adapter.errors import (
    ClientDisconnected,
    EventError,
    EventFailed,
    PayloadTooLarge,
    ProtocolError,
)
from penstock.adapter.exchange import ExchangeState
from penstock.adapter.streaming import EarlyCycle, StreamingCycle, StreamingSink

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penstock.adapter.asgi import Scope
    from penstock.adapter.cycle import HTTPCycle
    from penstock.adapter.reply import Reply, ReplyRules
    from penstock.adapter.settings import Settings
    from penstock.adapter.sources import EventSource
    from penstock.adapter.transport import Transport

    AccessLog = Callable[[EventSource, Scope, Reply | None, float], object]


class Delivery:
    """One invocation on its way out.

    ``is_own`` says that the event source is penstock's, which passes a reply's body on as it is.
    Attribute: ``streams``, whether the response leaves as it is produced.
    """

    def __init__(
        self,
        source: EventSource,
        transport: Transport,
        settings: Settings,
        rules: ReplyRules,
        log_access: AccessLog | None,
        *,
        is_own: bool,
    ) -> None:
        self.streams = (
            settings.invoke_mode == "response_stream"
            and source.prelude_limit > 0
            and transport.can_stream
        )
        self._source = source
        self._transport = transport
        self._settings = settings
        self._rules = rules
        self._log_access = log_access
        self._encode: Callable[[bytes], Any] = b64encode_bytes if is_own else b64encode
        self._reply: Reply | None = None
        self.cycle: HTTPCycle | None = None

    def open(self, event: Any, *cycle_arguments: Any) -> HTTPCycle:
        """Return the cycle, made of what comes before and after the sink in ``HTTPCycle``."""
        app, lifespan, scope, body, deadline, loop = cycle_arguments
        source = self._source
        if not self.streams:
            buffer = BufferedSink(source.name, source.answer_limit(event))
            early = EarlyCycle(app, lifespan, scope, body, buffer, deadline, loop)
            early.on_complete = lambda: self._answer(early)
            cycle: HTTPCycle = early
        else:
            sink = StreamingSink(source.name, source.prelude_limit, self._transport, self._prelude)
            cycle = StreamingCycle(app, lifespan, scope, body, sink, deadline, loop)
        self._transport.on_broken = cycle.hang_up
        self.cycle = cycle
        return cycle

    def conclude(self) -> Awaitable[None] | None:
        """Do what is left when the application has ended; what is returned must be awaited.

        Raises: what fails the invocation (EventFailed, LifespanError, SystemExit, with
        ``raise_errors`` any error of the application), unless its answer has begun to leave.
        """
        cycle = self.cycle
        if cycle is None:
            return self._refuse()
        if isinstance(cycle, EarlyCycle):
            self._report(cycle, has_left=cycle.is_taken)
            if not cycle.is_taken:
                self._answer(cycle)
            elif cycle.failure is not None:
                raise cycle.failure
            return None
        assert isinstance(cycle, StreamingCycle)  # noqa: S101 - open made one of the two
        self._report(cycle, has_left=cycle.sink.has_started)
        if cycle.sink.has_ended:
            self._log(cycle.scope, cycle.began)
            return None
        return self._end_stream(cycle)

    def refuse(self, reply: Reply, scope: Scope) -> None:
        """Have ``conclude`` answer an event that cannot be shown to an application."""
        self._reply = reply
        self._refused = scope

    def _refuse(self) -> Awaitable[None] | None:
        reply, scope = self._reply, self._refused
        assert reply is not None  # noqa: S101 - refuse sets it
        self._log(scope, perf_counter())
        if self.streams:
            return self._stream(reply, scope)
        answer = self._source.write(reply, scope, self._settings)
        limit = self._source.answer_limit(scope["aws.event"])
        self._transport.answer(answer, self._source.name, limit)
        return None

    def _report(self, cycle: HTTPCycle, *, has_left: bool) -> None:
        if cycle.error is not None or cycle.expired or cycle.is_broken:
            from penstock.adapter.outcome import report

            report(cycle, raise_errors=self._settings.raise_errors and not has_left)

    def _answer(self, cycle: EarlyCycle) -> None:
        source, settings, scope = self._source, self._settings, cycle.scope
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
            self._reply = reply
            try:
                answer = source.write(reply, scope, settings)
            except EventFailed as failure:
                raise failure from cycle.error
            limit = cycle.sink.limit_bytes
            try:
                self._transport.answer(answer, source.name, limit)
            except PayloadTooLarge as error:
                from penstock.adapter.outcome import too_large

                self._reply = too_large(cycle, error)
                answer = source.write(self._reply, scope, settings)
                self._transport.answer(answer, source.name, limit)
        finally:
            self._log(scope, cycle.began)

    def _prelude(self, is_empty: bool) -> bytes:  # noqa: FBT001 - StreamingSink calls it so
        cycle = self.cycle
        assert cycle is not None  # noqa: S101 - the sink's
        is_head = cycle.scope["method"] == "HEAD"
        reply = self._rules.reply(cycle.exchange, b"", is_head=is_head)
        self._reply = reply
        return self._encode_prelude(reply, cycle.scope, is_empty=is_empty and not is_head)

    def _encode_prelude(self, reply: Reply, scope: Scope, *, is_empty: bool) -> bytes:
        from json import dumps

        from penstock.adapter.reply import is_bodiless

        if is_empty and not is_bodiless(reply.status):
            # A stream of a prelude alone has been seen to hang at the Function URL's front.
            reply.headers.append(("content-length", "0"))
        prelude = self._source.prelude(reply, scope, self._settings)
        return dumps(prelude, separators=(",", ":")).encode()

    async def _stream(self, reply: Reply, scope: Scope) -> None:
        prelude = self._encode_prelude(reply, scope, is_empty=not reply.body)
        await self._transport.start(prelude, reply.body.encode(), more=False)

    async def _end_stream(self, cycle: StreamingCycle) -> None:
        try:
            if not cycle.sink.has_started:
                from penstock.adapter.outcome import substitute

                self._reply = substitute(cycle)
                await self._stream(self._reply, cycle.scope)
            elif not cycle.is_broken:
                if not cycle.expired:
                    from penstock.adapter.outcome import explain

                    explain(cycle)
                await self._transport.abort(_reason(cycle))
        finally:
            self._log(cycle.scope, cycle.began)

    def _log(self, scope: Scope, began: float) -> None:
        if self._log_access is not None:
            self._log_access(self._source, scope, self._reply, began)


def _reason(cycle: StreamingCycle) -> BaseException:
    """Why a stream that has begun does not come to its end."""
    if cycle.expired:
        return TimeoutError("the deadline came before the end of the response")
    error = cycle.exchange.error or cycle.error
    if error is None or isinstance(error, ClientDisconnected | EventError):
        return ProtocolError("the application returned before it had sent the end of its response")
    return error
