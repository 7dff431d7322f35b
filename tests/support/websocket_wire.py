"""A server's side of a WebSocket, for tests that look at the messages themselves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from penstock.handler import ASGIHandler, websocket

if TYPE_CHECKING:
    from collections.abc import Callable


DENIAL: dict[str, Any] = {"websocket.http.response": {}}
SCOPE: dict[str, Any] = {
    "type": "websocket",
    "path": "/",
    "headers": [(b"host", b"testserver"), (b"cookie", b"a=1")],
    "query_string": b"x=1",
    "scheme": "ws",
    "subprotocols": ["chat", "other"],
    "server": ("testserver", 80),
}


class Wire:
    """A server that plays back messages and keeps what is sent."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.messages = [{"type": "websocket.connect"}, *messages]
        self.sent: list[dict[str, Any]] = []
        self.gone = False

    async def receive(self) -> dict[str, Any]:
        return self.messages.pop(0)

    async def send(self, message: dict[str, Any]) -> None:
        if self.gone:
            raise ConnectionResetError("broken pipe")
        self.sent.append(message)

    def types(self) -> list[str]:
        return [message["type"] for message in self.sent]

    def serve(self, view: Callable[..., Any], **options: Any) -> None:
        handler = ASGIHandler([websocket("", view)], **options)
        asyncio.run(handler(dict(SCOPE), self.receive, self.send))


def text(data: str) -> dict[str, Any]:
    return {"type": "websocket.receive", "text": data}


def binary(data: bytes) -> dict[str, Any]:
    return {"type": "websocket.receive", "bytes": data}


def left(code: int | None = None, reason: str = "") -> dict[str, Any]:
    message: dict[str, Any] = {"type": "websocket.disconnect"}
    if code is not None:
        message.update(code=code, reason=reason)
    return message
