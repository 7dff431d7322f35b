"""The request body's container: memory to a threshold, then a temporary file."""

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

from penstock.handler.body import SpooledBody

if TYPE_CHECKING:
    from pathlib import Path


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


@pytest.mark.conformance("C074")
def test_writing_is_not_done_on_the_loops_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    writers = []
    write = os.writev

    def watched(descriptor: int, buffers: Any) -> int:
        writers.append(threading.current_thread())
        return write(descriptor, buffers)

    monkeypatch.setattr(os, "writev", watched)
    body = asyncio.run(fed([b"x" * 400_000] * 5, 1000))
    body.close()
    assert writers
    assert threading.current_thread() not in writers


def test_many_parts_are_written_in_few_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever their size; no call gets more than the system takes (IOV_MAX)."""
    counts = []
    write = os.writev

    def watched(descriptor: int, buffers: Any) -> int:
        counts.append(len(buffers))
        return write(descriptor, buffers)

    monkeypatch.setattr(os, "writev", watched)
    for size, count in ((3, 100_000), (3_000, 3_000), (65_536, 60)):
        counts.clear()
        chunks = [os.urandom(size) for _ in range(count)]
        with asyncio.run(fed(chunks, 5_000_000 if size == 3_000 else 1_000)) as body:
            assert body.read() == b"".join(chunks)
        assert max(counts) <= 1_024
        assert len(counts) < 20


@pytest.mark.parametrize("at_most", [1, 7, 150, 70_000])
def test_a_write_may_take_less_than_it_is_given(
    at_most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(descriptor: int, buffers: Any) -> int:
        return os.write(descriptor, b"".join(buffers)[:at_most])

    monkeypatch.setattr(os, "writev", short)
    chunks = [os.urandom(size) for size in (100, 5_000, 1, 60_000)]
    with asyncio.run(fed(chunks, 0)) as body:
        assert body.read() == b"".join(chunks)


def test_a_system_without_writev(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "writev", raising=False)
    chunks = [os.urandom(size) for size in (100, 5_000, 60_000)]
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
            assert getattr(body, name)(argument) == getattr(file, name)(argument)
            assert body.tell() == file.tell()
        assert body.getvalue() == file.getvalue()
        assert body.tell() == file.tell()
        assert list(body) == list(file)
        assert (body.readable(), body.seekable(), body.writable()) == (True, True, False)


@pytest.mark.parametrize("size", [40, 65_536])
def test_memory_is_bounded_by_the_threshold_and_a_little(size: int) -> None:
    async def main() -> None:
        body = SpooledBody(1_048_576)
        for _ in range(4_194_304 // size):
            await body.feed(bytes(size))
        await body.finish()
        body.close()

    asyncio.run(main())  # what is imported and made once is not what is measured
    tracemalloc.start()
    try:
        asyncio.run(main())
        assert tracemalloc.get_traced_memory()[1] < 2 * 1_048_576
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
    tmp_path: Path, *, waiting: bool
) -> None:
    async def main() -> None:
        body = SpooledBody(10, str(tmp_path))
        await body.feed(b"x" * 10_000_000)
        if waiting:
            task = asyncio.create_task(body.finish())
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})  # not cancelled, if the thread was done already
        body.close()

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []


def test_a_failure_to_write_is_raised_before_the_body_ends(tmp_path: Path) -> None:
    async def main() -> None:
        body = SpooledBody(10, str(tmp_path / "missing"))
        await body.feed(b"x" * 100)
        with pytest.raises(FileNotFoundError):
            await body.finish()
        body.close()

    asyncio.run(main())
