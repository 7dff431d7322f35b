"""A small Quart application, and the one line that puts it on Lambda."""

from __future__ import annotations

import hashlib
import struct
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from quart import Quart, Response, abort, jsonify, request, url_for

from penstock.adapter import LambdaAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

app = Quart(__name__)


@app.before_serving
async def start() -> None:
    """Run once for each Lambda execution environment, not for each request."""
    app.config["STARTED_AT"] = datetime.now(UTC).isoformat()


@app.get("/")
async def hello() -> dict[str, Any]:
    return {"hello": "Quart", "started_at": app.config["STARTED_AT"]}


@app.get("/items/<name>")
async def read_item(name: str) -> dict[str, Any]:
    return {"name": name, "q": request.args.get("q")}


@app.post("/items")
async def create_item() -> tuple[dict[str, Any], int]:
    return await request.get_json(), 201


@app.post("/upload")
async def upload() -> dict[str, Any]:
    file = (await request.files)["file"]
    content = file.read()
    sha256 = hashlib.sha256(content).hexdigest()
    return {"filename": file.filename, "size": len(content), "sha256": sha256}


@app.get("/cookies")
async def cookies() -> Response:
    visits = int(request.cookies.get("visits", "0"))
    response = jsonify({"visits": visits})
    response.set_cookie("visits", str(visits + 1), httponly=True)
    response.set_cookie("theme", "dark")
    return response


@app.get("/image")
async def image() -> Response:
    return Response(blue_square(), content_type="image/png")


@app.get("/stream")
async def stream() -> Response:
    async def lines() -> AsyncIterator[bytes]:
        for number in range(5):
            yield f"line {number}\n".encode()

    return Response(lines(), content_type="text/plain; charset=utf-8")


@app.get("/url")
async def url() -> dict[str, Any]:
    return {"url": url_for("read_item", name="tea", _external=True)}


@app.get("/boom")
async def boom() -> str:
    raise RuntimeError("this route always fails")


@app.post("/events")
async def events() -> dict[str, Any]:
    """Take what is not a request (SQS, S3, a schedule, …): the JSON goes back to Lambda."""
    penstock = request.scope.get("extensions", {}).get("penstock", {})
    if penstock.get("event_source") != "event":  # an HTTP client must not pose as Lambda
        abort(404)
    event = await request.get_json()
    bad = [r["messageId"] for r in event.get("Records", []) if "bad" in r.get("body", "")]
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in bad]}


def blue_square(side: int = 8) -> bytes:
    """Return a PNG of one colour, as an example of an answer that is not text."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">2I5B", side, side, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\x1e\x90\xff" * side) * side
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


handler = LambdaAdapter(app, events_path="/events")
