"""A small Starlette application, and the one line that puts it on Lambda."""

from __future__ import annotations

import hashlib
import struct
import zlib
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from penstock.adapter import LambdaAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
    """Run once for each Lambda execution environment, not for each request."""
    yield {"started_at": datetime.now(UTC).isoformat()}


async def hello(request: Request) -> Response:
    return JSONResponse({"hello": "Starlette", "started_at": request.state.started_at})


async def read_item(request: Request) -> Response:
    return JSONResponse({"name": request.path_params["name"], "q": request.query_params.get("q")})


async def create_item(request: Request) -> Response:
    return JSONResponse(await request.json(), status_code=201)


async def upload(request: Request) -> Response:
    async with request.form() as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise HTTPException(400, "the form has no file")
        content = await file.read()
        sha256 = hashlib.sha256(content).hexdigest()
        return JSONResponse({"filename": file.filename, "size": len(content), "sha256": sha256})


async def cookies(request: Request) -> Response:
    visits = int(request.cookies.get("visits", "0"))
    response = JSONResponse({"visits": visits})
    response.set_cookie("visits", str(visits + 1), httponly=True)
    response.set_cookie("theme", "dark")
    return response


async def image(_request: Request) -> Response:
    return Response(blue_square(), media_type="image/png")


async def stream(_request: Request) -> Response:
    async def lines() -> AsyncIterator[str]:
        for number in range(5):
            yield f"line {number}\n"

    return StreamingResponse(lines(), media_type="text/plain")


async def url(request: Request) -> Response:
    return JSONResponse({"url": str(request.url_for("read_item", name="tea"))})


async def boom(_request: Request) -> Response:
    raise RuntimeError("this route always fails")


async def events(request: Request) -> Response:
    """Take what is not a request (SQS, S3, a schedule, …): the JSON goes back to Lambda."""
    penstock = request.scope.get("extensions", {}).get("penstock", {})
    if penstock.get("event_source") != "event":  # an HTTP client must not pose as Lambda
        raise HTTPException(404)
    event = await request.json()
    bad = [r["messageId"] for r in event.get("Records", []) if "bad" in r.get("body", "")]
    return JSONResponse({"batchItemFailures": [{"itemIdentifier": item} for item in bad]})


def blue_square(side: int = 8) -> bytes:
    """Return a PNG of one colour, as an example of an answer that is not text."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">2I5B", side, side, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\x1e\x90\xff" * side) * side
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/", hello),
        Route("/items/{name}", read_item),
        Route("/items", create_item, methods=["POST"]),
        Route("/upload", upload, methods=["POST"]),
        Route("/cookies", cookies),
        Route("/image", image),
        Route("/stream", stream),
        Route("/url", url),
        Route("/boom", boom),
        Route("/events", events, methods=["POST"]),
    ],
)

handler = LambdaAdapter(app, events_path="/events")
