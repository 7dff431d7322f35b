"""A FastAPI application that streams: words as they come, a long download, work afterwards."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

from fastapi import BackgroundTasks, FastAPI, HTTPException, Query
from fastapi.responses import StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

app = FastAPI(title="penstock streaming example")

WORDS = ("A", "penstock", "carries", "water", "from", "the", "reservoir", "to", "the", "turbine")
PIECE = bytes(range(256)) * 256  # 64 KiB
MEBIBYTE = 1 << 20

orders: dict[int, str] = {}


@app.get("/chat")
async def chat(pause: float = 0.05) -> StreamingResponse:
    """Send server-sent events: each word at once, as a text generator would make them."""

    async def events() -> AsyncIterator[str]:
        for number, word in enumerate(WORDS):
            if number:
                await asyncio.sleep(pause)
            yield f"data: {json.dumps({'token': word})}\n\n"
        yield "data: [DONE]\n\n"

    return StreamingResponse(
        events(), media_type="text/event-stream", headers={"Cache-Control": "no-cache"}
    )


@app.get("/download")
async def download(
    mebibytes: Annotated[int, Query(ge=1, le=190)] = 100,
) -> StreamingResponse:
    """Send a file that is never whole in memory: plain answers of Lambda end at 6 MB."""

    def pieces() -> Iterator[bytes]:
        for _ in range(mebibytes * MEBIBYTE // len(PIECE)):
            yield PIECE

    return StreamingResponse(
        pieces(),
        media_type="application/octet-stream",
        headers={"Content-Disposition": 'attachment; filename="numbers.bin"'},
    )


@app.post("/orders/{number}", status_code=202)
async def order(number: int, tasks: BackgroundTasks, seconds: float = 1.0) -> dict[str, str]:
    """Answer at once, and do the rest when the answer is with the client."""
    orders[number] = "accepted"
    tasks.add_task(confirm, number, seconds)
    return {"state": "accepted"}


@app.get("/orders/{number}")
async def read_order(number: int) -> dict[str, str]:
    if number not in orders:
        raise HTTPException(404)
    return {"state": orders[number]}


async def confirm(number: int, seconds: float) -> None:
    await asyncio.sleep(seconds)
    orders[number] = "confirmed"
