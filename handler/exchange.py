"""One HTTP request from its first message to its last clean-up."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from penstock.handler.base_response import default_charset
from penstock.handler.cleanup import CleanUp
from penstock.handler.contexts import InOwnContext
from penstock.handler.exceptions import (
    ASGIProtocolError,
    ExpectingNoResponse,
    HandlerError,
    RequestAborted,
)
from penstock.handler.receiving import StreamBody
from penstock.handler.routing import current_router
from penstock.handler.signals import got_request_exception, request_started
from penstock.handler.supervision import Supervision
from penstock.handler.tasks import comes_from_outside, is_being_cancelled

if TYPE_CHECKING:
    from penstock.handler.asgi import ASGIHandler

logger = logging.getLogger("penstock.request")


class Stopped(HandlerError):
    """Nothing more may be sent: the client is gone, or time is up."""


class ClientGone(HandlerError):
    """``send`` raised an ``OSError``, which means a disconnect (ASGI HTTP, Disconnected Client)."""


class SendFailed(HandlerError):
    """``send`` raised something else: the server's failure, passed on to it as it is."""


class Exchange:
    """The state of one request, and its work: signal, request, middleware, view, sending, clean-up.

    The work runs in a context of its own. Where nothing but a cancellation by the server can cut it
    short, it runs in the server's task; elsewhere in one of its own, which ``Supervision`` ends.

    ``reason`` says why the work was cut short: disconnect, deadline or cancelled. ``started``:
    whether the server was given the start of a response. ``ending``: whether the clean-up has
    begun, which runs to its end in any case.
    """

    # Class attributes are the initial values: instances are made for each request.
    reason: str | None = None
    started = False
    ending = False
    client_gone = False
    supervision: Supervision | None = None
    _complete = False
    _failure: Exception | None = None  # to receive the body
    _task: asyncio.Task[Any] | None = None

    # What leaves the application in the end, the first of these that is there.
    fatal: BaseException | None = None
    cancelled: asyncio.CancelledError | None = None
    error: BaseException | None = None
    protocol_error: ASGIProtocolError | None = None

    def __init__(self, handler: ASGIHandler, scope: Any, receive: Any, send: Any) -> None:
        self.handler = handler
        self.scope = scope
        self.receive = receive
        self._send = send
        self.end = CleanUp(type(handler), scope)

    @property
    def disconnected(self) -> bool:
        """Whether the client is known to be gone."""
        return self.client_gone or self.reason == "disconnect"

    async def run(self) -> None:
        """Serve the request; raises only what the server must see."""
        try:
            await self._open_body()
        except RequestAborted:
            return
        except ASGIProtocolError:
            raise
        except Exception as error:
            self._failure = error
        config = self.handler.config
        hints = (self.scope.get("extensions") or {}).get("penstock") or {}
        listens = config.listen_for_disconnect
        if listens == "auto":
            listens = not hints.get("no_disconnect")
        if (
            listens
            or config.response_timeout is not None
            or config.disconnect_grace is not None
            # A task that was cancelled before cannot tell what cancels it now from that.
            or is_being_cancelled()
        ):
            await Supervision(self, hints.get("deadline"), listens=listens).run()
        else:
            # A hinted deadline is kept by the server that hints it: it cancels this task then.
            await InOwnContext(self._work_to_the_end())
        self._raise_what_remains()

    async def answer(self, request: Any, response: Any = None) -> None:
        """Send the response to a request that exists already; there is nothing to listen to."""
        end = self.end
        end.request = request
        end.announces = True
        request._exchange = self  # noqa: SLF001
        if response is not None:
            end.adopt(response)
        await self._respond()
        await end.run(self.outcome)
        self._raise_what_remains()

    def _raise_what_remains(self) -> None:
        end = self.end
        # These know the exchange: without this only the cycle collector would find them.
        end.request = end.response = end.body = self.supervision = None
        error = (
            self.fatal
            or end.fatal
            or self.cancelled
            or end.cancelled
            or self.error
            or self.protocol_error
        )
        if error is not None:
            try:
                raise error
            finally:
                # An exception that holds its own frame would keep all of this alive.
                del error
                self.fatal = self.cancelled = self.error = self.protocol_error = None
                end.fatal = end.cancelled = None

    async def _open_body(self) -> None:
        handler = self.handler
        if not handler.streams_body(self.scope):
            self.end.body = await handler.read_body(self.receive)
            return
        self.end.body = body = StreamBody(
            self.receive, handler.config, on_end=self._body_ended, on_abort=self._body_aborted
        )
        await body.start()

    def _body_ended(self) -> None:
        if self.supervision is not None:
            self.supervision.body_ended()

    def _body_aborted(self) -> None:
        self.reason = self.reason or "disconnect"

    # The work.

    async def _work_to_the_end(self) -> None:
        await self.work()
        self.ending = True
        await self.end.run(self.outcome)

    async def work(self) -> None:
        """Do all but the clean-up; what goes wrong is kept for the end, and not raised."""
        self._task = asyncio.current_task()
        await self._respond()

    async def _respond(self) -> None:
        try:
            await self._produce_and_send()
        except Stopped:
            pass
        except ClientGone as error:
            logger.debug("the client is gone: %s", error)
            self.client_gone = True
        except SendFailed as error:
            self.error = error.__cause__
        except asyncio.CancelledError as error:
            if self.reason is None:
                self.reason, self.cancelled = "cancelled", error
        except Exception as error:  # only debug_propagate_exceptions lets one through
            self.error = error
        except GeneratorExit:
            raise  # of a coroutine that is thrown away: it may not wait for anything any more
        except BaseException as error:
            # Raised in a task of ours it would stop the event loop before any clean-up.
            self.fatal = error

    async def _produce_and_send(self) -> None:
        handler, end = self.handler, self.end
        try:
            if not end.announces:
                await self._begin()
            request = end.request
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
        except (Exception, asyncio.CancelledError) as error:
            if comes_from_outside(error):
                raise
            if not (isinstance(error, ExpectingNoResponse) and self.started):
                await self._respond_anyway(error)
                return
        self._complete = True

    async def _begin(self) -> None:
        handler, end = self.handler, self.end
        end.announces = True
        if request_started.receivers:
            await request_started.asend_robust(sender=type(handler), scope=self.scope)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            try:
                raise failure
            finally:
                del failure  # as in _raise_what_remains
        request, response = handler.create_request(self.scope, end.body)
        if request is None:
            end.adopt(response)
            return
        end.request = request
        request._exchange = self  # noqa: SLF001
        current_router.set((handler.router, request.script_name))
        if handler.config.default_charset != "utf-8":
            default_charset.set(handler.config.default_charset)

    async def _respond_anyway(self, error: BaseException) -> None:
        """A response that failed while it was sent: another one if that can be, else an abort."""
        handler, end = self.handler, self.end
        if self.started:
            if got_request_exception.receivers:
                await got_request_exception.asend_robust(
                    sender=type(handler), request=end.request, exception=error
                )
            logger.error("the response was cut short: %s", error, exc_info=error)
            self.error = error
            return
        end.adopt(await handler.failsafe.response_for(end.request, error))
        try:
            await handler.send_response(end.response, self.send, end.request)
        except (Stopped, ClientGone, SendFailed):
            raise
        except (Exception, asyncio.CancelledError) as second:
            if comes_from_outside(second):
                raise
            logger.exception("the error page could not be sent")
            if self.started:
                self.error = second
                return
            end.adopt(handler.failsafe.builtin(end.request, None, 500))
            await handler.send_response(end.response, self.send, end.request)
        self._complete = True

    async def answer_deadline(self) -> None:
        """Tell the client that there will be no answer, if it has seen nothing of one yet."""
        failsafe, request = self.handler.failsafe, self.end.request
        if self.started:
            return
        try:
            await self._send_instead(await failsafe.for_status(request, 504))
            if not self.started:  # the page failed, or its response could not be sent
                await self._send_instead(failsafe.builtin(request, None, 504))
        except ClientGone:
            self.client_gone = True
        except SendFailed as error:
            self.error = error.__cause__

    async def _send_instead(self, response: Any) -> None:
        """Send a response in place of the one that the work has not come up with."""
        self.end.adopt(response)
        try:
            await self.handler.send_response(response, self._deliver, self.end.request)
        except (ClientGone, SendFailed):
            raise
        except (Exception, asyncio.CancelledError) as error:
            if comes_from_outside(error):
                raise
            logger.exception("the response to a request that ran out of time failed")
            if self.started:
                self.error = error

    def outcome(self) -> str:
        """How the request went, for ``request_finished``."""
        if self._complete:
            return "complete"
        if self.client_gone:
            return "disconnect"
        if self.reason in {"disconnect", "cancelled"}:
            return self.reason
        return "error"

    # Sending.

    def _is_being_cancelled(self) -> bool:
        task = self._task
        if task is None or not task.cancelling():
            return False
        # The task that only sends the start must not take a timeout of the view for the end.
        return task is asyncio.current_task()

    def _check_not_stopped(self) -> None:
        if self.reason is not None:
            raise Stopped
        if self._is_being_cancelled():
            raise asyncio.CancelledError  # which the view has swallowed

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
        if self.started or self.ending or self.reason is not None or self._is_being_cancelled():
            return False
        await self._deliver(message)
        return True
