"""What both runtimes run: a bare ASGI application, and Mangum around the same."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

HEADERS = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
LARGE = os.urandom(4 << 20) if os.environ.get("BENCHMARK") == "large" else b""
PART = bytes(65536)
PARTS = 200_000_000 // len(PART)


async def app(scope: Any, receive: Any, send: Any) -> None:
    path = scope["path"]
    headers = HEADERS
    body = b'{"hello":"world"}'
    if path == "/large":
        headers = [(b"content-type", b"image/png")]
        body = LARGE
    elif path.startswith("/wait/"):
        await asyncio.sleep(int(path[6:]) / 1000)
    elif path.startswith("/stream"):
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await stream(path, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def stream(path: str, send: Any) -> None:
    if path == "/stream/first":
        await asyncio.sleep(0.002)
        sent_at = b"%020d" % time.monotonic_ns()
        await send({"type": "http.response.body", "body": sent_at, "more_body": True})
    else:
        for _ in range(PARTS):
            await send({"type": "http.response.body", "body": PART, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


if os.environ.get("BENCHMARK_MANGUM"):
    from mangum import Mangum

    handler = Mangum(app, lifespan="off")
