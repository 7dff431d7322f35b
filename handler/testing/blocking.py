"""The client of synchronous tests: the other one, and an event loop that runs when it is asked."""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar, Unpack

from penstock.handler.testing.answer import Head, StreamedAnswer
from penstock.handler.testing.client import AsyncClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from penstock.handler.testing.answer import Answer
    from penstock.handler.testing.exchange import Application
    from penstock.handler.testing.options import (
        ClientOptions,
        RequestOptions,
        StreamOptions,
        WebSocketOptions,
    )
    from penstock.handler.testing.session import WebSocketSession

T = TypeVar("T")


class RunsToTheEnd(Protocol):
    """Runs a coroutine on the client's loop and returns its result."""

    def __call__(self, step: Coroutine[Any, Any, T]) -> T:
        """Return its result."""


class Client:
    """``AsyncClient`` for synchronous tests; arguments and guarantees are the same.

    The application runs while a call of the client waits for it, and only then.
    """

    def __init__(self, app: Application, **options: Unpack[ClientOptions]) -> None:
        self._client = AsyncClient(app, **options)
        self._runner: asyncio.Runner | None = None

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that the client has."""
        return self._client.cookies

    @property
    def state(self) -> dict[str, Any]:
        """What the application's start-up has put into the state."""
        return self._client.state

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner()
        try:
            self._run(self._client.__aenter__())
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._run(self._client.__aexit__(kind, error, traceback))
        finally:
            self._close()

    def _close(self) -> None:
        if self._runner is not None:
            self._runner.close()
            self._runner = None

    def _run(self, step: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(step) if self._runner is None else self._runner.run(step)

    def request(self, method: str, url: str, **options: Unpack[RequestOptions]) -> Answer:
        """Send a request and return the response; options as for ``AsyncClient.request``."""
        return self._run(self._client.request(method, url, **options))

    def get(self, url: str, **options: Unpack[RequestOptions]) -> Answer:
        """Send a GET request."""
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Unpack[RequestOptions]) -> Answer:
        """Send a POST request."""
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Unpack[RequestOptions]) -> Answer:
        """Send a PUT request."""
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Unpack[RequestOptions]) -> Answer:
        """Send a PATCH request."""
        return self.request("PATCH", url, **options)

    def delete(self, url: str, **options: Unpack[RequestOptions]) -> Answer:
        """Send a DELETE request."""
        return self.request("DELETE", url, **options)

    def head(self, url: str, **options: Unpack[RequestOptions]) -> Answer:
        """Send a HEAD request."""
        return self.request("HEAD", url, **options)

    def options(self, url: str, **options: Unpack[RequestOptions]) -> Answer:
        """Send an OPTIONS request."""
        return self.request("OPTIONS", url, **options)

    @contextmanager
    def stream(
        self, method: str, url: str, **options: Unpack[StreamOptions]
    ) -> Iterator[BlockingAnswer]:
        """Send a request and read the response as it comes; leaving the block disconnects."""
        with self._entered(self._client.stream(method, url, **options)) as answer:
            yield BlockingAnswer(answer, self._run)

    @contextmanager
    def websocket(self, url: str, **options: Unpack[WebSocketOptions]) -> Iterator[BlockingSession]:
        """Open a WebSocket; leaving the block closes it. ``WebSocketDenied`` if it is refused."""
        with self._entered(self._client.websocket(url, **options)) as session:
            yield BlockingSession(session, self._run)

    @contextmanager
    def _entered(self, block: AbstractAsyncContextManager[T]) -> Iterator[T]:
        if self._runner is None:
            raise RuntimeError("stream and websocket work only inside: with Client(app) as client")
        inner = self._run(block.__aenter__())
        try:
            yield inner
        except BaseException:
            self._run(block.__aexit__(*sys.exc_info()))
            raise
        self._run(block.__aexit__(None, None, None))


class BlockingAnswer(Head):
    """``StreamedAnswer``, iterated synchronously."""

    def __init__(self, answer: StreamedAnswer, run: RunsToTheEnd) -> None:
        super().__init__(answer.status_code, answer.raw_headers)
        self._answer, self._run = answer, run

    def __iter__(self) -> Iterator[bytes]:
        parts = aiter(self._answer)
        while (part := self._run(_next(parts))) is not None:
            yield part

    def read(self) -> bytes:
        """Return what is left of the content."""
        return b"".join(self)


class BlockingSession:
    """``WebSocketSession``, call by call."""

    def __init__(self, session: WebSocketSession, run: RunsToTheEnd) -> None:
        self._session, self._run = session, run

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the application chose."""
        return self._session.subprotocol

    def send(self, data: str | bytes) -> None:
        """Send text as a text frame, bytes as a binary one."""
        self._run(self._session.send(data))

    def send_json(self, value: Any) -> None:
        """Send a value as JSON in a text frame."""
        self._run(self._session.send_json(value))

    def receive(self) -> str | bytes:
        """Return the next message; ``WebSocketDisconnect`` once the application has closed."""
        return self._run(self._session.receive())

    def receive_json(self) -> Any:
        """Return the next message parsed as JSON."""
        return self._run(self._session.receive_json())

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection and wait for the application's end."""
        self._run(self._session.close(code, reason))


async def _next(parts: AsyncIterator[bytes]) -> bytes | None:
    return await anext(parts, None)
