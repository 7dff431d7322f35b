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
def test_writing_is_not_done_on_the_loops_thread() -> None:
    writers = set()

    def spy(frame: Any, event: str, argument: Any) -> None:
        if event == "c_call" and getattr(argument, "__name__", "") == "write":
            owner = getattr(argument, "__self__", None)
            if isinstance(owner, io.BufferedRandom):
                writers.add(threading.current_thread())

    threading.setprofile(spy)
    sys.setprofile(spy)
    try:
        body = asyncio.run(fed([b"x" * 400_000] * 5, 1000))
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    body.close()
    assert writers
    assert threading.current_thread() not in writers


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


def test_memory_is_bounded_by_the_threshold_and_a_little() -> None:
    async def main() -> None:
        body = SpooledBody(1_048_576)
        for _ in range(256):
            await body.feed(bytes(65_536))
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
