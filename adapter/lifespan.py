"""The application's lifespan: start-up once per execution environment, shutdown on request."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Any

from penstock.adapter.errors import LifespanError, ProtocolError

if TYPE_CHECKING:
    from penstock.adapter.asgi import ASGIApp, Message

logger = logging.getLogger("penstock")


# Event loops hold their tasks weakly, and an application stays up when its adapter is dropped.
_tasks: set[asyncio.Task[None]] = set()


STARTUP_S = 9.0
"""What start-up may take of the ten seconds that Lambda's init phase has on demand."""


def init_limit() -> float | None:
    """Return the seconds that start-up may take in the init phase; None where it has minutes.

    Source: Lambda Developer Guide, "Understanding the Lambda execution environment lifecycle": 10
    seconds on demand; 130 and more with SnapStart, provisioned concurrency, Managed Instances.
    """
    kind = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
    return STARTUP_S if kind == "on-demand" else None


class Lifespan:
    """Runs the lifespan protocol of one application ("Lifespan Protocol", ASGI).

    ``mode`` is ``auto`` (an application that raises or returns has none), ``on`` (then that is a
    LifespanError) or ``off``. Attributes: ``settled``, true once start-up is over and the
    application can be used; ``state``, to be copied into each request's scope.
    """

    def __init__(self, app: ASGIApp, mode: str) -> None:
        self._app = app
        self._mode = mode
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reset()

    def _reset(self) -> None:
        self.settled = self._mode == "off"
        self.state: dict[str, Any] = {}
        self._started: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._received = 0

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Make sure that the application, if started, was started on this event loop.

        An application whose loop is closed has gone with it and will be started again.
        Raises: LifespanError if its loop is another one that is still open.
        """
        if self._loop is loop:
            return
        if self._started is not None and self._loop is not None and not self._loop.is_closed():
            raise LifespanError(
                "the application was started on another event loop, which is still open:"
                " use one adapter from one event loop"
            )
        self._loop = loop
        self._reset()

    async def startup(self) -> None:
        """Start the application, or wait for the start-up that is under way.

        Cancelling the wait does not cancel the start-up. Raises: LifespanError if it failed; the
        next call tries again.
        """
        if self._started is None:
            loop = asyncio.get_running_loop()
            self._started = loop.create_future()
            self._shutdown = loop.create_future()
            self._ended = loop.create_future()
            self._task = loop.create_task(self._run())
            _tasks.add(self._task)
            self._task.add_done_callback(_tasks.discard)
        started, task = self._started, self._task
        try:
            await asyncio.shield(started)
        except LifespanError:
            if self._started is started and task is not None:
                self._reset()
                task.cancel()  # what failed must not answer for the next try
            raise

    async def shutdown(self) -> None:
        """Tell the application to shut down and wait for its answer; does nothing if never started.

        A shutdown that fails is logged: the environment is going away in any case.
        """
        gone = self._loop is not None and self._loop.is_closed()  # and the application with it
        if self._task is not None and not self._task.done() and not gone:
            self._shutdown.set_result(None)
            await self._ended
            await asyncio.wait({self._task}, timeout=1)
        self._reset()

    async def _run(self) -> None:
        started, ended = self._started, self._ended
        assert started is not None  # noqa: S101 - set by startup, for the type checker
        try:
            await self._app(
                {
                    "type": "lifespan",
                    "asgi": {"version": "3.0", "spec_version": "2.0"},
                    "state": self.state,
                },
                self._receive,
                self._send,
            )
            problem = "it returned without an answer to lifespan.startup"
            error: BaseException | None = None
        except (SystemExit, KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as raised:
            problem = f"it raised {type(raised).__name__}: {raised}"
            error = raised
        if not started.done():
            self._unsupported(started, problem, error)
        elif (
            error is not None
            and started.exception() is None
            and not isinstance(error, asyncio.CancelledError)  # its loop is being closed
        ):
            logger.error("the application's lifespan ended with an error", exc_info=error)
        if not ended.done():
            ended.set_result(None)

    def _unsupported(
        self, started: asyncio.Future[None], problem: str, error: BaseException | None
    ) -> None:
        if self._mode == "on":
            failure = LifespanError(
                f"expected the application to complete its lifespan start-up, but {problem}"
            )
            failure.__cause__ = error
            started.set_exception(failure)
            return
        # ASGI asks servers to go on without lifespan. An application that raised before it asked
        # for a message, or answered as if to a request, has none; else it may have meant to start.
        meant = self._received and error is not None and not isinstance(error, ProtocolError)
        level = logging.WARNING if meant else logging.DEBUG
        logger.log(level, "going on without lifespan: %s", problem, exc_info=error)
        self._settle(started)

    def _settle(self, started: asyncio.Future[None]) -> None:
        self.settled = True
        started.set_result(None)

    async def _receive(self) -> Message:
        self._received += 1
        if self._received == 1:
            return {"type": "lifespan.startup"}
        await asyncio.shield(self._shutdown)
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        kind = message.get("type")
        started = self._started
        if started is not None and not started.done():
            if kind == "lifespan.startup.complete":
                self._settle(started)
                return
            if kind == "lifespan.startup.failed":
                started.set_exception(
                    LifespanError(
                        f"the application's start-up failed: {message.get('message', '')}"
                    )
                )
                return
        elif self._shutdown.done() and not self._ended.done():
            if kind == "lifespan.shutdown.failed":
                logger.error("the application's shutdown failed: %s", message.get("message", ""))
                self._ended.set_result(None)
                return
            if kind == "lifespan.shutdown.complete":
                self._ended.set_result(None)
                return
        raise ProtocolError(f"expected an answer to a lifespan message, got type {kind!r}")
