"""An application that does not answer ``/wait``, and tells at ``/`` what happened to it there."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

from penstock.adapter import LambdaAdapter

happened: list[str] = []


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        happened.append("startup")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["path"] == "/wait":
        await wait(receive)
    else:
        body = json.dumps({"happened": happened, "process": os.getpid()}).encode()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def wait(receive: Any) -> None:
    try:
        while (message := await receive())["type"] != "http.disconnect":
            happened.append(message["type"])
        happened.append(message["type"])
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        happened.append("cancelled")
        raise


handler = LambdaAdapter(app)
