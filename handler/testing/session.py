"""A WebSocket connection, from the client's side."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from penstock.handler.exceptions import WebSocketDisconnect
from penstock.handler.testing.answer import Answer
from penstock.handler.testing.exchange import Run

if TYPE_CHECKING:
    from penstock.handler.testing.exchange import Application


class WebSocketDenied(Exception):
    """The application refused the handshake; ``answer`` is the response that a client gets."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"the handshake was answered with {answer.status_code}")
        self.answer = answer


class WebSocketSession:
    """An open connection. ``WebSocketDisconnect`` is raised once the application has closed it."""

    def __init__(self, app: Application, scope: dict[str, Any]) -> None:
        self._disconnect = {"type": "websocket.disconnect", "code": 1006, "reason": ""}
        self._run = Run(app, scope, self._disconnect)
        self.subprotocol: str | None = None
        self.headers: list[tuple[bytes, bytes]] = []

    async def open(self) -> None:
        """Do the handshake; ``WebSocketDenied`` if the application refuses."""
        self._run.feed({"type": "websocket.connect"})
        message = await self._run.next()
        if message is not None and message["type"] == "websocket.accept":
            self.subprotocol = message.get("subprotocol")
            self.headers = list(message.get("headers", ()))
            return
        answer = Answer(403, ())
        if message is not None and message["type"] == "websocket.http.response.start":
            answer = Answer(message["status"], message.get("headers", ()))
            more = True
            while more and (message := await self._run.next()) is not None:
                answer.content += message.get("body", b"")
                more = message.get("more_body", False)
        self._run.end()
        await self._run.finish()
        raise WebSocketDenied(answer)

    async def send(self, data: str | bytes) -> None:
        """Send text as a text frame, bytes as a binary one."""
        kind = "text" if isinstance(data, str) else "bytes"
        self._run.feed({"type": "websocket.receive", kind: data})

    async def send_json(self, value: Any) -> None:
        """Send a value as JSON in a text frame."""
        await self.send(json.dumps(value))

    async def receive(self) -> str | bytes:
        """Return the next message: ``str`` for a text frame, ``bytes`` for a binary one."""
        message = await self._run.next()
        if message is None:
            raise WebSocketDisconnect(1006, "the application returned without closing")
        if message["type"] == "websocket.close":
            code, reason = message.get("code", 1000), message.get("reason") or ""
            self._disconnect.update(code=code, reason=reason)
            self._run.end()
            raise WebSocketDisconnect(code, reason)
        text: str | None = message.get("text")
        data: bytes = message.get("bytes") or b""
        return data if text is None else text

    async def receive_json(self) -> Any:
        """Return the next message parsed as JSON."""
        return json.loads(await self.receive())

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection and wait for the application's end."""
        self._disconnect.update(code=code, reason=reason)
        self._run.end()
        await self._run.finish()

    async def abandon(self) -> None:
        """End the application because the test does not go on with it."""
        await self._run.abandon()
