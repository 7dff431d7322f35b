"""One HTTP request from its first message to its last clean-up."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from penstock.handler.base_response import default_charset
from penstock.handler.exceptions import (
    ASGIProtocolError,
    ExpectingNoResponse,
    HandlerError,
    RequestAborted,
)
from penstock.handler.middleware import is_being_cancelled
from penstock.handler.receiving import StreamBody
from penstock.handler.routing import current_router
from penstock.handler.sending import close_response, closed_at_once
from penstock.handler.signals import got_request_exception, request_finished, request_started
from penstock.handler.tasks import settle

if TYPE_CHECKING:
    from penstock.handler.asgi import ASGIHandler

logger = logging.getLogger("penstock.request")
# Seconds before anybody listens for a disconnect: most requests are over by then, and a task that
# listens costs more than all the rest of a small one.
_UNWATCHED = 0.005


class Stopped(HandlerError):
    """Nothing more may be sent: the client is gone, time is up, or the server cancelled us."""


class ClientGone(HandlerError):
    """``send`` raised an ``OSError``, which means a disconnect (ASGI HTTP, Disconnected Client)."""


class SendFailed(HandlerError):
    """``send`` raised something else: the server's failure, passed on to it as it is."""


class Exchange:
    """The state of one request: a task that works, and what may cut it short.

    The work (middleware, view, sending, clean-up) is one task. The caller's task waits for it, and
    finishes the clean-up if the work was cut short in it. A listener for disconnects is started
    only after some milliseconds.

    ``reason`` says why the work was cut short: disconnect, deadline or cancelled.
    """

    def __init__(self, handler: ASGIHandler, scope: Any, receive: Any, send: Any) -> None:
        self.handler = handler
        self.scope = scope
        self.receive = receive
        self._send = send
        self.extensions = scope.get("extensions") or {}
        self.request: Any = None
        self.response: Any = None
        self.reason: str | None = None
        self.started = False
        self.complete = False
        self._task: asyncio.Task[None] | None = None
        self._listener: asyncio.Task[None] | None = None
        self._wake: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._body: Any = None
        self._responses: list[Any] = []
        self._finishing = False
        self._abandoned = False
        self._signalled = False
        self._outcome: str | None = None
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
        handler = self.handler
        if request_started.receivers:
            await request_started.asend_robust(sender=type(handler), scope=self.scope)
        await self._make_request(failure)
        self._task = task = self._loop.create_task(self._work_and_wake())
        self._arm()
        await self._join()
        await self._clean_up()
        self._raise_what_remains()

    async def answer(self, request: Any, response: Any = None) -> None:
        """Send the response to a request that exists already; there is nothing to listen to."""
        self.request = request
        request._exchange = self  # noqa: SLF001
        if response is not None:
            self._adopt(response)
        try:
            await self._work()
        finally:
            await self._clean_up()
        self._raise_what_remains()

    def _raise_what_remains(self) -> None:
        error = self._fatal or self._cancelled or self._error or self._protocol_error
        if error is not None:
            try:
                raise error
            finally:
                # An exception that holds its own frame would keep all of this alive.
                del error
                self._fatal = self._cancelled = self._error = None

    # In: the body and the request.

    async def _open_body(self) -> None:
        handler = self.handler
        if not handler.streams_body(self.scope):
            self._body = await handler.read_body(self.receive)
            return
        self._body = body = StreamBody(
            self.receive, handler.config, on_end=self._body_ended, on_abort=self._body_aborted
        )
        await body.start()

    def _body_ended(self) -> None:
        if self._task is not None:
            self._loop.call_soon(self._watch)

    def _body_aborted(self) -> None:
        if self._task is not None and not self._finishing:
            self.reason = self.reason or "disconnect"

    async def _make_request(self, failure: Exception | None) -> None:
        handler, body = self.handler, self._body
        if failure is None:
            self.request, response = handler.create_request(self.scope, body)
        else:
            self.request, response = None, await handler.failsafe.response_for(None, failure)
        if self.request is None:
            self._adopt(response)
        else:
            self.request._exchange = self  # noqa: SLF001

    def _adopt(self, response: Any) -> None:
        """Take a response over: it is closed in the end, sent or not."""
        self.response = response
        self._responses.append(response)

    # The work.

    async def _work_and_wake(self) -> None:
        # A callback of the task would wake the caller one pass of the loop later.
        try:
            await self._work()
        finally:
            self._wake_up(None)

    async def _work(self) -> None:
        handler, request = self.handler, self.request
        try:
            if request is not None:
                current_router.set((handler.router, request.script_name))
            if handler.config.default_charset != "utf-8":
                default_charset.set(handler.config.default_charset)
            if self.response is None:
                self._adopt(await handler.run_get_response(request))
            await self._respond()
        except Stopped:
            pass
        except ExpectingNoResponse as error:
            if not self.started:
                self._error = error
        except ClientGone as error:
            logger.debug("the client is gone: %s", error)
            self._outcome = "disconnect"
        except SendFailed as error:
            self._error = error.__cause__
        except Exception as error:  # only debug_propagate_exceptions lets one through
            self._error = error
        except asyncio.CancelledError as error:
            if is_being_cancelled():
                raise
            self._error = error
        except BaseException as error:
            # Raised here, in a task of ours, it would stop the event loop before any clean-up.
            self._fatal = error
        if self.reason is None:
            self._finishing = True
            await self._clean_up()

    async def _respond(self) -> None:
        handler, request = self.handler, self.request
        try:
            response = self.response
            if request is not None and handler.finalizes(response):
                finished = await handler.finalize_response(request, response)
                if finished is not response:
                    self._adopt(finished)
            if self._is_stopped():
                raise Stopped
            await handler.send_response(self.response, self.send, request)
            self.complete = True
        except (Stopped, ClientGone, SendFailed):
            raise
        except Exception as error:
            await self._respond_anyway(error)
        except asyncio.CancelledError as error:
            if is_being_cancelled():
                raise
            await self._respond_anyway(error)

    async def _respond_anyway(self, error: BaseException) -> None:
        """A response that failed while it was sent: another one if that can be, else an abort."""
        handler, request = self.handler, self.request
        if self.started:
            if got_request_exception.receivers:
                await got_request_exception.asend_robust(
                    sender=type(handler), request=request, exception=error
                )
            logger.error("the response was cut short: %s", error, exc_info=error)
            self._error = error
            return
        self._adopt(await handler.failsafe.response_for(request, error))
        try:
            await handler.send_response(self.response, self.send, request)
        except (Stopped, ClientGone, SendFailed):
            raise
        except Exception as second:
            logger.exception("the error page could not be sent")
            if self.started:
                self._error = second
                return
            self._adopt(handler.failsafe.builtin(request, None, 500))
            await handler.send_response(self.response, self.send, request)
        self.complete = True

    def _is_stopped(self) -> bool:
        task = self._task
        return self.reason is not None or (task is not None and task.cancelling() > 0)

    async def send(self, message: Any) -> None:
        """The server's ``send`` for the work: nothing leaves once it was cut short."""
        if self._is_stopped():
            raise Stopped
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

    # What may cut it short.

    def _arm(self) -> None:
        """Have disconnects and the deadline noticed."""
        config, hints = self.handler.config, self.extensions.get("penstock") or {}
        listens = config.listen_for_disconnect
        if listens is True or (listens == "auto" and not hints.get("no_disconnect")):
            self._loop.call_later(_UNWATCHED, self._watch)
        deadline = hints.get("deadline")
        if config.response_timeout is not None:
            own = self._loop.time() + config.response_timeout
            deadline = own if deadline is None else min(deadline, own)
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._cut, "deadline")

    def _watch(self) -> None:
        """Listen, if the work is not over by now and the body does not need the messages."""
        body = self._body
        waits = isinstance(body, StreamBody) and not body.complete
        if self._listener is None and not self._finishing and not self._is_over() and not waits:
            self._listener = self._loop.create_task(self._listen())

    def _is_over(self) -> bool:
        return self._task is not None and self._task.done()

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
        if self._finishing or self._is_over() or self.reason is not None:
            return
        self.reason = reason
        assert self._task is not None  # noqa: S101 - only armed with a task
        self._task.cancel()
        if reason == "deadline":
            self._wake_up(None)
        grace = self.handler.config.disconnect_grace
        if grace is not None:
            self._loop.call_later(grace, self._abandon)

    def _abandon(self) -> None:
        task = self._task
        if task is None or task.done():
            return
        self._abandoned = True
        self.handler.abandon(task)
        logger.error(
            "%s: the view ignored its cancellation for %s s and is left behind",
            getattr(self.request, "path", ""),
            self.handler.config.disconnect_grace,
        )
        self._wake_up(None)

    def _wake_up(self, _: object) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _join(self) -> None:
        """Wait until the work is over or abandoned."""
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
                if self._finishing or self.reason is not None:
                    task.cancel()
                else:
                    self._cut("cancelled")
        self._finishing = True
        if self._timer is not None:
            self._timer.cancel()
        if task.done() and not task.cancelled():
            self._error = self._error or task.exception()
        if self._listener is not None:
            await self._uninterrupted(settle(self._listener))

    async def _answer_deadline(self) -> None:
        """Tell the client that there will be no answer, if it has seen nothing of one yet."""
        if self.started:
            return
        handler = self.handler
        response = await handler.failsafe.for_status(self.request, 504)
        if self.started:
            return
        self._responses.append(response)
        try:
            await handler.send_response(response, self._deliver, self.request)
        except ClientGone:
            pass
        except SendFailed as error:
            self._error = error.__cause__

    # Out: the clean-up, each step of it once, whoever gets there.

    async def _uninterrupted(self, step: Any) -> None:
        try:
            await step
        except asyncio.CancelledError as error:
            if not is_being_cancelled():
                logger.error("a clean-up step cancelled itself", exc_info=error)
                return
            if asyncio.current_task() is self._task:
                raise
            self._cancelled = error

    async def _clean_up(self) -> None:
        while self._responses:
            response = self._responses.pop(0)
            if not closed_at_once(response):
                await self._uninterrupted(self._close(response))
        request = self.request
        if request is not None:
            if "_form" in request.__dict__:
                try:
                    request.close()
                except Exception:
                    logger.exception("closing the request failed")
            background = request.__dict__.get("_background")
            while background:
                await self._uninterrupted(_run_background(*background.pop(0)))
        if not self._signalled:
            self._signalled = True
            if request_finished.receivers:
                await self._uninterrupted(self._announce())
        body = self._body
        if body is not None and not isinstance(body, bytes):
            body.close()

    async def _close(self, response: Any) -> None:
        try:
            await close_response(response)
        except Exception:
            logger.exception("closing the response failed")

    async def _announce(self) -> None:
        await request_finished.asend_robust(
            sender=type(self.handler),
            scope=self.scope,
            request=self.request,
            response=self.response,
            outcome=self._outcome_of_all(),
        )

    def _outcome_of_all(self) -> str:
        if self.complete:
            return "complete"
        if self._outcome is not None:
            return self._outcome
        if self.reason in {"disconnect", "cancelled"}:
            return self.reason
        return "error"


async def _run_background(function: Any, args: Any, kwargs: Any) -> None:
    from penstock.handler.coroutines import is_async_callable

    try:
        if is_async_callable(function):
            await function(*args, **kwargs)
        else:
            from penstock.handler.hops import in_request_thread

            await in_request_thread(function, *args, **kwargs)
    except Exception:
        logger.exception("a background task failed: %r", function)
