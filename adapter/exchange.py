"""The application's side of one HTTP exchange, as a state machine without any I/O.

``TRANSITIONS`` is the whole of it: ASGI's order of messages ("HTTP & WebSocket ASGI Message
Format", HTTP), plus the two ways in which an exchange can end early.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from penstock.adapter.errors import ClientDisconnected, ProtocolError
from penstock.adapter.headers import decode_response_headers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.adapter.asgi import Message


class ExchangeState(StrEnum):
    """Where an exchange is."""

    REQUEST = "request"
    """The application has sent nothing yet."""
    RESPONSE = "response"
    """Status and headers are there, the body is coming."""
    COMPLETE = "complete"
    """The whole response is there; the application may still be working."""
    FAILED = "failed"
    """The application broke the protocol or its answer cannot be carried: nothing more counts."""
    CLOSED = "closed"
    """The deadline came first: nothing more is taken."""


_REQUEST: Final = ExchangeState.REQUEST
_RESPONSE: Final = ExchangeState.RESPONSE
_COMPLETE: Final = ExchangeState.COMPLETE
_FAILED: Final = ExchangeState.FAILED
_CLOSED: Final = ExchangeState.CLOSED

START = "http.response.start"
BODY = "http.response.body"
LAST_BODY = "http.response.body, more_body false"
PATHSEND = "http.response.pathsend"
FAILURE = "failure"
DEADLINE = "deadline"

TRANSITIONS: Final[dict[tuple[str, str], ExchangeState]] = {
    (_REQUEST, START): _RESPONSE,
    (_RESPONSE, BODY): _RESPONSE,
    (_RESPONSE, LAST_BODY): _COMPLETE,
    (_RESPONSE, PATHSEND): _COMPLETE,
    (_REQUEST, FAILURE): _FAILED,
    (_RESPONSE, FAILURE): _FAILED,
    (_COMPLETE, FAILURE): _FAILED,
    (_REQUEST, DEADLINE): _CLOSED,
    (_RESPONSE, DEADLINE): _CLOSED,
}


class HTTPExchange:
    """Checks what an application sends, message by message.

    Attributes: ``state``; once that has been RESPONSE, ``status``, ``headers`` (pairs of text,
    names lower case) and ``header_bytes`` (of names and values together); ``error``, the breach
    that made it FAILED.
    """

    # Class attributes are the initial values: instances are made for each request.
    state = _REQUEST
    status = 0
    headers: Sequence[tuple[str, str]] = ()
    header_bytes = 0
    error: Exception | None = None
    _closed_as = ""

    def advance(self, message: Message) -> bytes | str:
        """Take one message of the application; return the body bytes in it, or the path of a file.

        Raises: ProtocolError for a message that ASGI forbids here or that is malformed; the
        exchange is FAILED from then on. ClientDisconnected (an OSError) when it is CLOSED.
        """
        try:
            kind = message["type"]
            if kind == BODY:
                content: bytes | str = message.get("body", b"")
                if type(content) is not bytes:
                    content = _body_bytes(content)
                self.state = TRANSITIONS[
                    self.state, BODY if message.get("more_body") else LAST_BODY
                ]
                return content
            state = TRANSITIONS[self.state, kind]
            if kind == START:
                self.status = _status(message.get("status"))
                self.headers, self.header_bytes = decode_response_headers(
                    message.get("headers", ())
                )
                content = b""
            else:
                content = _absolute_path(kind, message.get("path"))
        except (ProtocolError, LookupError, TypeError, AttributeError) as error:
            raise self._refuse(message, error) from None
        self.state = state
        return content

    def fail(self, error: Exception) -> None:
        """End the exchange because of an error; the first one stays."""
        self.state = TRANSITIONS.get((self.state, FAILURE), self.state)
        self.error = self.error or error

    def close(self, why: str) -> None:
        """End the exchange before its time, unless the response is complete.

        ``why`` is what a later ``send`` of the application is told.
        """
        self.state = TRANSITIONS.get((self.state, DEADLINE), self.state)
        self._closed_as = why

    def _refuse(self, message: Message, reason: Exception) -> Exception:
        if self.state == _CLOSED:
            return ClientDisconnected(self._closed_as)
        if self.error is not None:
            return self.error
        if isinstance(reason, ProtocolError):
            error = reason
        else:
            error = ProtocolError(f"expected {_expected(self.state)}, got {_described(message)}")
        self.fail(error)
        return error


def _expected(state: str) -> str:
    if state == _COMPLETE:
        return "no message after the end of the response"
    kinds = [kind for from_state, kind in TRANSITIONS if from_state == state and "." in kind]
    return f"a message of type {' or '.join(kinds)} in state {state}"


def _described(message: Any) -> str:
    try:
        return f"type {message['type']!r} with keys {sorted(message)}"
    except (TypeError, LookupError):
        return f"{message!r:.200}"


def _body_bytes(content: Any) -> bytes:
    if isinstance(content, bytes | bytearray | memoryview):
        return bytes(content)  # a copy: the application may reuse its buffer
    raise ProtocolError(f"expected the body of {BODY} as bytes, got {type(content).__name__}")


def _status(status: Any) -> int:
    if type(status) is int and 100 <= status <= 599:
        return status
    if isinstance(status, int) and not isinstance(status, bool) and 100 <= status <= 599:
        return int(status)
    raise ProtocolError(f"expected a status from 100 to 599 (int) in {START}, got {status!r}")


def _absolute_path(kind: str, path: Any) -> str:
    if kind != PATHSEND:
        raise LookupError(kind)  # TRANSITIONS has inputs that are no messages
    if isinstance(path, str) and path.startswith("/"):
        return path
    raise ProtocolError(f"expected an absolute path (str) in {PATHSEND}, got {path!r}")
