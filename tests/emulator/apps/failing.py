"""An application that cannot start."""

from __future__ import annotations

from typing import Any

from penstock.adapter import LambdaAdapter


async def app(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "the database is away"})


handler = LambdaAdapter(app)
