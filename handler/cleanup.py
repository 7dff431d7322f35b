"""What remains to be done once a response was sent or given up."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from penstock.handler.coroutines import is_async_callable
from penstock.handler.hops import in_request_thread
from penstock.handler.middleware import is_being_cancelled
from penstock.handler.sending import close_response, closed_at_once
from penstock.handler.signals import request_finished

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("penstock.request")


class CleanUp:
    """Closers, uploaded files, background tasks, ``request_finished``, body; in this order.

    Each step is begun once, however often ``run`` is called: who is cancelled in it leaves the rest
    to the next caller. Failures are logged, and the next step is taken.
    """

    def __init__(self, sender: type, scope: Any) -> None:
        self._sender = sender
        self._scope = scope
        self.request: Any = None
        self.response: Any = None
        self.body: Any = None
        self.announces = False
        self._responses: list[Any] = []

    def adopt(self, response: Any) -> None:
        """Take a response over: it is closed in the end, sent or not."""
        self.response = response
        self.note(response)

    def note(self, response: Any) -> None:
        """Have a view's response closed even if a middleware drops it, as when it is cancelled."""
        if not any(one is response for one in self._responses):
            self._responses.append(response)

    async def run(
        self,
        outcome: Callable[[], str],
        on_cancel: Callable[[asyncio.CancelledError], None] | None = None,
    ) -> None:
        """Do what is left; ``on_cancel`` gets a cancellation, without it that is raised."""
        while self._responses:
            response = self._responses.pop(0)
            if not closed_at_once(response):
                await self._step(self._close(response), on_cancel)
        request = self.request
        if request is not None:
            if "_form" in request.__dict__:
                self._close_uploads(request)
            background = request.__dict__.get("_background")
            while background:
                await self._step(_run_background(*background.pop(0)), on_cancel)
        if self.announces:
            self.announces = False
            if request_finished.receivers:
                await self._step(self._announce(outcome()), on_cancel)
        if self.body is not None and not isinstance(self.body, bytes):
            self.body.close()

    async def _step(
        self, step: Any, on_cancel: Callable[[asyncio.CancelledError], None] | None
    ) -> None:
        try:
            await step
        except asyncio.CancelledError as error:
            if not is_being_cancelled():
                logger.exception("a step of the clean-up cancelled itself")
            elif on_cancel is None:
                raise
            else:
                on_cancel(error)

    async def _close(self, response: Any) -> None:
        try:
            await close_response(response)
        except Exception:
            logger.exception("closing the response failed")

    def _close_uploads(self, request: Any) -> None:
        try:
            request.close()
        except Exception:
            logger.exception("closing the request failed")

    async def _announce(self, outcome: str) -> None:
        await request_finished.asend_robust(
            sender=self._sender,
            scope=self._scope,
            request=self.request,
            response=self.response,
            outcome=outcome,
        )


async def _run_background(function: Any, args: Any, kwargs: Any) -> None:
    try:
        if is_async_callable(function):
            await function(*args, **kwargs)
        else:
            await in_request_thread(function, *args, **kwargs)
    except Exception:
        logger.exception("a background task failed: %r", function)
