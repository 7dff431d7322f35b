"""A WebSocket as an object: accept, receive, send, close, in the order that ASGI allows.

::

              accept                     close, or the view's end
    CONNECTING ─────► OPEN ───────────────────────────────► CLOSED
        │              └── websocket.disconnect, OSError ──► CLOSED
        └── deny, close ──► CLOSED

Source: ASGI specification, WebSocket 2.5; RFC 6455 for close codes and reasons.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar

from penstock.handler.config import DEFAULT_CONFIG
from penstock.handler.connection import Connection
from penstock.handler.exceptions import (
    ASGIProtocolError,
    BadRequest,
    WebSocketDisconnect,
    WebSocketStateError,
)
from penstock.handler.headers import ResponseHeaders

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping

    from penstock.handler.config import HandlerConfig

T = TypeVar("T")
CONNECTING: Final = "connecting"
OPEN: Final = "open"
CLOSED: Final = "closed"
State = Literal["connecting", "open", "closed"]

DENIAL_EXTENSION = "websocket.http.response"
# RFC 6455 7.4: codes that an endpoint may put on the wire; 3000 to 4999 are for applications.
_SENDABLE_CODES = frozenset(
    (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014)
)
_REASON_LIMIT = 123  # bytes: a control frame carries 125, two of them are the code


class WebSocket(Connection):
    """One connection, with all attributes of the request that asked for it.

    Calls in the wrong order raise ``WebSocketStateError`` and send nothing. Once the client is
    gone, ``receive_*`` and ``send_*`` raise ``WebSocketDisconnect`` with its code.
    """

    def __init__(
        self, scope: Any, receive: Any, send: Any, *, config: HandlerConfig = DEFAULT_CONFIG
    ) -> None:
        super().__init__(scope, config)
        self._receive, self._send = receive, send
        self._connected = False  # whether websocket.connect has been received
        self._end: WebSocketDisconnect | None = None
        self._left_by_client = False
        self.connection_state: State = CONNECTING
        self.accepted = False
        self.accepted_subprotocol: str | None = None

    @property
    def subprotocols(self) -> list[str]:
        """What the client offers in ``Sec-WebSocket-Protocol``, in its order."""
        return list(self.scope.get("subprotocols", ()))

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more: denied, closed or left by the client."""
        return self.connection_state == CLOSED

    @property
    def ended(self) -> WebSocketDisconnect | None:
        """How the connection ended, from the side that ended it; ``None`` before."""
        return self._end

    async def wait_for_connect(self) -> None:
        """Take ``websocket.connect`` from the server; ``accept`` and ``deny`` do so themselves.

        Raises:
            WebSocketDisconnect: the client left before it was answered.
        """
        if self._connected:
            return
        message = await self._take()
        if message["type"] == "websocket.disconnect":
            raise self._gone(message.get("code", 1006), message.get("reason"))
        if message["type"] != "websocket.connect":
            raise ASGIProtocolError(
                f"first message of a websocket scope: expected websocket.connect, "
                f"got {message['type']!r}"
            )
        self._connected = True

    async def accept(
        self,
        subprotocol: str | None = None,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    ) -> None:
        """Complete the handshake, with one of the client's subprotocols if it offered any.

        Raises:
            ValueError: the client did not offer this subprotocol, or a header cannot be sent.
            WebSocketStateError: it is accepted or closed already.
        """
        self._expect("accept", CONNECTING)
        if subprotocol is not None and subprotocol not in self.subprotocols:
            raise ValueError(
                f"accept(subprotocol={subprotocol!r}): the client offered {self.subprotocols!r}"
            )
        fields = ResponseHeaders()
        for name, value in headers.items() if hasattr(headers, "items") else headers:
            if name.lower() == "sec-websocket-protocol":
                raise ValueError("accept(headers=…): pass the subprotocol as accept(subprotocol=…)")
            fields.add(name, value)
        await self.wait_for_connect()
        self.connection_state, self.accepted = OPEN, True
        self.accepted_subprotocol = subprotocol
        message = {"type": "websocket.accept", "subprotocol": subprotocol, "headers": fields.raw()}
        await self._deliver(message)

    async def deny(self, response: Any = None) -> None:
        """Refuse the handshake with a response; servers that cannot send one answer 403.

        Without a response it is 403 everywhere. The response is closed in any case.
        """
        self._expect("deny", CONNECTING)
        await self.wait_for_connect()
        self.connection_state = CLOSED
        self._end = WebSocketDisconnect(1008)
        if response is None:
            await self._refuse()
            return
        from penstock.handler.sending import close_response, transmit

        started = False

        async def send(message: dict[str, Any]) -> None:
            nonlocal started
            started = True
            await self._deliver({**message, "type": f"websocket.{message['type']}"})

        try:
            if DENIAL_EXTENSION in (self.scope.get("extensions") or {}):
                await transmit(response, send, config=self.config)
            else:
                await self._refuse()
        except Exception:
            if not started:  # the response failed before its first byte: the client gets a 403
                await self._refuse()
            raise
        finally:
            await close_response(response)

    async def _refuse(self) -> None:
        if not self._left_by_client:
            await self._deliver({"type": "websocket.close", "code": 1008, "reason": ""})

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection; before ``accept`` that refuses it. No effect once the client left.

        Raises:
            ValueError: a code that may not be sent (RFC 6455 7.4), or a reason over 123 bytes.
            WebSocketStateError: it is closed already, by us.
        """
        if code not in _SENDABLE_CODES and not 3000 <= code <= 4999:
            raise ValueError(
                f"close(code={code!r}): expected 1000 to 1003, 1007 to 1014 or 3000 to 4999"
            )
        if len(reason.encode()) > _REASON_LIMIT:
            raise ValueError(f"close(reason=…): {len(reason.encode())} bytes, at most 123 fit")
        if self._left_by_client:
            return
        self._expect("close", CONNECTING, OPEN)
        self.connection_state = CLOSED
        self._end = WebSocketDisconnect(code, reason)
        await self._deliver({"type": "websocket.close", "code": code, "reason": reason})

    async def receive(self) -> str | bytes:
        """Return the next message as it was sent: ``str`` for a text frame, ``bytes`` otherwise.

        Raises:
            WebSocketDisconnect: the connection has ended, by either side.
            WebSocketStateError: it is not accepted yet.
        """
        self._raise_if_ended()
        self._expect("receive", OPEN)
        message = await self._take()
        if message["type"] == "websocket.receive":
            text: str | None = message.get("text")
            data: bytes | None = message.get("bytes")
            if text is not None:
                return text
            return b"" if data is None else data
        if message["type"] == "websocket.disconnect":
            raise self._gone(message.get("code"), message.get("reason"))
        raise ASGIProtocolError(
            f"expected websocket.receive or websocket.disconnect, got {message['type']!r}"
        )

    async def receive_text(self) -> str:
        """Return the next message as text; ``BadRequest`` if a binary one is not UTF-8."""
        data = await self.receive()
        return data if isinstance(data, str) else _decoded(data)

    async def receive_bytes(self) -> bytes:
        """Return the next message as bytes; a text one is encoded as UTF-8."""
        data = await self.receive()
        return data.encode() if isinstance(data, str) else data

    async def receive_json(self) -> Any:
        """Return the next message parsed as JSON; ``BadRequest`` if it is none."""
        data = await self.receive()
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"the WebSocket message is not JSON: {error}") from error

    async def send(self, data: str | bytes) -> None:
        """Send text as a text frame, bytes as a binary one.

        Raises:
            WebSocketDisconnect: the connection has ended, by either side.
            WebSocketStateError: it is not accepted yet.
        """
        if isinstance(data, str):
            await self.send_text(data)
        else:
            await self.send_bytes(data)

    async def send_text(self, data: str) -> None:
        """Send a text frame; raises what ``send`` raises."""
        if not isinstance(data, str):
            raise TypeError(f"send_text: expected str, got {type(data).__name__}")
        await self._send_frame("send_text", {"type": "websocket.send", "text": data})

    async def send_bytes(self, data: bytes | bytearray | memoryview) -> None:
        """Send a binary frame; raises what ``send`` raises."""
        if not isinstance(data, bytes):
            if not isinstance(data, bytearray | memoryview):
                raise TypeError(f"send_bytes: expected bytes, got {type(data).__name__}")
            data = bytes(data)
        await self._send_frame("send_bytes", {"type": "websocket.send", "bytes": data})

    async def send_json(self, data: Any, *, binary: bool = False) -> None:
        """Send ``data`` as JSON, by the rules of ``JsonResponse``."""
        from penstock.handler.json_response import encode_json

        text = encode_json(data)
        await (self.send_bytes(text.encode()) if binary else self.send_text(text))

    def iter_messages(self) -> AsyncIterator[str | bytes]:
        """Iterate over messages until the connection ends."""
        return _Messages(self.receive)

    def iter_text(self) -> AsyncIterator[str]:
        """Iterate over messages as text until the connection ends."""
        return _Messages(self.receive_text)

    def iter_bytes(self) -> AsyncIterator[bytes]:
        """Iterate over messages as bytes until the connection ends."""
        return _Messages(self.receive_bytes)

    def iter_json(self) -> AsyncIterator[Any]:
        """Iterate over messages parsed as JSON until the connection ends."""
        return _Messages(self.receive_json)

    def __repr__(self) -> str:
        return f"<WebSocket: {self.get_full_path()!r} {self.connection_state}>"

    def _expect(self, call: str, *states: State) -> None:
        if self.connection_state not in states:
            hint = "accept it first" if self.connection_state == CONNECTING else "it has ended"
            raise WebSocketStateError(
                f"{call}: expected the WebSocket to be {' or '.join(states)}, "
                f"it is {self.connection_state}: {hint}"
            )

    def _raise_if_ended(self) -> None:
        if self._end is not None:
            raise WebSocketDisconnect(self._end.code, self._end.reason)

    def _gone(self, code: int | None, reason: str | None) -> WebSocketDisconnect:
        """Note that the client has left; 1005 is RFC 6455's code for a close without one."""
        self.connection_state, self._left_by_client = CLOSED, True
        self._end = WebSocketDisconnect(1005 if code is None else code, reason or "")
        return self._end

    async def _take(self) -> Any:
        """Receive; some servers raise ``OSError`` where the client is gone, as ``send`` does."""
        try:
            return await self._receive()
        except OSError as error:
            raise self._gone(1006, str(error)) from error

    async def _send_frame(self, call: str, message: dict[str, Any]) -> None:
        self._raise_if_ended()
        self._expect(call, OPEN)
        await self._deliver(message)

    async def _deliver(self, message: dict[str, Any]) -> None:
        """Send; a server raises ``OSError`` when the client is gone (ASGI WebSocket 2.4)."""
        try:
            await self._send(message)
        except OSError as error:
            raise self._gone(1006, str(error)) from error


class _Messages(Generic[T]):
    """Messages one by one. No generator, which a view that raises would leave to be closed."""

    def __init__(self, receive: Callable[[], Awaitable[T]]) -> None:
        self._receive = receive

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return await self._receive()
        except WebSocketDisconnect:
            raise StopAsyncIteration from None


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"the WebSocket message is not UTF-8: {error}") from error
