"""An ASGI application as a view, so that middleware is around it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from penstock.handler.exceptions import ASGIProtocolError, RequestAborted
from penstock.handler.streaming import StreamingHttpResponse
from penstock.handler.tasks import settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

logger = logging.getLogger("penstock.request")


def as_view(app: Any, child_scope: Callable[[Any, str], dict[str, Any]]) -> Callable[..., Any]:
    """A view that answers with what ``app`` sends, part by part.

    The application runs as a task of its own, one part ahead of the client at most, and is
    cancelled when the response is closed before it has ended.
    """

    async def view(request: Any) -> Any:
        scope = child_scope(request.scope, request.script_name)
        # What a server may do beyond plain messages, middleware cannot be around.
        offered = scope.get("extensions") or {}
        scope["extensions"] = {
            name: value for name, value in offered.items() if not name.startswith("http.response.")
        }
        return await _Running(request).start(app, scope)

    return view


class _Running:
    """One request to a mounted application."""

    def __init__(self, request: Any) -> None:
        self._body = request.astream()
        self._body_ended = False
        self._parts: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(1)
        self._closed = asyncio.Event()
        self._ended = False
        self._complete = False
        self._error: BaseException | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self, app: Any, scope: Any) -> Any:
        self._task = asyncio.get_running_loop().create_task(self._run(app, scope))
        try:
            message = await self._first()
        except BaseException:
            await settle(self._task)
            raise
        response = StreamingHttpResponse(self._content(), status=message["status"])
        del response["content-type"]
        for name, value in message.get("headers", ()):
            response.headers.add(name.decode("latin-1"), value)
        response.add_closer(self._close)
        return response

    async def _first(self) -> dict[str, Any]:
        message = await self._next()
        if message is None:
            raise ASGIProtocolError("the mounted application ended without a response")
        if message["type"] != "http.response.start":
            raise ASGIProtocolError(f"expected http.response.start, got {message['type']!r}")
        return message

    async def _run(self, app: Any, scope: Any) -> None:
        try:
            await app(scope, self._receive, self._send)
        except BaseException as error:
            # Whatever it is (SystemExit here would stop the loop): it is the view's to raise.
            self._error = error
        self._parts.put_nowait(None)

    async def _send(self, message: dict[str, Any]) -> None:
        if not self._ended:  # what comes after the end has nowhere to go
            await self._room.acquire()
            self._parts.put_nowait(message)

    async def _next(self) -> dict[str, Any] | None:
        """The next message; None when the application has ended; or what it has raised."""
        message = await self._parts.get()
        if message is not None:
            self._room.release()
        elif self._error is not None:
            error, self._error = self._error, None
            raise error
        return message

    async def _receive(self) -> dict[str, Any]:
        if self._body_ended:
            await self._closed.wait()
            return {"type": "http.disconnect"}
        try:
            part = await anext(self._body, b"")
        except RequestAborted:
            return {"type": "http.disconnect"}
        self._body_ended = not part
        return {"type": "http.request", "body": part, "more_body": bool(part)}

    async def _content(self) -> AsyncIterator[bytes]:
        while (message := await self._next()) is not None:
            self._ended = not message.get("more_body", False)
            if message.get("body"):
                yield message["body"]
            if self._ended:
                self._complete = True  # the client has it all
                return
        raise ASGIProtocolError("the mounted application ended in the middle of its response")

    async def _close(self) -> None:
        self._closed.set()
        assert self._task is not None  # noqa: S101 - start() made it
        try:
            if self._complete:  # it may still have work to do, such as background tasks
                await asyncio.wait({self._task})
        finally:
            await settle(self._task)
        if self._complete and self._error is not None:
            logger.error("a mounted application failed after its response", exc_info=self._error)
