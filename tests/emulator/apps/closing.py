"""An application that says when it is told to shut down."""

from __future__ import annotations

import asyncio
from typing import Any


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("closing the pool")  # noqa: T201
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 204})
    if scope["path"] == "/wait":
        print("waiting")  # noqa: T201
        await asyncio.sleep(60)
    await send({"type": "http.response.body"})
