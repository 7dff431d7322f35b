"""The request body's container: memory to a threshold, then a temporary file."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import subprocess
import sys
import threading
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.handler.body import SpooledBody

if TYPE_CHECKING:
    from collections.abc import Iterator


async def fed(chunks: list[bytes], max_memory: int, **options: Any) -> SpooledBody:
    body = SpooledBody(max_memory, **options)
    for chunk in chunks:
        await body.feed(chunk)
    await body.finish()
    return body


@pytest.mark.conformance("C072")
def test_the_threshold_is_exact(tmp_path: Path) -> None:
    body = asyncio.run(fed([b"x" * 60, b"y" * 40], 100, temp_dir=str(tmp_path)))
    assert (body.rolled, body.size) == (False, 100)
    body.close()
    with asyncio.run(fed([b"x" * 60, b"y" * 41], 100, temp_dir=str(tmp_path))) as body:
        assert (body.rolled, body.size) == (True, 101)
        assert body.read() == b"x" * 60 + b"y" * 41
    assert body.closed
    body.close()
    with pytest.raises(ValueError, match="closed"):
        body.read()


def test_a_body_of_one_message_is_never_copied() -> None:
    message = b"x" * 100_000
    body = asyncio.run(fed([b"", message, b""], 100_000))
    assert body.getvalue() is message
    assert body.read(10) == b"x" * 10
    assert body.getvalue() is message
    body.close()


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, threading.Thread]]:
    """How much each call wrote, and in which thread."""
    seen: list[tuple[int, threading.Thread]] = []
    write = os.write

    def watched(descriptor: int, data: Any) -> int:
        if len(data) > 1:  # a loop wakes itself up with single bytes
            seen.append((len(data), threading.current_thread()))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", watched)
    return seen


@pytest.mark.conformance("C074")
def test_writing_is_not_done_on_the_loops_thread(writes: list[Any]) -> None:
    body = asyncio.run(fed([b"x" * 400_000] * 5 + [b"x" * 300] * 2_000, 1000))
    body.close()
    assert sum(size for size, _ in writes) == 2_600_000
    assert threading.current_thread() not in {thread for _, thread in writes}


@pytest.mark.parametrize(
    ("size", "count", "max_memory", "most"),
    [
        (3, 100_000, 1_000, 4),
        (3_000, 3_000, 2_621_440, 880),  # the 874 that were in memory, as they are
        (3_000, 3_000, 0, 40),
        (65_536, 60, 2_621_440, 43),
        (65_536, 60, 0, 17),
        (300_000, 10, 0, 10),
    ],
)
def test_what_goes_to_disk_is_written_in_few_calls(
    writes: list[Any], size: int, count: int, max_memory: int, most: int
) -> None:
    chunks = [os.urandom(size) for _ in range(count)]
    with asyncio.run(fed(chunks, max_memory)) as body:
        assert body.read() == b"".join(chunks)
    assert len(writes) <= most


def test_a_message_larger_than_the_buffers_is_written_as_it_is(writes: list[Any]) -> None:
    chunks = [os.urandom(size) for size in (10, 300_000, 10, 262_144, 262_145, 5)]
    with asyncio.run(fed(chunks, 0)) as body:
        assert body.read() == b"".join(chunks)
    assert [size for size, _ in writes] == [10, 300_000, 10, 262_144, 262_145, 5]


@pytest.mark.parametrize("at_most", [2, 7, 150, 70_000])
def test_a_write_may_take_less_than_it_is_given(
    at_most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:at_most]))
    chunks = [os.urandom(size) for size in (100, 5_000, 1, 60_000)]
    with asyncio.run(fed(chunks, 0)) as body:
        assert body.read() == b"".join(chunks)


@pytest.mark.conformance("C073")
def test_small_bodies_do_not_load_tempfile() -> None:
    code = (
        "import asyncio, sys\n"
        "from penstock.handler.body import SpooledBody\n"
        "async def main():\n"
        "    body = SpooledBody(100); await body.feed(b'x'); await body.finish(); body.read()\n"
        "asyncio.run(main())\n"
        "sys.exit('tempfile' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@given(
    st.lists(st.binary(max_size=40), max_size=6),
    st.sampled_from([0, 30, 1000]),
    st.lists(
        st.tuples(st.sampled_from(["read", "readline", "seek", "readlines"]), st.integers(-1, 50)),
        max_size=6,
    ),
)
def test_it_reads_like_a_file(
    chunks: list[bytes], max_memory: int, calls: list[tuple[str, int]]
) -> None:
    file = io.BytesIO(b"".join(chunks))
    with asyncio.run(fed(chunks, max_memory)) as body:
        for name, argument in calls:
            if name == "seek" and argument < 0:
                assert body.seek(argument + 1, os.SEEK_END) == file.seek(argument + 1, os.SEEK_END)
                continue
            if name == "readlines" and argument > 0:  # about so many bytes: files do not agree
                lines, left = body.readlines(argument), file.readlines()
                assert lines == left[: len(lines)]
                assert len(b"".join(lines)) >= min(argument, len(b"".join(left)))
                file.seek(body.tell())
                continue
            assert getattr(body, name)(argument) == getattr(file, name)(argument)
            assert body.tell() == file.tell()
        assert body.getvalue() == file.getvalue()
        assert body.tell() == file.tell()
        assert list(body) == list(file)
        assert (body.readable(), body.seekable(), body.writable()) == (True, True, False)


@pytest.mark.parametrize("size", [40, 65_536])
@pytest.mark.parametrize(("threshold", "most"), [(0, 524_288), (2_097_152, 2_097_152)])
def test_memory_is_bounded_by_the_threshold(size: int, threshold: int, most: int) -> None:
    """By half a mebibyte, if that is more; and by one message."""

    async def main(total: int) -> None:
        body = SpooledBody(threshold)
        for _ in range(total // size):
            await body.feed(bytes(size))
        await body.finish()
        body.close()

    asyncio.run(main(threshold + 2))  # what is imported once is not what is measured
    tracemalloc.start()
    try:
        asyncio.run(main(threshold + 4_194_304))
        assert tracemalloc.get_traced_memory()[1] < most + size + 150_000
    finally:
        tracemalloc.stop()


def test_a_body_on_disk_holds_no_memory() -> None:
    asyncio.run(fed([b"x" * 1_000] * 2, 10)).close()
    chunks = [b"x" * 1_000] * 5_000
    tracemalloc.start()
    try:
        with asyncio.run(fed(chunks, 2_000_000)):
            assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()


def test_reading_before_the_end_is_an_error() -> None:
    async def main() -> None:
        body = SpooledBody(10)
        await body.feed(b"x")
        with pytest.raises(ValueError, match="not complete"):
            body.read()
        body.close()

    asyncio.run(main())


@pytest.mark.parametrize("waiting", [False, True])
def test_a_body_that_is_given_up_while_it_is_written_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, waiting: bool
) -> None:
    """The thread closes the file, when it has written; until then nobody waits for it."""
    writing, go_on = threading.Event(), threading.Event()
    write = os.write

    def held(descriptor: int, data: Any) -> int:
        if len(data) > 200_000:
            writing.set()
            go_on.wait(30)
        return write(descriptor, data)

    async def main() -> SpooledBody:
        body = SpooledBody(10, str(tmp_path))
        await body.feed(b"x" * 11)
        await body.feed(b"x" * 250_000)
        task = asyncio.create_task(body.finish())
        await asyncio.to_thread(writing.wait, 30)
        if waiting:
            task.cancel()
            await asyncio.wait({task})
        body.close()
        go_on.set()
        await asyncio.wait({task})
        return body

    monkeypatch.setattr(os, "write", held)
    body = asyncio.run(main())  # which waits for the threads at its end
    assert body.closed
    assert [link for link in open_links() if link.startswith(str(tmp_path))] == []


def open_links() -> list[str]:
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one that lists them
            found.append(str(descriptor.readlink()))
    return found


def test_a_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    async def main() -> None:
        body = SpooledBody(10, str(tmp_path / "missing"))
        with pytest.raises(FileNotFoundError):
            await body.feed(b"x" * 100)
        body.close()

    asyncio.run(main())


@pytest.fixture
def small_files() -> Iterator[None]:
    """A file may have 100,000 bytes: the same error from a write as of a disk that is full."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def feed_on(body: SpooledBody, size: int) -> None:
    for _ in range(1_000):
        await body.feed(bytes(size))


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("size", [5_000, 65_536, 300_000])
def test_a_disk_that_gets_full_is_an_error_and_leaves_no_file(tmp_path: Path, size: int) -> None:
    async def main() -> None:
        body = SpooledBody(10, str(tmp_path))
        with pytest.raises(OSError, match="too large"):
            await feed_on(body, size)
        body.close()
        with pytest.raises(ValueError, match="closed"):
            body.read()

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("small_files")
def test_the_last_bytes_of_a_body_may_be_those_that_find_no_room(tmp_path: Path) -> None:
    async def main() -> None:
        body = SpooledBody(10, str(tmp_path))
        for _ in range(3):
            await body.feed(bytes(50_000))
        with pytest.raises(OSError, match="too large"):
            await body.finish()
        body.close()

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("small_files")
def test_a_write_that_fails_after_the_client_has_gone_is_not_reported_as_lost(
    tmp_path: Path,
) -> None:
    lost: list[Any] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))
        body = SpooledBody(10, str(tmp_path))
        for _ in range(6):  # the last one hands the four before it to a thread
            await body.feed(bytes(65_536))
        body.close()

    asyncio.run(main())
    gc.collect()
    assert list(tmp_path.iterdir()) == []
    assert lost == []
