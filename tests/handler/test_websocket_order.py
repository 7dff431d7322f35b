"""Whatever a view calls, in whatever order: the server never sees a message out of order."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from penstock.handler import (
    ASGIHandler,
    HttpResponse,
    PermissionDenied,
    WebSocket,
    WebSocketDisconnect,
    WebSocketStateError,
    websocket,
)

LETTERS = {
    "websocket.accept": "a",
    "websocket.send": "s",
    "websocket.close": "c",
    "websocket.http.response.start": "h",
    "websocket.http.response.body": "b",
}
# ASGI WebSocket 2.5: a handshake that is accepted, refused or answered; then frames; then an end.
WHOLE = re.compile(r"as*c|c|hb+")
CUT_SHORT = re.compile(r"(as*c?|c|hb*)?")
CALLS = {
    "accept": lambda ws: ws.accept(),
    "deny": lambda ws: ws.deny(HttpResponse("no", status=401)),
    "refuse": lambda ws: ws.deny(),
    "send": lambda ws: ws.send_text("x"),
    "send bytes": lambda ws: ws.send_bytes(b"x"),
    "send JSON": lambda ws: ws.send_json([]),
    "receive": lambda ws: ws.receive(),
    "close": lambda ws: ws.close(),
    "close with a wrong code": lambda ws: ws.close(1005),
}
ENDS = ("return", "return a response", "raise", "raise PermissionDenied")


@given(
    calls=st.lists(st.sampled_from(sorted(CALLS)), max_size=8),
    end=st.sampled_from(ENDS),
    frames=st.integers(0, 3),
    catches=st.booleans(),
    denial=st.booleans(),
    fails_at=st.none() | st.integers(0, 4),
)
def test_any_view(
    calls: list[str],
    end: str,
    frames: int,
    catches: bool,
    denial: bool,
    fails_at: int | None,
) -> None:
    sent: list[str] = []
    failed = False
    incoming = [
        {"type": "websocket.connect"},
        *({"type": "websocket.receive", "text": "hello"} for _ in range(frames)),
    ]

    async def receive() -> dict[str, Any]:
        return incoming.pop(0) if incoming else {"type": "websocket.disconnect", "code": 1001}

    async def send(message: dict[str, Any]) -> None:
        nonlocal failed
        assert not failed, "something was sent after the client was known to be gone"
        if len(sent) == fails_at:
            failed = True
            raise BrokenPipeError
        sent.append(LETTERS[message["type"]])

    async def view(ws: WebSocket) -> HttpResponse | None:
        for call in calls:
            before = len(sent)
            try:
                await CALLS[call](ws)
            except (WebSocketStateError, ValueError):
                assert len(sent) == before
                if not catches:
                    raise
            except WebSocketDisconnect:
                if not catches:
                    raise
        if end == "raise":
            raise ZeroDivisionError
        if end == "raise PermissionDenied":
            raise PermissionDenied
        return HttpResponse("no", status=403) if end == "return a response" else None

    scope = {
        "type": "websocket",
        "path": "/",
        "headers": [],
        "extensions": {"websocket.http.response": {}} if denial else {},
    }
    asyncio.run(ASGIHandler([websocket("", view)])(scope, receive, send))
    client_left = failed or (not incoming and "receive" in calls)
    assert (CUT_SHORT if client_left else WHOLE).fullmatch("".join(sent)), sent
