"""A small Litestar application, and the one line that puts it on Lambda."""

# Litestar reads the annotations when it starts, so their names are imported for good.
# ruff: noqa: TC002, TC003

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from litestar import Litestar, Request, Response, get, post
from litestar.datastructures import State, UploadFile
from litestar.exceptions import NotFoundException
from litestar.params import FromCookie, FromPath, FromQuery, JSONBody, MultipartBody
from litestar.response import Stream

from penstock.adapter import LambdaAdapter


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    """Run once for each Lambda execution environment, not for each request."""
    app.state.started_at = datetime.now(UTC).isoformat()
    yield


@dataclass
class Item:
    name: str
    price: float


@dataclass
class Upload:
    file: UploadFile


@get("/")
async def hello(state: State) -> dict[str, str]:
    return {"hello": "Litestar", "started_at": state.started_at}


@get("/items/{item:str}", name="read_item")
async def read_item(item: FromPath[str], q: FromQuery[str | None] = None) -> dict[str, str | None]:
    return {"name": item, "q": q}


@post("/items")
async def create_item(data: JSONBody[Item]) -> Item:
    return data


@post("/upload", status_code=200)
async def upload(data: MultipartBody[Upload]) -> dict[str, Any]:
    content = await data.file.read()
    sha256 = hashlib.sha256(content).hexdigest()
    return {"filename": data.file.filename, "size": len(content), "sha256": sha256}


@get("/cookies")
async def cookies(
    visits: FromCookie[int] = 0,
) -> Response[dict[str, int]]:
    response = Response({"visits": visits})
    response.set_cookie("visits", str(visits + 1), httponly=True)
    response.set_cookie("theme", "dark")
    return response


@get("/image")
async def image() -> Response[bytes]:
    return Response(blue_square(), media_type="image/png")


@get("/stream")
async def stream() -> Stream:
    async def lines() -> AsyncIterator[str]:
        for number in range(5):
            yield f"line {number}\n"

    return Stream(lines(), media_type="text/plain")


@get("/url")
async def url(request: Request[Any, Any, State]) -> dict[str, str]:
    return {"url": request.url_for("read_item", item="tea")}


@get("/boom")
async def boom() -> None:
    raise RuntimeError("this route always fails")


@post("/events", status_code=200)
async def events(
    request: Request[Any, Any, State], data: JSONBody[dict[str, Any]]
) -> dict[str, Any]:
    """Take what is not a request (SQS, S3, a schedule, …): the JSON goes back to Lambda."""
    extensions: dict[str, Any] = request.scope.get("extensions") or {}
    if extensions.get("penstock", {}).get("event_source") != "event":
        raise NotFoundException  # an HTTP client must not pose as Lambda
    bad = [r["messageId"] for r in data.get("Records", []) if "bad" in r.get("body", "")]
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


app = Litestar(
    [hello, read_item, create_item, upload, cookies, image, stream, url, boom, events],
    lifespan=[lifespan],
)

handler = LambdaAdapter(app, events_path="/events")
