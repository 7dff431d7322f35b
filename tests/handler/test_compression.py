"""gzip on response objects."""

from __future__ import annotations

import asyncio
import gzip
import io
import zlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.handler.compression import add_vary, compress
from penstock.handler.files import FileResponse
from penstock.handler.headers import RequestHeaders
from penstock.handler.response import HttpResponse
from penstock.handler.streaming import StreamingHttpResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TEXT = b"to be compressed, " * 100


def compressed(response: Any, accept: str | None = "gzip", method: str = "GET") -> Any:
    headers = [] if accept is None else [(b"accept-encoding", accept.encode())]
    request = SimpleNamespace(method=method, headers=RequestHeaders(headers))
    return asyncio.run(compress(request, response))


@pytest.mark.conformance("C162")
@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("gzip", True),
        ("GZip, br", True),
        ("x-gzip", True),
        ("*", True),
        ("gzip;q=0.001", True),
        ("br;q=1, gzip;q=0.5", True),
        ("gzip;q=0.5, identity;q=0.5", True),
        ("identity;q=0, gzip;q=0.1", True),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("br, *;q=0", False),
        ("gzip;q=0.5, identity", False),
        ("identity", False),
        ("gzippy", False),
        ("", False),
        (None, False),
    ],
)
def test_what_accept_encoding_asks_for(accept: str | None, *, expected: bool) -> None:
    response = compressed(HttpResponse(TEXT), accept)
    assert response["Vary"] == "Accept-Encoding"
    assert response.get("content-encoding") == ("gzip" if expected else None)
    if expected:
        assert len(response.content) < len(TEXT)
        assert response["Content-Length"] == str(len(response.content))
        assert gzip.decompress(response.content) == TEXT
    else:
        assert response.content == TEXT


@pytest.mark.conformance("C162")
@pytest.mark.parametrize(
    "response",
    [
        HttpResponse(TEXT, headers={"Content-Encoding": "br"}),
        HttpResponse(TEXT, headers={"Cache-Control": "public, No-Transform"}),
        HttpResponse(TEXT, status=206),
        HttpResponse(TEXT, status=204),
        HttpResponse(TEXT, content_type="image/png"),
        HttpResponse(TEXT, content_type="application/octet-stream"),
        HttpResponse(b"x" * 499),
        HttpResponse(),
        StreamingHttpResponse([TEXT], content_type="video/mp4"),
    ],
    ids=repr,
)
def test_what_is_left_alone(response: Any) -> None:
    before = list(response.items())
    assert compressed(response) is response
    assert list(response.items()) == before


@pytest.mark.conformance("C162")
def test_small_bodies_are_compressed_where_anything_else_is_refused() -> None:
    assert compressed(HttpResponse(b"x" * 500))["Content-Encoding"] == "gzip"
    for accept in ("gzip, identity;q=0", "gzip, *;q=0"):
        assert compressed(HttpResponse(b"x" * 10), accept)["Content-Encoding"] == "gzip"


@pytest.mark.conformance("C162")
@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain; charset=utf-8",
        "application/json",
        "application/problem+json",
        "image/svg+xml",
        "Application/JavaScript",
        "application/xhtml+xml",
    ],
)
def test_types_that_are_compressed(content_type: str) -> None:
    assert "content-encoding" in compressed(HttpResponse(TEXT, content_type=content_type))


@pytest.mark.conformance("C162")
def test_vary_etag_and_accept_ranges() -> None:
    response = HttpResponse(
        TEXT, headers={"Vary": "Cookie, accept-encoding", "ETag": '"a"', "Accept-Ranges": "bytes"}
    )
    compressed(response)
    assert (response["Vary"], response["ETag"]) == ("Cookie, accept-encoding", 'W/"a"')
    assert "accept-ranges" not in response
    response = compressed(HttpResponse(TEXT, headers={"Vary": "*", "ETag": 'W/"a"'}))
    assert (response["Vary"], response["ETag"]) == ("*", 'W/"a"')
    response = HttpResponse(headers={"Vary": "Cookie"})
    add_vary(response, "Origin")
    add_vary(response, "COOKIE")
    assert response["Vary"] == "Cookie, Origin"


@pytest.mark.conformance("C163")
@given(st.lists(st.binary(max_size=50) | st.just(b"x" * 20_000), max_size=6))
def test_a_stream_is_one_member_and_each_part_can_be_read_at_once(parts: list[bytes]) -> None:
    async def produced() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    async def main(response: StreamingHttpResponse) -> None:
        request = SimpleNamespace(headers=RequestHeaders([(b"accept-encoding", b"gzip")]))
        response["Content-Length"] = 5
        await compress(request, response)
        assert "content-length" not in response
        reader = zlib.decompressobj(31)
        received = [reader.decompress(part) async for part in response]
        assert reader.eof
        assert reader.unused_data == b""
        assert [part for part in received if part] == [part for part in parts if part]
        await response.aclose()

    asyncio.run(main(StreamingHttpResponse(produced())))
    asyncio.run(main(StreamingHttpResponse(iter(parts))))


@pytest.mark.conformance("C163")
def test_files_are_compressed_as_streams_and_closed() -> None:
    file = io.BytesIO(TEXT * 100)
    response = compressed(FileResponse(file, filename="a.css"))
    assert response["Content-Encoding"] == "gzip"
    assert gzip.decompress(response.getvalue()) == TEXT * 100
    response.close()
    assert file.closed
