"""File responses as objects: headers, reading, closing."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import threading
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.handler.dates import http_date
from penstock.handler.exceptions import Http404
from penstock.handler.files import FileMissing, FileResponse, content_disposition
from penstock.handler.media_types import media_type

if TYPE_CHECKING:
    from pathlib import Path


class Counting(io.BytesIO):
    """Counts how often it is closed, and where it is read."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.closes = 0
        self.threads: set[int] = set()

    def read(self, size: int | None = -1, /) -> bytes:
        self.threads.add(threading.get_ident())
        return super().read(size)

    def close(self) -> None:
        if not self.closed:
            self.closes += 1
        super().close()


class Unseekable(io.RawIOBase):
    """A pipe's end, with or without a name."""

    def __init__(self, content: bytes, name: str | None = None) -> None:
        self._content = io.BytesIO(content)
        if name is not None:
            self.name = name

    def read(self, size: int = -1, /) -> bytes:
        return self._content.read(size)

    def tell(self) -> int:
        return self._content.tell()

    def seekable(self) -> bool:
        return False


class AsyncFile:
    """What aiofiles and anyio give."""

    def __init__(self, content: bytes, name: str) -> None:
        self._content = io.BytesIO(content)
        self.name = name
        self.closes = 0

    async def read(self, size: int = -1) -> bytes:
        await asyncio.sleep(0)
        return self._content.read(size)

    async def aclose(self) -> None:
        self.closes += 1


async def read(response: FileResponse) -> list[bytes]:
    parts = [part async for part in response]
    await response.aclose()
    return parts


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_bytes(b"0123456789")
    return path


@pytest.mark.conformance("C150")
def test_a_path(file: Path) -> None:
    os.utime(file, (1_700_000_000, 1_700_000_000))
    response = FileResponse(file)
    assert dict(response.items()) == {
        "Content-Type": "text/plain",
        "Content-Length": "10",
        "Content-Disposition": 'inline; filename="a.txt"',
        "Last-Modified": http_date(1_700_000_000),
        "ETag": f'"{1_700_000_000_000_000_000:x}-a"',
        "Accept-Ranges": "bytes",
    }
    assert response.has_validators
    assert (response.is_async, response.streaming) == (True, True)
    assert response.sendable_path == str(file)
    opened: Any = response._resource_closers[0].__self__  # type: ignore[attr-defined]
    assert asyncio.run(read(response)) == [b"0123456789"]
    assert opened.closed
    given = FileResponse(str(file), headers={"ETag": '"mine"', "content-type": "a/b"})
    assert (given["ETag"], given["Content-Type"]) == ('"mine"', "a/b")
    given.close()


@pytest.mark.conformance("C150")
def test_where_the_length_is_known_and_where_not(file: Path, tmp_path: Path) -> None:
    with file.open("rb") as opened:
        opened.seek(4)
        response = FileResponse(opened)
        assert response["Content-Length"] == "6"
        assert not response.has_validators
        assert asyncio.run(read(response)) == [b"456789"]
    memory = io.BytesIO(b"0123456789")
    memory.seek(7)
    assert FileResponse(memory)["Content-Length"] == "3"
    assert "content-length" not in FileResponse(Unseekable(b"0123"))
    named = Unseekable(b"0123", str(file))
    named.read(1)
    assert FileResponse(named)["Content-Length"] == "9"
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(b"piped")
    response = FileResponse(os.fdopen(reading, "rb"))
    assert "content-length" not in response
    assert response["Content-Type"] == "application/octet-stream"
    assert asyncio.run(read(response)) == [b"piped"]
    past_the_end = io.BytesIO(b"0")
    past_the_end.seek(5)
    response = FileResponse(past_the_end)
    assert (response["Content-Length"], asyncio.run(read(response))) == ("0", [])


@pytest.mark.conformance("C150")
def test_async_files_and_iterables() -> None:
    source = AsyncFile(b"x" * 100_000, "/tmp/a.css")
    response = FileResponse(source)
    assert response["Content-Type"] == "text/css"
    assert "content-length" not in response
    assert [len(part) for part in asyncio.run(read(response))] == [65_536, 34_464]
    assert source.closes == 1
    assert FileResponse(AsyncFile(b"abc", "")).getvalue() == b"abc"
    iterable = FileResponse(["a", b"b"])
    assert (iterable.is_async, iterable.getvalue()) == (False, b"ab")
    assert iterable["Content-Type"] == "text/html; charset=utf-8"


@pytest.mark.conformance("C158")
@pytest.mark.parametrize("name", ["missing", "", "a.txt/b", "a\0b"])
def test_a_path_without_a_regular_file_is_a_404(file: Path, name: str) -> None:
    path = f"{file.parent}/{name}"
    with pytest.raises(FileMissing, match="regular file") as caught:
        FileResponse(path)
    assert isinstance(caught.value, Http404)
    assert isinstance(caught.value, FileNotFoundError)
    assert caught.value.status == 404


@pytest.mark.conformance("C158")
def test_a_pipe_at_the_path_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileMissing):
        FileResponse(tmp_path / "pipe")


@pytest.mark.conformance("C158")
@pytest.mark.parametrize("steps", [0, 1, 5])
def test_a_file_is_closed_once_however_far_it_was_read(steps: int) -> None:
    async def main() -> None:
        source = Counting(b"x" * 200_000)
        response = FileResponse(source)
        parts = aiter(response.streaming_content)
        for _ in range(steps):
            await anext(parts, None)
        await response.aclose()
        await response.aclose()
        response.close()
        assert source.closes == 1

    asyncio.run(main())
    source = Counting(b"x")
    FileResponse(source).close()
    assert source.closes == 1


@pytest.mark.conformance("C157")
def test_descriptors_are_offered_for_one_part_of_a_real_file(file: Path) -> None:
    response = FileResponse(file)
    descriptor, *window = response.sendable_descriptor() or (-1,)
    assert window == [0, 10]
    assert os.pread(descriptor, 4, 2) == b"2345"
    response.select([(2, 6)])
    assert response.sendable_path is None
    assert response.sendable_descriptor() == (descriptor, 2, 4)
    response.select([b"--", (0, 2), (4, 5)])
    assert response.sendable_descriptor() is None
    assert response.getvalue() == b"--014"
    response.close()
    with file.open("rb") as opened:
        opened.seek(3)
        positioned = FileResponse(opened)
        assert positioned.sendable_path is None
        assert (positioned.sendable_descriptor() or ())[1:] == (3, 7)
    for other in (io.BytesIO(b"x"), Unseekable(b"x"), AsyncFile(b"x", "x")):
        assert FileResponse(other).sendable_descriptor() is None


@pytest.mark.conformance("C157")
def test_a_wrapped_file_is_only_sent_as_it_was_wrapped(file: Path) -> None:
    response = FileResponse(file)
    response.streaming_content = [b"instead"]
    assert response.sendable_path is None
    assert response.sendable_descriptor() is None
    assert not response.has_validators
    assert response.getvalue() == b"instead"
    response.close()


@pytest.mark.conformance("C159")
def test_a_large_file_needs_little_memory_and_is_read_off_the_loop(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as large:
        large.truncate(67_108_864)

    async def main() -> int:
        response = FileResponse(path)
        size = 0
        async for part in response:
            size += len(part)
        await response.aclose()
        return size

    tracemalloc.start()
    try:
        assert asyncio.run(main()) == 67_108_864
        assert tracemalloc.get_traced_memory()[1] < 2_097_152
    finally:
        tracemalloc.stop()
    source = Counting(b"x" * 100_000)
    asyncio.run(read(FileResponse(source)))
    assert source.threads
    assert threading.get_ident() not in source.threads


@pytest.mark.conformance("C151")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.py", "text/x-python"),
        ("a.tar.gz", "application/gzip"),
        ("a.tgz", "application/gzip"),
        ("a.css.br", "application/x-brotli"),
        ("a.bz2", "application/x-bzip"),
        ("a.xz", "application/x-xz"),
        ("a.Z", "application/x-compress"),
        ("A.HTML", "text/html"),
        ("a.unheard-of", "application/octet-stream"),
        ("html", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_content_types(name: str, expected: str) -> None:
    assert media_type(name) == expected
    response = FileResponse(io.BytesIO(), filename=name)
    assert response["Content-Type"] == expected
    assert FileResponse(io.BytesIO(), filename=name, content_type="x/y")["Content-Type"] == "x/y"


@pytest.mark.conformance("C151")
def test_content_types_need_nothing_of_the_host() -> None:
    code = (
        "import sys; from penstock.handler.files import media_type; media_type('a.py');"
        "sys.exit('mimetypes' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.conformance("C152")
@pytest.mark.parametrize(
    ("filename", "as_attachment", "expected"),
    [
        ("a.txt", False, 'inline; filename="a.txt"'),
        ("a.txt", True, 'attachment; filename="a.txt"'),
        ('a"b\\c', True, 'attachment; filename="a\\"b\\\\c"'),
        ("a\tb", True, 'attachment; filename="a\tb"'),
        ("a\nb", True, "attachment; filename*=utf-8''a%0Ab"),
        ("é €", False, "inline; filename*=utf-8''%C3%A9%20%E2%82%AC"),
        ("", True, "attachment"),
        ("", False, None),
    ],
)
def test_content_disposition(filename: str, expected: str | None, *, as_attachment: bool) -> None:
    assert content_disposition(filename, as_attachment=as_attachment) == expected


@pytest.mark.conformance("C152")
def test_only_the_last_part_of_a_name_is_sent(file: Path) -> None:
    response = FileResponse(file, filename="/etc/x.pdf", as_attachment=True)
    assert response["Content-Disposition"] == 'attachment; filename="x.pdf"'
    assert response["Content-Type"] == "application/pdf"
    response.close()


@given(st.text())
def test_any_name_makes_a_header_that_can_be_sent(name: str) -> None:
    headers = FileResponse(io.BytesIO(), filename=name).headers.raw()
    values = [value for key, value in headers if key.lower() == b"content-disposition"]
    assert len(values) <= 1
    assert not any(control in value for value in values for control in b"\r\n\0")
