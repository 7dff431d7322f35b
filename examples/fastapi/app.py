"""A small FastAPI application, and the one line that puts it on Lambda."""

from __future__ import annotations

import hashlib
import struct
import zlib
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Cookie, FastAPI, HTTPException, Request, Response, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from penstock.adapter import LambdaAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Run once for each Lambda execution environment, not for each request."""
    yield {"started_at": datetime.now(UTC).isoformat()}


app = FastAPI(title="penstock example", lifespan=lifespan)


class Item(BaseModel):
    name: str
    price: float


@app.get("/")
async def hello(request: Request) -> dict[str, str]:
    return {"hello": "FastAPI", "started_at": request.state.started_at}


@app.get("/items/{name}")
async def read_item(name: str, q: str | None = None) -> dict[str, str | None]:
    return {"name": name, "q": q}


@app.post("/items", status_code=201)
async def create_item(item: Item) -> Item:
    return item


@app.post("/upload")
async def upload(file: UploadFile) -> dict[str, Any]:
    content = await file.read()
    return {
        "filename": file.filename,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


@app.get("/cookies")
async def cookies(response: Response, visits: Annotated[int, Cookie()] = 0) -> dict[str, int]:
    response.set_cookie("visits", str(visits + 1), httponly=True)
    response.set_cookie("theme", "dark")
    return {"visits": visits}


@app.get("/image")
async def image() -> Response:
    return Response(blue_square(), media_type="image/png")


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        for number in range(5):
            yield f"line {number}\n"

    return StreamingResponse(lines(), media_type="text/plain")


@app.get("/url")
async def url(request: Request) -> dict[str, str]:
    return {"url": str(request.url_for("read_item", name="tea"))}


@app.get("/boom")
async def boom() -> None:
    raise RuntimeError("this route always fails")


@app.post("/events")
async def events(request: Request, event: dict[str, Any]) -> dict[str, Any]:
    """Take what is not a request (SQS, S3, a schedule, …): the JSON goes back to Lambda."""
    penstock = request.scope.get("extensions", {}).get("penstock", {})
    if penstock.get("event_source") != "event":  # an HTTP client must not pose as Lambda
        raise HTTPException(404)
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
