"""Start-up and shutdown of a handler, as an ASGI server asks for them.

Source: ASGI specification, Lifespan Protocol 2.0.
"""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from penstock.handler.exceptions import ASGIProtocolError, HandlerError
from penstock.handler.signals import shutdown, startup

if TYPE_CHECKING:
    from penstock.handler.asgi import ASGIHandler


class LifespanUnsupported(HandlerError, RuntimeError):
    """The handler takes no lifespan scope; ASGI servers go on without one."""


logger = logging.getLogger("penstock.lifespan")


async def serve_lifespan(handler: ASGIHandler, scope: Any, receive: Any, send: Any) -> None:
    """Run the handler's start-up, wait for the server to stop, run its shutdown.

    Start-up is the signal ``startup``, then the ``lifespan`` context manager; shutdown is the
    context manager's exit, the signal ``shutdown``, the leased threads. What had begun before a
    start-up failed is ended in the same order. The mapping that the context manager yields is
    merged into ``scope["state"]``, or kept on the handler if the server has no state.

    Raises:
        LifespanUnsupported: it is ``"off"``; servers then go on without.
    """
    if handler.lifespan_factory == "off":
        raise LifespanUnsupported("this handler was made with lifespan='off'")
    await _expect(receive, "lifespan.startup")
    phase = "startup"
    try:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(_end, handler)
            await startup.asend(type(handler), handler=handler)
            if handler.lifespan_factory is not None:
                state = await stack.enter_async_context(handler.lifespan_factory(handler))
                if state is not None:
                    scope.get("state", handler.state).update(state)
            await send({"type": "lifespan.startup.complete"})
            phase = "shutdown"
            await _expect(receive, "lifespan.shutdown")
    except Exception as error:
        logger.exception("lifespan %s failed", phase)
        message = f"{type(error).__name__}: {error}"
        await send({"type": f"lifespan.{phase}.failed", "message": message})
    else:
        await send({"type": "lifespan.shutdown.complete"})


async def _end(handler: ASGIHandler) -> None:
    try:
        await shutdown.asend(type(handler), handler=handler)
    finally:
        handler.state.clear()
        handler.threads.shutdown()


async def _expect(receive: Any, expected: str) -> None:
    message = await receive()
    if message["type"] != expected:
        raise ASGIProtocolError(
            f"lifespan scope: expected the message {expected}, got {message['type']!r}"
        )
