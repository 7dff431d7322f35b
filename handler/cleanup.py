"""What remains to be done once a response was sent or given up."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from penstock.handler.coroutines import is_async_callable
from penstock.handler.hops import in_request_thread
from penstock.handler.offloading import in_thread
from penstock.handler.sending import close_response, closed_at_once
from penstock.handler.signals import request_finished
from penstock.handler.tasks import is_being_cancelled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

logger = logging.getLogger("penstock.request")


def note(request: Any, response: Any) -> None:
    """Have the response closed in the end, should it get lost: replaced, or cancelled over.

    It is for what user code gives: view, middleware, error handler. Outside a handler it does
    nothing.
    """
    exchange = request.__dict__.get("_exchange")
    if exchange is not None:
        exchange.end.note(response)


class CleanUp:
    """Closers, uploaded files, background tasks, ``request_finished``, body; in this order.

    Each step is begun once, however often ``run`` is called. Failures are logged, and the next step
    is taken. ``cancelled`` and ``fatal`` are what came meanwhile and is to be raised in the end: a
    cancellation, and an exception that ends the process.
    """

    # Class attributes are the initial values: instances are made for each request.
    request: Any = None
    response: Any = None
    body: Any = None
    announces = False
    cancelled: asyncio.CancelledError | None = None
    fatal: BaseException | None = None

    def __init__(self, sender: type, scope: Any) -> None:
        self._sender = sender
        self._scope = scope
        self._responses: list[Any] = []

    def adopt(self, response: Any) -> None:
        """Take a response over: it is closed in the end, sent or not."""
        self.response = response
        self.note(response)

    def note(self, response: Any) -> None:
        """Have the response closed in the end, even if it is not the one that is sent."""
        for one in self._responses:
            if one is response:
                return
        self._responses.append(response)

    async def run(self, outcome: Callable[[], str]) -> None:
        """Do what is left; nothing is raised."""
        while self._responses:
            response = self._responses.pop(0)
            if not closed_at_once(response):
                await self._step(_close_response, response)
        request = self.request
        if request is not None:
            if "_form" in request.__dict__:
                _close(request)  # its uploads
            background = request.__dict__.get("_background")
            while background:
                await self._step(_run_background, *background.pop(0))
        if self.announces:
            self.announces = False
            if request_finished.receivers:
                await self._step(self._announce, outcome())
        if self.body is not None and not isinstance(self.body, bytes):
            if getattr(self.body, "rolled", False):
                await self._step(_close_file_of, self.body)
            _close(self.body)  # which a thread has not done if there is none any more

    async def _step(self, step: Callable[..., Awaitable[None]], *args: Any) -> None:
        try:
            if is_being_cancelled():
                # A cancellation that waits for its turn must not hit the step that comes now.
                await asyncio.sleep(0)
        except asyncio.CancelledError as error:
            self.cancelled = error
        try:
            await step(*args)
        except asyncio.CancelledError as error:
            if is_being_cancelled():
                self.cancelled = error
            else:
                logger.exception("a step of the clean-up cancelled itself")
        except GeneratorExit:
            raise  # of a coroutine that is thrown away: it may not wait for anything any more
        except BaseException as error:
            # Raised here, in a task of ours, it would stop the event loop at once.
            self.fatal = error

    async def _announce(self, outcome: str) -> None:
        await request_finished.asend_robust(
            sender=self._sender,
            scope=self._scope,
            request=self.request,
            response=self.response,
            outcome=outcome,
        )


def _close(what: Any) -> None:
    try:
        what.close()
    except Exception:
        logger.exception("closing %r failed", what)


async def _close_file_of(body: Any) -> None:
    # To give back 64 MiB takes the file system 8 ms, and a hop less than a tenth of one.
    try:
        await in_thread(body.close)
    except Exception:
        logger.exception("closing %r in a thread failed", body)


async def _close_response(response: Any) -> None:
    try:
        await close_response(response)
    except Exception:
        logger.exception("closing the response failed")


async def _run_background(function: Any, args: Any, kwargs: Any) -> None:
    try:
        if is_async_callable(function):
            await function(*args, **kwargs)
        else:
            await in_request_thread(function, *args, **kwargs)
    except Exception:
        logger.exception("a background task failed: %r", function)
