"""Answers of a size that the client chooses, and the measure of what it sends."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import parse_qs

from penstock.adapter import LambdaAdapter


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    query = parse_qs(scope["query_string"].decode())
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if "size" in query:
        answer = query["text"][0].encode() * int(query["size"][0])
    else:
        sha256 = hashlib.sha256(body).hexdigest()
        answer = json.dumps({"size": len(body), "sha256": sha256}).encode()
    headers = [(b"content-type", query.get("type", ["text/plain"])[0].encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


handler = LambdaAdapter(app)
