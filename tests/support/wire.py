"""HTTP/1.1 byte by byte, for what no client library lets a test do or see."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came: header names are lower case, ``framing`` says how its end was known."""

    status: int
    headers: dict[str, str]
    body: bytes
    framing: str

    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection, as ``async with Wire("127.0.0.1:1234") as wire``."""

    def __init__(self, address: str) -> None:
        self._host, _, self._port = address.removeprefix("http://").partition(":")
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(
            self._host, int(self._port), limit=1 << 24
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.transport.abort()

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def send(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> None:
        """Send a request without waiting for its answer."""
        fields = {"Host": "x", "Content-Length": str(len(body)), **(headers or {})}
        lines = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in fields.items() if v)]
        await self.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)

    async def request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Reply:
        await self.send(method, path, body, headers)
        return await self.read_reply()

    async def get(self, path: str, headers: dict[str, str] | None = None) -> Reply:
        return await self.request("GET", path, headers=headers)

    async def post(
        self, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Reply:
        return await self.request("POST", path, body, headers)

    async def read_head(self) -> tuple[int, dict[str, str]]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in head[1:] if line)
        return int(head[0].split()[1]), {name.lower(): value.strip() for name, _, value in pairs}

    async def read_chunk(self) -> bytes:
        """Return the data of the next chunk; nothing at the end (which has no trailers here)."""
        size = int((await self._reader.readline()).partition(b";")[0], 16)
        data = await self._reader.readexactly(size)
        assert await self._reader.readexactly(2) == b"\r\n"
        return data

    async def read_reply(self) -> Reply:
        status, headers = await self.read_head()
        if headers.get("transfer-encoding") == "chunked":
            pieces = []
            while piece := await self.read_chunk():
                pieces.append(piece)
            return Reply(status, headers, b"".join(pieces), "chunked")
        if "content-length" in headers:
            body = await self._reader.readexactly(int(headers["content-length"]))
            return Reply(status, headers, body, "length")
        return Reply(status, headers, b"", "none")

    async def ends(self) -> bytes:
        """Return what still comes before the connection is closed or reset."""
        pieces = []
        with suppress(ConnectionResetError):
            while piece := await self._reader.read(1 << 16):
                pieces.append(piece)
        return b"".join(pieces)

    async def is_reset(self) -> bool:
        """Wait for the end of the connection; return whether it was a reset."""
        try:
            while await self._reader.read(1 << 16):
                pass
        except ConnectionResetError:
            return True
        return False


def chunk(data: bytes) -> bytes:
    """One chunk of the chunked transfer coding."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


RUNTIME = "/2018-06-01/runtime"
NEXT = f"{RUNTIME}/invocation/next"
STREAM = {
    "Content-Length": "",
    "Transfer-Encoding": "chunked",
    "Lambda-Runtime-Function-Response-Mode": "streaming",
    "Content-Type": "application/vnd.awslambda.http-integration-response",
    "Trailer": "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
}


def response(request_id: str) -> str:
    return f"{RUNTIME}/invocation/{request_id}/response"


def error(request_id: str) -> str:
    return f"{RUNTIME}/invocation/{request_id}/error"
