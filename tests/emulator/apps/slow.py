"""An application whose start-up takes longer than the adapter waits for it in the init phase."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from penstock.adapter import LambdaAdapter


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["steps"] = ["begun in init"]
        asyncio.get_running_loop().call_soon(scope["state"]["steps"].append, "still in init")
        await asyncio.sleep(0.3)
        scope["state"]["steps"].append("completed")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    else:
        body = json.dumps(scope["state"]["steps"]).encode()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


handler = LambdaAdapter(app, startup_timeout=0.05)
