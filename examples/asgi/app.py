"""An ASGI application without any framework, and the one line that puts it on Lambda."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from datetime import UTC, datetime
from email import message_from_bytes, policy
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs, quote

from penstock.adapter import LambdaAdapter

ITEMS = "/items/"


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
        return
    path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
    name = path.removeprefix(ITEMS) if path.startswith(ITEMS) else ""
    route = ROUTES.get((scope["method"], ITEMS if name else path))
    if route is None:
        await answer(send, {"detail": "Not Found"}, 404)
    else:
        await route(scope, receive, send)


async def lifespan(scope: Any, receive: Any, send: Any) -> None:
    """Run once for each Lambda execution environment, not for each request."""
    while (await receive())["type"] == "lifespan.startup":
        scope["state"]["started_at"] = datetime.now(UTC).isoformat()
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


async def hello(scope: Any, _receive: Any, send: Any) -> None:
    await answer(send, {"hello": "ASGI", "started_at": scope["state"]["started_at"]})


async def read_item(scope: Any, _receive: Any, send: Any) -> None:
    query = parse_qs(scope["query_string"].decode())
    name = scope["path"].rpartition(ITEMS)[2]
    await answer(send, {"name": name, "q": query.get("q", [None])[0]})


async def create_item(_scope: Any, receive: Any, send: Any) -> None:
    await answer(send, json.loads(await read_body(receive)), 201)


async def upload(scope: Any, receive: Any, send: Any) -> None:
    head = b"content-type: " + header(scope, b"content-type") + b"\r\n\r\n"
    form: Any = message_from_bytes(head + await read_body(receive), policy=policy.HTTP)
    file = next(part for part in form.iter_parts() if part.get_filename())
    content = file.get_payload(decode=True)
    sha256 = hashlib.sha256(content).hexdigest()
    await answer(send, {"filename": file.get_filename(), "size": len(content), "sha256": sha256})


async def cookies(scope: Any, _receive: Any, send: Any) -> None:
    sent = SimpleCookie(header(scope, b"cookie").decode())
    visits = int(sent["visits"].value) if "visits" in sent else 0
    fresh = [f"visits={visits + 1}; HttpOnly; Path=/", "theme=dark; Path=/"]
    await answer(send, {"visits": visits}, headers=[("set-cookie", line) for line in fresh])


async def image(_scope: Any, _receive: Any, send: Any) -> None:
    await start(send, 200, [("content-type", "image/png")])
    await send({"type": "http.response.body", "body": blue_square()})


async def stream(_scope: Any, _receive: Any, send: Any) -> None:
    await start(send, 200, [("content-type", "text/plain; charset=utf-8")])
    for number in range(5):
        body = f"line {number}\n".encode()
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body"})


async def url(scope: Any, _receive: Any, send: Any) -> None:
    host = header(scope, b"host").decode()
    path = quote(f"{scope.get('root_path', '')}{ITEMS}tea")
    await answer(send, {"url": f"{scope['scheme']}://{host}{path}"})


async def boom(_scope: Any, _receive: Any, _send: Any) -> None:
    raise RuntimeError("this route always fails")


async def events(scope: Any, receive: Any, send: Any) -> None:
    """Take what is not a request (SQS, S3, a schedule, …): the JSON goes back to Lambda."""
    penstock = scope.get("extensions", {}).get("penstock", {})
    if penstock.get("event_source") != "event":  # an HTTP client must not pose as Lambda
        await answer(send, {"detail": "Not Found"}, 404)
        return
    event = json.loads(await read_body(receive))
    bad = [r["messageId"] for r in event.get("Records", []) if "bad" in r.get("body", "")]
    await answer(send, {"batchItemFailures": [{"itemIdentifier": item} for item in bad]})


ROUTES = {
    ("GET", "/"): hello,
    ("GET", ITEMS): read_item,
    ("POST", "/items"): create_item,
    ("POST", "/upload"): upload,
    ("GET", "/cookies"): cookies,
    ("GET", "/image"): image,
    ("GET", "/stream"): stream,
    ("GET", "/url"): url,
    ("GET", "/boom"): boom,
    ("POST", "/events"): events,
}


def header(scope: Any, name: bytes) -> bytes:
    """Return the first value of a header, or nothing."""
    return next((value for key, value in scope["headers"] if key == name), b"")


async def read_body(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def start(send: Any, status: int, headers: list[tuple[str, str]]) -> None:
    pairs = [(name.encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": pairs})


async def answer(
    send: Any, value: Any, status: int = 200, headers: list[tuple[str, str]] | None = None
) -> None:
    await start(send, status, [("content-type", "application/json"), *(headers or [])])
    body = json.dumps(value, ensure_ascii=False).encode()
    await send({"type": "http.response.body", "body": body})


def blue_square(side: int = 8) -> bytes:
    """Return a PNG of one colour, as an example of an answer that is not text."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    head = struct.pack(">2I5B", side, side, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\x1e\x90\xff" * side) * side
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


handler = LambdaAdapter(app, events_path="/events")
