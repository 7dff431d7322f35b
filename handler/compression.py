"""gzip, where the client takes it and it pays (RFC 9110 sections 8.4 and 12.5.3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from penstock.handler.negotiation import accepted_codings
from penstock.handler.offloading import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_COMPRESSIBLE = re.compile(
    r"text/|application/(?:json|javascript|xml|wasm|graphql|rtf|toml|yaml|x-ndjson|x-sh)\b"
    r"|application/vnd\.ms-fontobject|image/(?:svg\+xml|bmp|vnd\.microsoft\.icon)|font/[ot]tf"
    r"|[\w.\-]+/[\w.\-]+\+(?:json|xml|text)",
    re.IGNORECASE,
)
_SMALLEST = 500
_LEVEL = 6
_GZIP = 31  # zlib's way to ask for a gzip member with the largest window
# More than this is compressed in a thread: it takes longer than a hop.
_IN_PLACE = 16_384


async def compress(request: Any, response: Any) -> Any:
    """Compress the response's content if the request accepts gzip; returns the same response.

    Left alone: 204, 206 and 304, what has a content coding or ``no-transform``, what is not text
    by its type, and less than 500 bytes, unless the client refuses ``identity``. ``Vary`` is set on
    all that could have been compressed; a strong ETag becomes weak, and Accept-Ranges goes. A
    stream becomes one gzip member, of which each part can be read when it arrives.
    """
    if (
        response.status_code in {204, 205, 206, 304}
        or response.status_code < 200
        or "content-encoding" in response.headers
        or "no-transform" in response.get("cache-control", "").lower()
        or not _COMPRESSIBLE.match(response.get("content-type", ""))
    ):
        return response
    streaming = response.streaming
    size = None if streaming else len(response.content)
    if size == 0:
        return response
    wanted, identity_refused = _wish(request.headers.get("accept-encoding", ""))
    if size is not None and size < _SMALLEST and not identity_refused:
        return response
    add_vary(response, "Accept-Encoding")
    if not wanted:
        return response
    response.headers["Content-Encoding"] = "gzip"
    etag = response.get("etag", "")
    if etag.startswith('"'):
        response["ETag"] = f"W/{etag}"
    del response["accept-ranges"]
    if not streaming:
        content = response.content
        small = len(content) <= _IN_PLACE
        response.content = _whole(content) if small else await in_thread(_whole, content)
        response["Content-Length"] = len(response.content)
        return response
    del response["content-length"]
    parts = response.streaming_content
    response.streaming_content = _async_member(parts) if response.is_async else _member(parts)
    return response


def _wish(header: str) -> tuple[bool, bool]:
    """Whether gzip is wanted, and whether anything but a coding is refused."""
    codings = accepted_codings(header)
    others = codings.get("*", 0.0)
    gzip = max(codings.get("gzip", -1.0), codings.get("x-gzip", -1.0))
    gzip = others if gzip < 0 else gzip
    identity = codings.get("identity")
    if identity is None:
        identity_refused = "*" in codings and others == 0
        return gzip > 0, identity_refused
    return gzip > 0 and gzip >= identity, identity == 0


def add_vary(response: Any, name: str) -> None:
    """Add a name to Vary unless it is there, or the response varies by everything."""
    present = [one.strip() for one in response.get("vary", "").split(",") if one.strip()]
    if "*" not in present and name.lower() not in {one.lower() for one in present}:
        response["Vary"] = ", ".join([*present, name])


def _compressor() -> Any:
    import zlib

    return zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)


def _whole(content: bytes) -> bytes:
    compressor = _compressor()
    return compressor.compress(content) + compressor.flush()  # type: ignore[no-any-return]


def _step(compressor: Any, part: bytes) -> bytes:
    import zlib

    return compressor.compress(part) + compressor.flush(zlib.Z_SYNC_FLUSH)  # type: ignore[no-any-return]


def _member(parts: Iterator[bytes]) -> Iterator[bytes]:
    compressor = _compressor()
    for part in parts:
        if part:
            yield _step(compressor, part)
    yield compressor.flush()


async def _async_member(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    compressor = _compressor()
    async for part in parts:
        if len(part) > _IN_PLACE:
            yield await in_thread(_step, compressor, part)
        elif part:
            yield _step(compressor, part)
    yield compressor.flush()
