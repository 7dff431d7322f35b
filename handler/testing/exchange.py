"""One run of the application: messages in, messages out, and its end."""

from __future__ import annotations

import asyncio
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.handler.testing.answer import Answer, Head

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    Application = Callable[[Any, Any, Any], Awaitable[None]]


class ClientGone(OSError):
    """What ``send`` raises once the client has closed the connection (ASGI HTTP 2.4)."""


class LifespanFailed(Exception):
    """The application reported that its start-up or shutdown failed."""


class Run:
    """The application in a task; ``send`` waits until the last message has been taken."""

    def __init__(self, app: Application, scope: dict[str, Any], disconnect: dict[str, Any]) -> None:
        self._incoming: deque[dict[str, Any]] = deque()
        self._arrived = asyncio.Event()
        self._outgoing: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(1)
        self._disconnect = disconnect
        self._gone = False
        self._finished = False
        self._task = asyncio.ensure_future(app(scope, self._receive, self._send))
        self._task.add_done_callback(lambda _: self._outgoing.put_nowait(None))

    async def _receive(self) -> dict[str, Any]:
        while not self._incoming:
            if self._gone:
                return dict(self._disconnect)
            self._arrived.clear()
            await self._arrived.wait()
        return self._incoming.popleft()

    async def _send(self, message: dict[str, Any]) -> None:
        await self._room.acquire()
        if self._gone:
            self._room.release()
            raise ClientGone("the test client has closed the connection")
        self._outgoing.put_nowait(message)

    def feed(self, *messages: dict[str, Any]) -> None:
        """Let the application receive messages."""
        self._incoming.extend(messages)
        self._arrived.set()

    def end(self) -> None:
        """From here on the application receives the disconnect message."""
        self._gone = True
        self._arrived.set()

    async def next(self) -> dict[str, Any] | None:
        """Return the next message of the application; ``None`` if it has returned.

        What the application raises is raised here, once.
        """
        if self._finished:
            return None
        message = await self._outgoing.get()
        if message is None:
            self._finished = True
            await self._task
            return None
        self._room.release()
        return message

    async def finish(self) -> None:
        """Wait for the application's end; what it still sends is dropped.

        An exception that only passes on that the client has gone is dropped as well.
        """
        try:
            while await self.next() is not None:
                pass
        except Exception as error:
            if not _is_about_the_client(error):
                raise

    async def abandon(self) -> None:
        """End the application because the test does not go on with it."""
        self.end()
        self._task.cancel()
        while not self._finished:
            try:
                await self.finish()
            except (Exception, asyncio.CancelledError):  # noqa: S112 - the test has failed already
                continue


def _is_about_the_client(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ClientGone):
            return True
        error = error.__cause__ or error.__context__
    return False


class HTTPExchange:
    """A request, sent whole, and its response, read as it comes."""

    def __init__(self, app: Application, scope: dict[str, Any], body: Iterable[bytes]) -> None:
        self._run = Run(app, scope, {"type": "http.disconnect"})
        parts = list(body) or [b""]
        for number, part in enumerate(parts, 1):
            more = number < len(parts)
            self._run.feed({"type": "http.request", "body": part, "more_body": more})
        self._trailers_follow = False
        self.trailers: list[tuple[bytes, bytes]] = []

    async def head(self) -> Head:
        """Return status and headers; informational messages before them are left out."""
        while (message := await self._run.next()) is not None:
            if message["type"] == "http.response.start":
                self._trailers_follow = message.get("trailers", False)
                return Head(message["status"], message.get("headers", ()))
        raise RuntimeError("the application returned without a response")

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield the body as it is sent, without empty messages, up to the response's end."""
        more = True
        while more:
            message = await self._run.next()
            if message is None:
                raise RuntimeError("the application returned before its response was complete")
            kind = message["type"]
            if kind == "http.response.body":
                more = message.get("more_body", False) or self._trailers_follow
                if message.get("body"):
                    yield message["body"]
            elif kind == "http.response.pathsend":
                more = self._trailers_follow
                yield await asyncio.to_thread(Path(message["path"]).read_bytes)
            elif kind == "http.response.trailers":
                self.trailers.extend(message.get("headers", ()))
                more = message.get("more_trailers", False)

    async def answer(self) -> Answer:
        """Return the whole response, after the application has returned."""
        head = await self.head()
        content = b"".join([part async for part in self.parts()])
        await self.close()
        return Answer(head.status_code, head.raw_headers, content, self.trailers)

    async def close(self) -> None:
        """Close the connection and wait for the application's end."""
        self._run.end()
        await self._run.finish()

    async def abandon(self) -> None:
        """End the application because the test does not go on with it."""
        await self._run.abandon()


class LifespanRun:
    """The application's start-up and shutdown; an application without lifespan is fine."""

    def __init__(self, app: Application, state: dict[str, Any]) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}}
        self._run = Run(app, {**scope, "state": state}, {"type": "lifespan.shutdown"})
        self._supported = False

    async def start(self) -> None:
        """Wait for the start-up; ``LifespanFailed`` if the application says that it failed."""
        self._run.feed({"type": "lifespan.startup"})
        try:
            message = await self._run.next()
        except Exception:  # as servers do: an application may refuse the scope
            return
        if message is not None:
            await self._check(message, "startup")
            self._supported = True

    async def stop(self) -> None:
        """Wait for the shutdown; ``LifespanFailed`` if the application says that it failed."""
        if not self._supported:
            return
        self._run.feed({"type": "lifespan.shutdown"})
        message = await self._run.next()
        if message is not None:
            await self._check(message, "shutdown")
        await self._run.finish()

    async def _check(self, message: dict[str, Any], phase: str) -> None:
        if message["type"] == f"lifespan.{phase}.complete":
            return
        await self._run.abandon()
        raise LifespanFailed(f"{message['type']}: {message.get('message', '')}")
