"""One HTTP request from its first message to its last clean-up."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from penstock.handler.base_response import default_charset
from penstock.handler.cleanup import CleanUp
from penstock.handler.exceptions import (
    ASGIProtocolError,
    ExpectingNoResponse,
    HandlerError,
    RequestAborted,
)
from penstock.handler.middleware import is_being_cancelled
from penstock.handler.receiving import StreamBody
from penstock.handler.routing import current_router
from penstock.handler.signals import got_request_exception, request_started
from penstock.handler.tasks import settle
from penstock.handler.watching import watch_of

if TYPE_CHECKING:
    from penstock.handler.asgi import ASGIHandler
    from penstock.handler.watching import Watch

logger = logging.getLogger("penstock.request")


class Stopped(HandlerError):
    """Nothing more may be sent: the client is gone, time is up, or the server cancelled us."""


class ClientGone(HandlerError):
    """``send`` raised an ``OSError``, which means a disconnect (ASGI HTTP, Disconnected Client)."""


class SendFailed(HandlerError):
    """``send`` raised something else: the server's failure, passed on to it as it is."""


class Exchange:
    """The state of one request: a task that works, and what may cut it short.

    The work (signal, middleware, view, sending, clean-up) is one task. The caller's task waits for
    it, and finishes the clean-up if the work was cut short. A listener for disconnects is started
    only after some milliseconds.

    ``reason`` says why the work was cut short: disconnect, deadline or cancelled.
    """

    def __init__(self, handler: ASGIHandler, scope: Any, receive: Any, send: Any) -> None:
        self.handler = handler
        self.scope = scope
        self.receive = receive
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._end = CleanUp(type(handler), scope)
        self.note = self._end.note
        self.reason: str | None = None
        self.started = False
        self._complete = False
        self._client_gone = False
        self._finishing = False
        self._abandoned = False
        self._task: asyncio.Task[None] | None = None
        self._listener: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._grace_timer: asyncio.TimerHandle | None = None
        self._watcher: Watch | None = None
        self._wake: asyncio.Future[None] | None = None
        # What leaves the application in the end, the first of these that is there.
        self._fatal: BaseException | None = None
        self._cancelled: asyncio.CancelledError | None = None
        self._error: BaseException | None = None
        self._protocol_error: ASGIProtocolError | None = None

    @property
    def disconnected(self) -> bool:
        """Whether the client is known to be gone."""
        return self.reason == "disconnect"

    async def run(self) -> None:
        """Serve the request; raises only what the server must see."""
        failure: Exception | None = None
        try:
            await self._open_body()
        except RequestAborted:
            return
        except ASGIProtocolError:
            raise
        except Exception as error:
            failure = error
        self._task = self._loop.create_task(self._work(failure))
        self._arm()
        await self._join()
        await self._end.run(self._outcome, self._remember_cancellation)
        self._raise_what_remains()

    async def answer(self, request: Any, response: Any = None) -> None:
        """Send the response to a request that exists already; there is nothing to listen to."""
        self._end.request = request
        self._end.announces = True
        request._exchange = self  # noqa: SLF001
        if response is not None:
            self._end.adopt(response)
        try:
            await self._respond()
        finally:
            await self._end.run(self._outcome)
        self._raise_what_remains()

    def _raise_what_remains(self) -> None:
        # The request knows its exchange: without this only the cycle collector would find them.
        self._end.request = self._end.response = None
        error = self._fatal or self._cancelled or self._error or self._protocol_error
        if error is not None:
            try:
                raise error
            finally:
                # An exception that holds its own frame would keep all of this alive.
                del error
                self._fatal = self._cancelled = self._error = None

    # The work.

    async def _open_body(self) -> None:
        handler = self.handler
        if not handler.streams_body(self.scope):
            self._end.body = await handler.read_body(self.receive)
            return
        self._end.body = body = StreamBody(
            self.receive, handler.config, on_end=self._body_ended, on_abort=self._body_aborted
        )
        await body.start()

    async def _work(self, failure: Exception | None) -> None:
        end = self._end
        try:
            end.announces = True
            if request_started.receivers:
                await request_started.asend_robust(sender=type(self.handler), scope=self.scope)
            await self._make_request(failure)
            await self._respond()
            if self.reason is None:
                self._finishing = True
                await end.run(self._outcome)
        finally:
            # A callback of the task would wake the caller one pass of the loop later.
            self._wake_up()

    async def _make_request(self, failure: Exception | None) -> None:
        handler, end = self.handler, self._end
        if failure is not None:
            end.adopt(await handler.failsafe.response_for(None, failure))
            return
        request, response = handler.create_request(self.scope, end.body)
        if request is None:
            end.adopt(response)
            return
        end.request = request
        request._exchange = self  # noqa: SLF001
        current_router.set((handler.router, request.script_name))
        if handler.config.default_charset != "utf-8":
            default_charset.set(handler.config.default_charset)

    async def _respond(self) -> None:
        """Get the response and send it; an exception is kept for the end, bar a cancellation."""
        try:
            await self._produce_and_send()
        except Stopped:
            pass
        except ClientGone as error:
            logger.debug("the client is gone: %s", error)
            self._client_gone = True
        except SendFailed as error:
            self._error = error.__cause__
        except asyncio.CancelledError as error:
            if is_being_cancelled():
                raise
            self._error = error
        except Exception as error:  # only debug_propagate_exceptions lets one through
            self._error = error
        except BaseException as error:
            # Raised here, in a task of ours, it would stop the event loop before any clean-up.
            self._fatal = error

    async def _produce_and_send(self) -> None:
        handler, end = self.handler, self._end
        request = end.request
        try:
            if end.response is None:
                end.adopt(await handler.run_get_response(request))
            response = end.response
            if request is not None and handler.finalizes(response):
                finished = await handler.finalize_response(request, response)
                if finished is not response:
                    end.adopt(finished)
            self._check_not_stopped()
            await handler.send_response(end.response, self.send, request)
        except (Stopped, ClientGone, SendFailed):
            raise
        except Exception as error:
            if not (isinstance(error, ExpectingNoResponse) and self.started):
                await self._respond_anyway(error)
                return
        except asyncio.CancelledError as error:
            if is_being_cancelled():
                raise
            await self._respond_anyway(error)
            return
        self._complete = True

    async def _respond_anyway(self, error: BaseException) -> None:
        """A response that failed while it was sent: another one if that can be, else an abort."""
        handler, end = self.handler, self._end
        if self.started:
            if got_request_exception.receivers:
                await got_request_exception.asend_robust(
                    sender=type(handler), request=end.request, exception=error
                )
            logger.error("the response was cut short: %s", error, exc_info=error)
            self._error = error
            return
        end.adopt(await handler.failsafe.response_for(end.request, error))
        try:
            await handler.send_response(end.response, self.send, end.request)
        except (Stopped, ClientGone, SendFailed):
            raise
        except Exception as second:
            logger.exception("the error page could not be sent")
            if self.started:
                self._error = second
                return
            end.adopt(handler.failsafe.builtin(end.request, None, 500))
            await handler.send_response(end.response, self.send, end.request)
        self._complete = True

    # Sending.

    def _is_stopped(self) -> bool:
        # The task that only sends the start must not take a timeout of the view for the end.
        return self.reason is not None or (
            self._task is asyncio.current_task() and is_being_cancelled()
        )

    def _check_not_stopped(self) -> None:
        if self._is_stopped():
            raise Stopped

    async def send(self, message: Any) -> None:
        """The server's ``send`` for the work: nothing leaves once it was cut short."""
        self._check_not_stopped()
        await self._deliver(message)

    async def _deliver(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            if self.started:
                raise SendFailed from RuntimeError("a response was started already")
            self.started = True
        try:
            await self._send(message)
        except OSError as error:
            raise ClientGone(str(error)) from error
        except Exception as error:
            raise SendFailed from error

    async def send_informational(self, message: Any) -> bool:
        """Send a message that may only come before the response; whether it was sent."""
        if self.started or self._is_stopped():
            return False
        await self._deliver(message)
        return True

    # What may cut the work short.

    def _arm(self) -> None:
        """Have disconnects and the deadline noticed."""
        config, loop = self.handler.config, self._loop
        hints = (self.scope.get("extensions") or {}).get("penstock") or {}
        listens = config.listen_for_disconnect
        if listens is True or (listens == "auto" and not hints.get("no_disconnect")):
            self._watcher = watch_of(loop)
            self._watcher.add(self, loop)
        deadline = hints.get("deadline")
        if config.response_timeout is not None:
            own = loop.time() + config.response_timeout
            deadline = own if deadline is None else min(deadline, own)
        if deadline is not None:
            self._timer = loop.call_at(deadline, self._cut, "deadline")

    def _is_over(self) -> bool:
        return self._finishing or (self._task is not None and self._task.done())

    def watch(self) -> None:
        """Listen, if the work is not over by now and the body does not need the messages."""
        body = self._end.body
        waits = isinstance(body, StreamBody) and not body.complete
        if self._listener is None and not self._is_over() and not waits:
            self._listener = self._loop.create_task(self._listen())

    def _body_ended(self) -> None:
        if self._watcher is not None:
            self._loop.call_soon(self.watch)

    def _body_aborted(self) -> None:
        if self._task is not None and not self._finishing:
            self.reason = self.reason or "disconnect"

    async def _listen(self) -> None:
        try:
            await self.handler.listen_for_disconnect(self.receive)
        except RequestAborted:
            self._cut("disconnect")
        except ASGIProtocolError as error:
            self._protocol_error = error
        except Exception:
            logger.exception("receive() failed while the response was made; it goes on without")

    def _cut(self, reason: str) -> None:
        """Cancel the work, unless it is in its clean-up, which runs in any case."""
        task = self._task
        if task is None or self._is_over() or self.reason is not None:
            return
        self.reason = reason
        task.cancel()
        if reason == "deadline":
            self._wake_up()
        grace = self.handler.config.disconnect_grace
        if grace is not None:
            self._grace_timer = self._loop.call_later(grace, self._abandon)

    def _abandon(self) -> None:
        task = self._task
        if task is None or task.done():
            return
        self._abandoned = True
        self.handler.abandon(task)
        logger.error(
            "%s: the view ignored its cancellation for %s s and is left behind",
            getattr(self._end.request, "path", ""),
            self.handler.config.disconnect_grace,
        )
        self._wake_up()

    # Waiting for the work.

    def _wake_up(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _remember_cancellation(self, error: asyncio.CancelledError) -> None:
        self._cancelled = error

    async def _join(self) -> None:
        """Wait until the work is over or abandoned, and the listener too."""
        task = self._task
        assert task is not None  # noqa: S101 - run() made it
        answered = False
        while not task.done() and not self._abandoned:
            self._wake = self._loop.create_future()
            try:
                await self._wake
                if self.reason == "deadline" and not answered:
                    answered = True
                    await self._answer_deadline()
            except asyncio.CancelledError as error:
                self._cancelled = error
                if self._is_over() or self.reason is not None:
                    task.cancel()
                else:
                    self._cut("cancelled")
        self._finishing = True
        for timer in (self._timer, self._grace_timer):
            if timer is not None:
                timer.cancel()
        if self._watcher is not None:
            self._watcher.remove(self)
        if task.done() and not task.cancelled():
            self._error = self._error or task.exception()
        if self._listener is not None:
            try:
                await settle(self._listener)
            except asyncio.CancelledError as error:
                self._cancelled = error

    async def _answer_deadline(self) -> None:
        """Tell the client that there will be no answer, if it has seen nothing of one yet."""
        failsafe, request = self.handler.failsafe, self._end.request
        if self.started:
            return
        try:
            await self._send_instead(await failsafe.for_status(request, 504))
            if not self.started:  # the page failed, or its response could not be sent
                await self._send_instead(failsafe.builtin(request, None, 504))
        except ClientGone:
            self._client_gone = True
        except SendFailed as error:
            self._error = error.__cause__

    async def _send_instead(self, response: Any) -> None:
        """Send a response in place of the one that the work has not come up with."""
        if self.started:
            self._end.note(response)
            return
        self._end.adopt(response)
        try:
            await self.handler.send_response(response, self._deliver, self._end.request)
        except (ClientGone, SendFailed):
            raise
        except Exception as error:
            logger.exception("the response to a request that ran out of time failed")
            if self.started:
                self._error = error

    def _outcome(self) -> str:
        if self._complete:
            return "complete"
        if self._client_gone:
            return "disconnect"
        if self.reason in {"disconnect", "cancelled"}:
            return self.reason
        return "error"
