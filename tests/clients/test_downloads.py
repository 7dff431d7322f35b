"""curl and httpx download a file: whole, in ranges, and where a download was cut off."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
from email import message_from_bytes
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from large_file import LargeFile


@pytest.fixture
def curl(need: Callable[[str], str]) -> Callable[..., bytes]:
    path = need("curl")

    def run(*arguments: str) -> bytes:
        command = [path, "--silent", "--show-error", "--fail", "--max-time", "60", *arguments]
        return subprocess.run(command, capture_output=True, check=True).stdout

    return run


class TestCurl:
    def test_the_whole_file(self, curl: Callable[..., bytes], large: LargeFile) -> None:
        assert curl(large.url) == large.content

    @pytest.mark.parametrize(
        ("asked", "part"),
        [
            ("0-0", slice(0, 1)),
            ("1000000-1999999", slice(1_000_000, 2_000_000)),
            ("20000000-", slice(20_000_000, None)),
            ("-5", slice(-5, None)),
        ],
    )
    def test_a_range(
        self, curl: Callable[..., bytes], large: LargeFile, asked: str, part: slice
    ) -> None:
        assert curl("--range", asked, large.url) == large.content[part]

    def test_several_ranges_at_once(self, curl: Callable[..., bytes], large: LargeFile) -> None:
        answer = curl("--include", "--range", "0-9,1000-1009", large.url)
        head, _, body = answer.partition(b"\r\n\r\n")
        content_type = next(
            line for line in head.split(b"\r\n") if line.lower().startswith(b"content-type")
        )
        assert b"multipart/byteranges" in content_type
        message = message_from_bytes(content_type + b"\r\n\r\n" + body)
        parts = [part for part in message.walk() if not part.is_multipart()]
        found = [part.get_payload(decode=True) for part in parts]
        assert found == [large.content[:10], large.content[1000:1010]]
        ranges = [part["Content-Range"] for part in parts]
        size = len(large.content)
        assert ranges == [f"bytes 0-9/{size}", f"bytes 1000-1009/{size}"]

    def test_a_download_that_was_cut_off_goes_on(
        self, curl: Callable[..., bytes], large: LargeFile, tmp_path: Path
    ) -> None:
        partial = tmp_path / "large.bin"
        partial.write_bytes(large.content[:12_345_678])
        curl("--continue-at", "-", "--output", str(partial), large.url)
        assert hashlib.sha256(partial.read_bytes()).hexdigest() == large.sha256

    def test_only_the_head(self, curl: Callable[..., bytes], large: LargeFile) -> None:
        head = curl("--head", large.url).lower()
        assert f"content-length: {len(large.content)}".encode() in head
        assert b"accept-ranges: bytes" in head

    def test_what_has_not_changed_is_not_sent_again(
        self, curl: Callable[..., bytes], large: LargeFile, tmp_path: Path
    ) -> None:
        etag, copy = tmp_path / "etag", tmp_path / "copy"
        curl("--etag-save", str(etag), "--output", str(copy), large.url)
        status = curl("--etag-compare", str(etag), "--write-out", "%{http_code}", large.url)
        assert status == b"304"

    def test_a_form_is_uploaded(
        self, curl: Callable[..., bytes], host: str, tmp_path: Path
    ) -> None:
        file = tmp_path / "sent.txt"
        file.write_bytes(b"content")
        answer = curl("--form", f"file=@{file}", f"http://{host}/upload")
        sha256 = hashlib.sha256(b"content").hexdigest()
        assert answer.decode() == f'{{"filename": "sent.txt", "size": 7, "sha256": "{sha256}"}}'


class TestHttpx:
    def test_a_file_in_parts_at_once(self, large: LargeFile) -> None:
        async def main() -> bytes:
            async with httpx.AsyncClient() as client:
                head = await client.head(large.url)
                size = int(head.headers["content-length"])
                step = -(-size // 8)
                parts = await asyncio.gather(
                    *(
                        client.get(large.url, headers={"Range": f"bytes={at}-{at + step - 1}"})
                        for at in range(0, size, step)
                    )
                )
                assert [part.status_code for part in parts] == [206] * 8
                assert len({part.headers["etag"] for part in parts}) == 1
                return b"".join(part.content for part in parts)

        assert hashlib.sha256(asyncio.run(main())).hexdigest() == large.sha256

    def test_a_part_of_another_version_is_the_whole_file(self, large: LargeFile) -> None:
        headers = {"Range": "bytes=10-19", "If-Range": '"another"'}
        with httpx.Client() as client, client.stream("GET", large.url, headers=headers) as answer:
            assert answer.status_code == 200
            assert int(answer.headers["content-length"]) == len(large.content)

    def test_beyond_the_end(self, large: LargeFile) -> None:
        answer = httpx.get(large.url, headers={"Range": "bytes=99999999-"})
        assert answer.status_code == 416
        assert answer.headers["content-range"] == f"bytes */{len(large.content)}"

    def test_a_client_that_leaves_in_the_middle_does_no_harm(self, large: LargeFile) -> None:
        with httpx.Client() as client:
            for _ in range(3):
                with client.stream("GET", large.url) as answer:
                    next(answer.iter_raw(1024))
        assert httpx.get(large.url).content == large.content
