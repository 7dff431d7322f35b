"""Forms as bytes, requests that hold them, and two ways to read them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.handler.body import SpooledBody
from penstock.handler.config import HandlerConfig
from penstock.handler.request import ASGIRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[[ASGIRequest], tuple[Any, Any]]


URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=BoUnDaRy"


def part(name: str, content: bytes | str, filename: str | None = None, *headers: str) -> bytes:
    disposition = f'Content-Disposition: form-data; name="{name}"'
    if filename is not None:
        disposition += f'; filename="{filename}"'
    data = content if isinstance(content, bytes) else content.encode()
    return "\r\n".join(["--BoUnDaRy", disposition, *headers, "", ""]).encode() + data + b"\r\n"


def whole(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--BoUnDaRy--\r\n"


def spooled(body: bytes, max_memory: int) -> SpooledBody:
    async def feed() -> SpooledBody:
        spool = SpooledBody(max_memory)
        for start in range(0, len(body), 50_000):
            await spool.feed(body[start : start + 50_000])
        await spool.finish()
        return spool

    return asyncio.run(feed())


def request_of(
    body: Any, content_type: str = MULTIPART, method: str = "POST", **settings: Any
) -> ASGIRequest:
    scope = {
        "type": "http",
        "method": method,
        "path": "/",
        "query_string": b"",
        "headers": [(b"content-type", content_type.encode("latin-1"))],
    }
    return ASGIRequest(scope, body, HandlerConfig(**settings))


def read_sync(request: ASGIRequest) -> tuple[Any, Any]:
    return request.POST, request.FILES


def read_async(request: ASGIRequest) -> tuple[Any, Any]:
    asyncio.run(request.aform())
    return request.POST, request.FILES


def open_files() -> set[str]:
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found.add(str(descriptor.readlink()))
        except OSError:  # the one that lists them
            continue
    return {name for name in found if ".upload" in name}
