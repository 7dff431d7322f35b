"""An ASGI application as a view, so that middleware is around it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from penstock.handler.exceptions import ASGIProtocolError, RequestAborted
from penstock.handler.streaming import StreamingHttpResponse
from penstock.handler.tasks import settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


def as_view(app: Any, child_scope: Callable[[Any, str], dict[str, Any]]) -> Callable[..., Any]:
    """A view that answers with what ``app`` sends, part by part.

    The application runs as a task of its own, one part ahead of the client at most, and is
    cancelled when the response is closed before it has ended.
    """

    async def view(request: Any) -> Any:
        running = _Running(request)
        scope = child_scope(request.scope, request.script_name)
        return await running.start(app, scope)

    return view


class _Running:
    """One request to a mounted application."""

    def __init__(self, request: Any) -> None:
        self._body = request.astream()
        self._body_ended = False
        self._parts: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(maxsize=1)
        self._closed = asyncio.Event()
        self._complete = False
        self._task: asyncio.Task[None] | None = None

    async def start(self, app: Any, scope: Any) -> Any:
        self._task = asyncio.get_running_loop().create_task(self._run(app, scope))
        try:
            message = await self._first(self._task)
        except BaseException:
            await settle(self._task)
            raise
        response = StreamingHttpResponse(self._content(), status=message["status"])
        del response["content-type"]
        for name, value in message.get("headers", ()):
            response.headers.add(name.decode("latin-1"), value)
        response.add_closer(self._close)
        return response

    async def _first(self, task: asyncio.Task[None]) -> dict[str, Any]:
        message = await self._parts.get()
        if message is None:
            await task  # raises what the application raised
            raise ASGIProtocolError("the mounted application ended without a response")
        if message["type"] != "http.response.start":
            raise ASGIProtocolError(f"expected http.response.start, got {message['type']!r}")
        return message

    async def _run(self, app: Any, scope: Any) -> None:
        try:
            await app(scope, self._receive, self._parts.put)
        except Exception:
            await self._parts.put(None)
            raise
        await self._parts.put(None)

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
        while (message := await self._parts.get()) is not None:
            if message.get("body"):
                yield message["body"]
            if not message.get("more_body", False):
                self._complete = True
                return
        assert self._task is not None  # noqa: S101 - start() made it
        await self._task
        raise ASGIProtocolError("the mounted application ended in the middle of its response")

    async def _close(self) -> None:
        self._closed.set()
        assert self._task is not None  # noqa: S101 - start() made it
        # After its last message it may still have work to do, such as background tasks.
        await settle(self._task, cancel=not self._complete)
