"""An application on penstock's own handler, and the one line that puts it on Lambda."""

from __future__ import annotations

import asyncio
import hashlib
import struct
import zlib
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from penstock.adapter import LambdaAdapter
from penstock.handler import (
    ASGIHandler,
    BadRequest,
    EventStreamResponse,
    FileResponse,
    Http404,
    HttpResponse,
    JsonResponse,
    StreamingHttpResponse,
    path,
    websocket,
)
from penstock.handler.batteries import RequestId, SecurityHeaders

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penstock.handler import ASGIRequest, WebSocket


@asynccontextmanager
async def lifespan(_handler: ASGIHandler) -> AsyncIterator[dict[str, Any]]:
    """Run once for each Lambda execution environment, not for each request."""
    yield {"started_at": datetime.now(UTC).isoformat()}


async def hello(request: ASGIRequest) -> HttpResponse:
    return JsonResponse({"hello": "penstock", "started_at": request.state["started_at"]})


async def read_item(request: ASGIRequest, name: str) -> HttpResponse:
    return JsonResponse({"name": name, "q": request.GET.get("q")})


async def create_item(request: ASGIRequest) -> HttpResponse:
    return JsonResponse(await request.ajson(), status=201)


async def upload(request: ASGIRequest) -> HttpResponse:
    file = (await request.aform()).get("file")
    if not hasattr(file, "chunks"):
        raise BadRequest("the form has no file")
    content = await file.aread()
    sha256 = hashlib.sha256(content).hexdigest()
    return JsonResponse({"filename": file.name, "size": len(content), "sha256": sha256})


async def cookies(request: ASGIRequest) -> HttpResponse:
    sent = request.COOKIES.get("visits", "")
    visits = int(sent) if sent.isdecimal() and len(sent) < 10 else 0
    response = JsonResponse({"visits": visits})
    response.set_cookie("visits", str(visits + 1), httponly=True)
    response.set_cookie("theme", "dark")
    return response


async def image(_request: ASGIRequest) -> HttpResponse:
    return HttpResponse(blue_square(), content_type="image/png")


async def stream(_request: ASGIRequest) -> StreamingHttpResponse:
    async def lines() -> AsyncIterator[str]:
        for number in range(5):
            yield f"line {number}\n"

    return StreamingHttpResponse(lines(), content_type="text/plain; charset=utf-8")


async def url(request: ASGIRequest) -> HttpResponse:
    return JsonResponse({"url": request.url_for("item", name="tea")})


async def boom(_request: ASGIRequest) -> HttpResponse:
    raise RuntimeError("this route always fails")


async def events(request: ASGIRequest) -> HttpResponse:
    """Take what is not a request (SQS, S3, a schedule, …): the JSON goes back to Lambda."""
    penstock = request.scope.get("extensions", {}).get("penstock", {})
    if penstock.get("event_source") != "event":  # an HTTP client must not pose as Lambda
        raise Http404
    event = await request.ajson()
    bad = [r["messageId"] for r in event.get("Records", []) if "bad" in r.get("body", "")]
    return JsonResponse({"batchItemFailures": [{"itemIdentifier": item} for item in bad]})


def page(_request: ASGIRequest) -> HttpResponse:
    """Show a form for uploads, and what comes over server-sent events and a WebSocket."""
    return HttpResponse(PAGE)


async def ticks(_request: ASGIRequest) -> EventStreamResponse:
    async def count() -> AsyncIterator[dict[str, Any]]:
        for number in range(3):
            yield {"event": "tick", "id": str(number), "data": {"number": number}}
            await asyncio.sleep(0.1)
        yield {"event": "end", "data": "that was all"}

    return EventStreamResponse(count())


def download(_request: ASGIRequest) -> FileResponse:
    """Send this file: whole, or the ranges that the client asks for."""
    return FileResponse(__file__, as_attachment=True, content_type="text/x-python; charset=utf-8")


async def echo(ws: WebSocket) -> None:
    await ws.accept()
    async for message in ws.iter_text():
        await ws.send_text(f"you said: {message}")


def blue_square(side: int = 8) -> bytes:
    """Return a PNG of one colour, as an example of an answer that is not text."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">2I5B", side, side, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\x1e\x90\xff" * side) * side
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


PAGE = """<!doctype html>
<html lang="en">
<title>penstock</title>
<h1>penstock</h1>
<form action="upload" method="post" enctype="multipart/form-data">
  <input type="file" name="file" required> <button>Upload</button>
</form>
<p><a href="download">Download</a> this application.</p>
<h2>Server-sent events</h2> <ol id="ticks"></ol>
<h2>WebSocket</h2> <ul id="said"></ul>
<script>
  function add(list, text) {
    const item = document.createElement("li");
    item.textContent = text;
    document.getElementById(list).append(item);
  }
  const ticks = new EventSource("ticks");
  ticks.addEventListener("tick", (event) => add("ticks", JSON.parse(event.data).number));
  ticks.addEventListener("end", (event) => { add("ticks", event.data); ticks.close(); });
  const socket = new WebSocket(new URL("echo", location.href.replace(/^http/, "ws")));
  socket.addEventListener("open", () => socket.send("hello"));
  socket.addEventListener("message", (event) => add("said", event.data));
</script>
"""

app = ASGIHandler(
    [
        path("", hello),
        path("items/<name>", read_item, name="item"),
        path("items", create_item, methods=["POST"]),
        path("upload", upload, methods=["POST"]),
        path("cookies", cookies),
        path("image", image),
        path("stream", stream),
        path("url", url),
        path("boom", boom),
        path("events", events, methods=["POST"]),
        path("page", page),
        path("ticks", ticks),
        path("download", download),
        websocket("echo", echo),
    ],
    middleware=[RequestId(), SecurityHeaders()],
    lifespan=lifespan,
)

handler = LambdaAdapter(app, events_path="/events")
