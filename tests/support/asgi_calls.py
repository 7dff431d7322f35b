"""Run an ASGI application at message level, and look at everything that it sends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

T = TypeVar("T")
END = {"type": "http.request", "body": b"", "more_body": False}
GONE = {"type": "http.disconnect"}


@dataclass
class Result:
    """What an application sent and how it ended."""

    out: list[dict[str, Any]] = field(default_factory=list)
    error: BaseException | None = None
    received: int = 0

    @property
    def status(self) -> int:
        assert self.out, f"nothing was sent; it raised {self.error!r}"
        assert self.out[0]["type"] == "http.response.start"
        status: int = self.out[0]["status"]
        return status

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        headers: list[tuple[bytes, bytes]] = self.out[0]["headers"]
        return headers

    def header(self, name: str) -> str | None:
        values = [value.decode("latin-1") for key, value in self.headers if key == name.encode()]
        return values[0] if values else None

    @property
    def body(self) -> bytes:
        return b"".join(
            message.get("body", b"") for message in self.out if message["type"].endswith(".body")
        )

    @property
    def is_complete(self) -> bool:
        last = self.out[-1] if self.out else {}
        return last.get("type") == "http.response.body" and not last.get("more_body", False)


def http_scope(path: str = "/", method: str = "GET", **fields: Any) -> dict[str, Any]:
    """A scope of ASGI HTTP 2.4; what is given as None is left out."""
    path, _, query = path.partition("?")
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "query_string": query.encode(),
        "root_path": "",
        "headers": [],
        "server": ("testserver", 80),
        "client": ("192.0.2.7", 4711),
        **fields,
    }
    return {name: value for name, value in scope.items() if value is not None}


class Server:
    """The other side of one exchange: gives messages, takes messages.

    When ``messages`` are used up, ``receive`` waits for ever, like a server with a patient client.
    An exception among them is raised. ``on_send`` is called with each message before it is taken,
    and may raise.
    """

    def __init__(
        self,
        messages: Iterable[Any] = (END,),
        on_send: Callable[[dict[str, Any]], Any] | None = None,
    ) -> None:
        self.messages = list(messages)
        self.on_send = on_send
        self.result = Result()
        self._more = asyncio.Event()

    def add(self, *messages: Any) -> None:
        self.messages += messages
        self._more.set()

    async def receive(self) -> Any:
        while not self.messages:
            self._more.clear()
            await self._more.wait()
        message = self.messages.pop(0)
        self.result.received += 1
        if isinstance(message, BaseException):
            raise message
        return message

    async def send(self, message: dict[str, Any]) -> None:
        if self.on_send is not None:
            value = self.on_send(message)
            if asyncio.iscoroutine(value):
                await value
        self.result.out.append(dict(message))


async def serve(app: Any, scope: dict[str, Any], server: Server) -> Result:
    """Serve one scope; what the application raises is part of the result, tasks are not left."""
    before = asyncio.all_tasks()
    try:
        await app(scope, server.receive, server.send)
    except BaseException as error:
        server.result.error = error
    left = {task for task in asyncio.all_tasks() - before if not task.done()}
    assert left == set(), f"tasks left behind: {left}"
    return server.result


def exchange(
    app: Any,
    path: str = "/",
    method: str = "GET",
    *,
    body: bytes | None = None,
    messages: Iterable[Any] | None = None,
    on_send: Callable[[dict[str, Any]], Any] | None = None,
    **fields: Any,
) -> Result:
    """One request on an event loop of its own."""
    if messages is None:
        messages = [{"type": "http.request", "body": body or b"", "more_body": False}]

    async def one() -> Result:
        return await serve(app, http_scope(path, method, **fields), Server(messages, on_send))

    return run(one())


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a fresh loop; asyncio's own checks find what is left on it."""
    return asyncio.run(main)


def parts(*bodies: bytes) -> list[dict[str, Any]]:
    """Request messages, one for each part."""
    last = len(bodies) - 1
    return [
        {"type": "http.request", "body": body, "more_body": index < last}
        for index, body in enumerate(bodies)
    ]
