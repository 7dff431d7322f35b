"""Where a request body is kept: in memory up to a threshold, beyond it in a temporary file."""

from __future__ import annotations

import asyncio
import io
import os
import threading
from typing import IO, TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Of the memory of two buffers: one is filled while a thread writes the other. Half the threshold
# each, within these limits: a hop to the thread costs as much as writing a quarter of a mebibyte.
_SMALLEST_BUFFER, _LARGEST_BUFFER = 262_144, 1_310_720
# Parts that are smaller together are joined: each has its price in memory.
_SMALL = 4_096


class SpooledBody:
    """A body that is received with ``feed`` and ``finish``, then read like a binary file.

    Up to ``max_memory`` bytes stay in memory, and a body of one message is never copied. More goes
    to a ``tempfile.SpooledTemporaryFile`` in ``temp_dir``, written in a thread while more is
    received. Memory is bounded by the threshold (or half a mebibyte, if that is more) and one
    message.
    """

    def __init__(self, max_memory: int, temp_dir: str | None = None) -> None:
        self._max_memory = max_memory
        self._temp_dir = temp_dir
        self._parts: list[bytes] = []
        # Buffers that are kept, not the messages: memory that is freed by the mebibyte goes back
        # to the system, and is paid for page by page when the next messages come.
        self._buffer = bytearray()
        self._spare = bytearray()
        self._filled = 0
        self._file: IO[bytes] | None = None
        self.size = 0
        self._writing: asyncio.Future[None] | None = None
        self._busy = threading.Lock()
        self.rolled = False
        self.closed = False

    async def feed(self, chunk: bytes) -> None:
        """Take the next part of the body. A failure to write shows in one of the next calls."""
        if not chunk:
            return
        self.size += len(chunk)
        if self.rolled:
            await self._feed_file(chunk)
            return
        if self._parts and len(self._parts[-1]) + len(chunk) <= _SMALL:
            self._parts[-1] += chunk
        else:
            self._parts.append(chunk)
        if self.size > self._max_memory:
            self.rolled = True
            parts, self._parts = self._parts, []
            await self._write_in_thread(parts)
            await self._written()  # before there are buffers, so that memory is not held twice

    async def _feed_file(self, chunk: bytes) -> None:
        if not self._buffer:
            size = min(max(_SMALLEST_BUFFER, self._max_memory // 2), _LARGEST_BUFFER)
            self._buffer, self._spare = bytearray(size), bytearray(size)
        end = self._filled + len(chunk)
        if end > len(self._buffer):
            await self._write_buffer()
            end = len(chunk)
        if end > len(self._buffer):
            await self._write_in_thread([chunk])
            await self._written()
        else:
            self._buffer[self._filled : end] = chunk
            self._filled = end

    async def finish(self) -> None:
        """End the body; it is read from its start."""
        if not self.rolled:
            self._file = io.BytesIO(b"".join(self._parts))
            self._parts = []
            return
        await self._write_buffer()
        await self._written()
        self._buffer = self._spare = bytearray()
        file = self._opened()
        file.seek(0)
        self._file = io.BufferedReader(file)  # type: ignore[type-var]  # it reads like a raw file

    async def _write_buffer(self) -> None:
        if self._filled:
            await self._write_in_thread([memoryview(self._buffer)[: self._filled]])
            self._buffer, self._spare, self._filled = self._spare, self._buffer, 0

    async def _write_in_thread(self, parts: list[bytes] | list[memoryview]) -> None:
        """Begin to write, after what is being written."""
        await self._written()
        loop = asyncio.get_running_loop()
        self._writing = loop.run_in_executor(None, self._write, parts)
        # If the client goes, nobody asks how it ended: Python would report an error as lost.
        self._writing.add_done_callback(lambda future: future.cancelled() or future.exception())

    async def _written(self) -> None:
        if self._writing is not None:
            await asyncio.wait({self._writing})  # a caller that is cancelled leaves the write alone
            writing, self._writing = self._writing, None
            writing.result()

    def _write(self, parts: list[bytes] | list[memoryview]) -> None:
        try:
            with self._busy:
                if not self.closed:
                    _write_all(self._on_disk(), parts)
        finally:
            parts.clear()  # the executor holds on to its arguments for a moment
            if self.closed:
                self._close_file()

    def _on_disk(self) -> int:
        if self._file is None:
            from tempfile import SpooledTemporaryFile

            self._file = SpooledTemporaryFile(buffering=0, dir=self._temp_dir)  # noqa: SIM115
            self._file.rollover()
        return self._file.fileno()

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            raise ValueError("the body is closed" if self.closed else "the body is not complete")
        return self._file

    def getvalue(self) -> bytes:
        """The whole body. From memory it is the same object every time; the position stays."""
        file = self._opened()
        if isinstance(file, io.BytesIO):
            return file.getvalue()
        position = file.tell()
        file.seek(0)
        content = file.read()
        file.seek(position)
        return content

    def read(self, size: int | None = -1) -> bytes:
        """Return up to ``size`` bytes; all that is left, if that is negative or None."""
        return self._opened().read(-1 if size is None else size)

    def readline(self, size: int | None = -1) -> bytes:
        """Return the next line, at most ``size`` bytes of it."""
        return self._opened().readline(-1 if size is None else size)

    def readlines(self, hint: int = -1) -> list[bytes]:
        """Return the lines that are left, or about ``hint`` bytes of them."""
        return self._opened().readlines(hint)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._opened())

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a position and return it."""
        file = self._opened()
        file.seek(offset, whence)
        return file.tell()

    def tell(self) -> int:
        """The position."""
        return self._opened().tell()

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def writable(self) -> bool:
        """False: a body is only fed."""
        return False

    def fileno(self) -> int:
        """The descriptor of the temporary file; OSError while the body is in memory."""
        return self._opened().fileno()

    def close(self) -> None:
        """Give memory and file back; the second call does nothing.

        If a thread is writing just now, it closes the file when it has written.
        """
        self.closed = True
        self._parts = []
        if self._busy.acquire(blocking=False):
            self._busy.release()
            self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _write_all(descriptor: int, parts: Sequence[bytes | memoryview]) -> None:
    for part in parts:
        rest = memoryview(part)
        while rest:  # a disk that is nearly full takes less than it is given
            rest = rest[os.write(descriptor, rest) :]
