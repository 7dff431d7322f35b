"""``LambdaAdapter``: the Lambda handler of an ASGI application."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from time import perf_counter, time
from typing import TYPE_CHECKING, Any

from penstock.adapter.cycle import BufferedSink, HTTPCycle, seconds_left
from penstock.adapter.errors import (
    ConfigurationError,
    EventError,
    EventFailed,
    UnsupportedEvent,
)
from penstock.adapter.event_loop import is_loop_running, process_loop, start
from penstock.adapter.exchange import ExchangeState
from penstock.adapter.lifespan import Lifespan, init_limit
from penstock.adapter.reply import ReplyRules
from penstock.adapter.settings import Settings
from penstock.adapter.sources import described, load, recognise

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from penstock.adapter.access_log import AccessLog
    from penstock.adapter.asgi import ASGIApp, Scope
    from penstock.adapter.delivery import Delivery
    from penstock.adapter.hook import Hook
    from penstock.adapter.reply import Reply
    from penstock.adapter.sources import EventSource
    from penstock.adapter.transport import Transport

logger = logging.getLogger("penstock")


class LambdaAdapter:
    """Runs an ASGI application as a Lambda handler, behind every HTTP front door of Lambda.

    >>> async def app(scope, receive, send):
    ...     await send({"type": "http.response.start", "status": 204, "headers": []})
    ...     await send({"type": "http.response.body"})
    >>> handler = LambdaAdapter(app, lifespan="off")
    >>> event = {"httpMethod": "GET", "path": "/"}
    >>> handler(event, None)["statusCode"]
    204

    Create it last in its module: on Lambda the constructor starts the application (lifespan), in
    the init phase, and routes or middleware can hardly be added after that.

    Args:
        app: the ASGI 3.0 application, or what makes it if ``factory`` is true.
        factory: call ``app`` without arguments to get the application.
        sources: event sources of your own, asked before penstock's.
        before_freeze: called without arguments after each invocation, before Lambda freezes the
            sandbox (under AWS's client also before the answer leaves): the place to flush spans and
            metrics. May be asynchronous, and is cancelled then shortly before the deadline.
        lifespan, startup_timeout, root_path, base_path, text_types, exclude_headers, headers_from,
            trusted_hops, events_path, event_failures, raise_errors, time_limit, deadline_margin,
            invoke_mode, stream_deadline_margin, access_log: see
            ``penstock.adapter.settings.OPTIONS``. None reads the environment variable of that name
            with ``PENSTOCK_`` in front, then the default.

    Raises:
        ConfigurationError: an option has a value that it cannot have.
        LifespanError: on Lambda, the application's start-up failed.
    """

    def __init__(
        self,
        app: Any,
        *,
        factory: bool = False,
        sources: Iterable[EventSource] = (),
        before_freeze: Callable[[], Any] | None = None,
        lifespan: str | None = None,
        startup_timeout: float | None = None,
        root_path: str | None = None,
        base_path: str | None = None,
        text_types: Collection[str] | Callable[[str], bool] | None = None,
        exclude_headers: Collection[str] | None = None,
        headers_from: Mapping[str, str] | None = None,
        trusted_hops: int | None = None,
        events_path: str | None = None,
        event_failures: Collection[int] | None = None,
        raise_errors: bool | None = None,
        time_limit: float | None = None,
        deadline_margin: float | None = None,
        invoke_mode: str | None = None,
        stream_deadline_margin: float | None = None,
        access_log: bool | None = None,
    ) -> None:
        self._settings = Settings(
            lifespan=lifespan,
            startup_timeout=startup_timeout,
            root_path=root_path,
            base_path=base_path,
            text_types=text_types,
            exclude_headers=exclude_headers,
            headers_from=headers_from,
            trusted_hops=trusted_hops,
            events_path=events_path,
            event_failures=event_failures,
            raise_errors=raise_errors,
            time_limit=time_limit,
            deadline_margin=deadline_margin,
            invoke_mode=invoke_mode,
            stream_deadline_margin=stream_deadline_margin,
            access_log=access_log,
        )
        self._prepare(app() if factory else app, sources, before_freeze)
        if "AWS_LAMBDA_RUNTIME_API" in os.environ:
            self._start_in_init_phase()

    def _prepare(
        self,
        app: ASGIApp,
        sources: Iterable[EventSource],
        before_freeze: Callable[[], Any] | None,
    ) -> None:
        if not callable(app):
            raise ConfigurationError("app", app, "an ASGI application, which is callable")
        self.app = app
        # Instrumentation libraries read and replace these, as they do with handler functions.
        self.__name__ = self.__qualname__ = "handler"
        self._own_sources = tuple(sources)
        self._loaded: dict[str, EventSource] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._hook: Hook | None = None
        if before_freeze is not None:
            from penstock.adapter.hook import Hook

            self._hook = Hook(before_freeze, self._settings.deadline_margin / 2)
        self._rules = ReplyRules(self._settings)
        self._lifespan = Lifespan(app, self._settings.lifespan)
        self._log_access: AccessLog | None = None
        if self._settings.access_log:
            from penstock.adapter.access_log import AccessLog

            self._log_access = AccessLog()

    def __call__(self, event: Any, context: Any = None) -> Any:
        """Answer one event: the Lambda handler.

        Returns what the event's front door takes (a dict), for non-HTTP events the JSON value that
        the application answered. Raises: UnsupportedEvent; LifespanError; EventFailed; RuntimeError
        if an event loop is running in this thread (there, await ``handle``).
        """
        shared = process_loop.shared
        if shared is not None and not is_loop_running():  # a handler's thread, one of several
            return asyncio.run_coroutine_threadsafe(self.handle(event, context), shared).result()
        loop = process_loop.acquire()
        try:
            source = self._source_of(event, context)
            self._lifespan.bind(loop)
            try:
                cycle = self._cycle(source, event, context, loop)
            except EventError as error:
                return self._refuse(source, event, context, error)
            self._run(loop, cycle)
            return self._answer(source, cycle)
        finally:
            self._release(loop, context)

    async def handle(self, event: Any, context: Any = None) -> Any:
        """Answer one event inside a running event loop; otherwise as calling the adapter.

        Invocations may overlap. Cancelling one cancels the application's task for it.
        """
        loop = asyncio.get_running_loop()
        try:
            source = self._source_of(event, context)
            self._lifespan.bind(loop)
            try:
                cycle = self._cycle(source, event, context, loop)
            except EventError as error:
                return self._refuse(source, event, context, error)
            await self._run_inside(loop, cycle)
            return self._answer(source, cycle)
        finally:
            if self._hook is not None:
                await self._hook.run(context)

    def deliver(self, event: Any, context: Any, transport: Transport) -> None:
        """Answer one event through ``transport``: as soon as the response is there, or in parts.

        Returns when the application has ended, which may be long after its answer has left. What
        calling the adapter would raise has failed the invocation then. Raises: the application's
        SystemExit or KeyboardInterrupt, after the same.
        """
        loop = process_loop.acquire()
        try:
            delivery = self._delivery(event, context)
            self._lifespan.bind(loop)
            try:
                cycle = self._cycle(delivery.source, event, context, loop, transport, delivery)
            except EventError as error:
                rest = delivery.refuse(transport, *_refusal(event, context, error))
            else:
                self._run(loop, cycle)
                rest = delivery.conclude(cycle)
            if rest is not None:
                loop.run_until_complete(rest)
        except BaseException as error:
            transport.fail(error)  # before the hook, as an answer is
            if not isinstance(error, Exception):
                raise
        finally:
            self._release(loop, context, transport)

    async def deliver_inside(self, event: Any, context: Any, transport: Transport) -> None:
        """Do the same as ``deliver`` inside a running event loop, where invocations may overlap."""
        loop = asyncio.get_running_loop()
        try:
            delivery = self._delivery(event, context)
            self._lifespan.bind(loop)
            try:
                cycle = self._cycle(delivery.source, event, context, loop, transport, delivery)
            except EventError as error:
                rest = delivery.refuse(transport, *_refusal(event, context, error))
            else:
                await self._run_inside(loop, cycle)
                rest = delivery.conclude(cycle)
            if rest is not None:
                await rest
        except BaseException as error:
            transport.fail(error)
            if not isinstance(error, Exception):
                raise
        finally:
            if self._hook is not None:
                await self._hook.run(context, transport)

    async def start_up(self) -> None:
        """Run the application's lifespan start-up inside the running event loop.

        Returns after ``startup_timeout`` seconds at the latest; the first invocation then waits for
        the rest. Raises: LifespanError.
        """
        self._lifespan.bind(asyncio.get_running_loop())
        if self._lifespan.settled:
            return  # there is none, or it is over
        limit = self._settings.startup_timeout
        if limit is None:
            limit = init_limit()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._lifespan.startup(), limit)

    def restored(self) -> None:
        """Let the application know that its memory comes from a snapshot (Lambda SnapStart).

        From here on its lifespan state, which each request's scope has a copy of, holds
        ``penstock_restored_at``: the time of this call, in seconds of the epoch.
        """
        self._lifespan.state["penstock_restored_at"] = time()

    @property
    def patience(self) -> float:
        """Seconds before an invocation's deadline at which its application is left behind."""
        settings = self._settings
        return min(settings.deadline_margin, settings.stream_deadline_margin) / 2

    def close(self) -> None:
        """Run the application's lifespan shutdown; the next invocation would start it again."""
        loop = process_loop.acquire()
        try:
            loop.run_until_complete(self._lifespan.shutdown())
        finally:
            process_loop.release()

    async def aclose(self) -> None:
        """Run the application's lifespan shutdown inside the running event loop."""
        await self._lifespan.shutdown()

    def _run(self, loop: asyncio.AbstractEventLoop, cycle: HTTPCycle) -> None:
        task = start(loop, cycle.run())
        if not cycle.ended:
            cycle.watch(task, loop.stop)
            while not cycle.ended:
                loop.run_forever()
            loop.stop()
            loop.run_forever()  # what was about to run, such as a transport's closing

    async def _run_inside(self, loop: asyncio.AbstractEventLoop, cycle: HTTPCycle) -> None:
        ended = asyncio.Event()
        task = loop.create_task(cycle.run())
        cycle.watch(task, ended.set)
        try:
            await ended.wait()
        except asyncio.CancelledError:
            task.cancel()  # whoever wanted its answer has gone
            raise

    def _release(
        self, loop: asyncio.AbstractEventLoop, context: Any, transport: Transport | None = None
    ) -> None:
        try:
            if self._hook is not None:
                loop.run_until_complete(self._hook.run(context, transport))
        finally:
            process_loop.release()

    def _delivery(self, event: Any, context: Any) -> Delivery:
        source = self._source_of(event, context)
        is_own = self._loaded.get(source.name) is source
        delivery = self._deliveries.get(source.name) if is_own else None
        if delivery is None:
            from penstock.adapter.delivery import Delivery

            delivery = Delivery(
                source, self._settings, self._rules, self._log_access, is_own=is_own
            )
            if is_own:
                self._deliveries[source.name] = delivery
        return delivery

    def _cycle(
        self,
        source: EventSource,
        event: Any,
        context: Any,
        loop: asyncio.AbstractEventLoop,
        transport: Transport | None = None,
        delivery: Delivery | None = None,
    ) -> HTTPCycle:
        settings = self._settings
        streams = delivery is not None and transport is not None and delivery.streams(transport)
        scope, body = source.read(event, settings)
        limit = source.time_limit if settings.time_limit is None else settings.time_limit
        if streams and settings.time_limit is None:
            limit = None  # a front door that streams waits as long as Lambda does
        left = seconds_left(context)
        if limit and (left is None or limit < left):
            left = limit  # the front door gives up before Lambda does
        deadline = None
        margin = settings.stream_deadline_margin if streams else settings.deadline_margin
        if left is not None:
            margin = min(margin, left / 2)  # at least half of the time is the application's
            deadline = loop.time() + left - margin
        scope["aws.context"] = context
        scope["extensions"] = {
            "http.response.pathsend": {},
            "penstock": {
                "deadline": deadline,
                "no_disconnect": not streams,
                "event_source": source.name,
                "request_id": getattr(context, "aws_request_id", None),
            },
        }
        if delivery is not None and transport is not None:
            return delivery.open(
                transport, event, self.app, self._lifespan, scope, body, deadline, margin / 2, loop
            )
        sink = BufferedSink(source.name, source.answer_limit(event))
        return HTTPCycle(self.app, self._lifespan, scope, body, sink, deadline, margin / 2, loop)

    def _answer(self, source: EventSource, cycle: HTTPCycle) -> Any:
        scope, reply = cycle.scope, None
        try:
            if cycle.error is not None or cycle.expired:
                from penstock.adapter.outcome import report

                report(cycle, raise_errors=self._settings.raise_errors)
            if cycle.exchange.state is ExchangeState.COMPLETE:
                body = cycle.sink.body()
                reply = self._rules.reply(cycle.exchange, body, is_head=scope["method"] == "HEAD")
            else:
                from penstock.adapter.outcome import substitute

                reply = substitute(cycle)
            try:
                answer = source.write(reply, scope, self._settings)
            except EventFailed as failure:
                raise failure from cycle.error
            if reply.most_bytes(cycle.exchange.header_bytes) > cycle.sink.limit_bytes:
                from penstock.adapter.outcome import too_large_reply

                smaller = too_large_reply(cycle, reply, answer)
                if smaller is not None:
                    reply = smaller
                    answer = source.write(reply, scope, self._settings)
            return answer
        finally:
            if self._log_access is not None:
                self._log_access(source, scope, reply, cycle.began)

    def _refuse(self, source: EventSource, event: Any, context: Any, error: EventError) -> Any:
        reply, scope = _refusal(event, context, error)
        if self._log_access is not None:
            self._log_access(source, scope, reply, perf_counter())
        return source.write(reply, scope, self._settings)

    def _source_of(self, event: Any, context: Any) -> EventSource:
        for source in self._own_sources:
            if source.matches(event, context):
                return source
        name = recognise(event)
        if name not in self._loaded:
            if name == "websocket":
                raise UnsupportedEvent(
                    "websocket", described(event), "WebSocket APIs are not served by this version"
                )
            if name == "event" and self._settings.events_path is None:
                from penstock.adapter.sources.event import event_kind

                raise UnsupportedEvent(
                    event_kind(event),
                    described(event),
                    "expected an HTTP request. To pass such events to the application, set"
                    ' events_path="/events" (PENSTOCK_EVENTS_PATH) and serve POST there',
                )
            self._loaded[name] = load(name)
        return self._loaded[name]

    def _start_in_init_phase(self) -> None:
        if process_loop.reserved:
            return  # penstock's runtime will start the application
        if self._settings.invoke_mode != "buffered":
            logger.warning(
                "invoke_mode=%r: AWS's runtime client for Python cannot stream, so each response is"
                " sent when it is complete. Run the function on penstock.adapter.runtime",
                self._settings.invoke_mode,
            )
        if self._settings.lifespan == "off" or is_loop_running():
            return
        process_loop.run(self.start_up())


def _refusal(event: Any, context: Any, error: EventError) -> tuple[Reply, Scope]:
    """Return what the client of an event gets that is no request, and the scope as far as known."""
    from penstock.adapter.outcome import refusal

    reply = refusal(error, getattr(context, "aws_request_id", None))
    return reply, {"aws.event": event, "aws.context": context}
