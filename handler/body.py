"""Where a request body is kept: in memory up to a threshold, beyond it in a temporary file."""

from __future__ import annotations

import asyncio
import io
import os
import threading
from typing import IO, TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# How much is collected before a thread writes it: a hop costs more than a small write.
_WRITE_SIZE = 524_288
# How much may be in memory beyond the threshold, counting what is being written.
_AHEAD = 786_432
# Parts that are smaller together are joined: each has its price in memory, and in a write.
_SMALL = 4_096
_MOST_PARTS_OF_A_WRITE = 1_024  # IOV_MAX, of Linux and of the BSDs


class SpooledBody:
    """A body that is received with ``feed`` and ``finish``, then read like a binary file.

    Up to ``max_memory`` bytes stay in memory, and a body of one message is never copied. More goes
    to a ``tempfile.SpooledTemporaryFile`` in ``temp_dir``, written in a thread while more is
    received, as it came; memory is bounded by the threshold, three quarters of a mebibyte and one
    message.
    """

    def __init__(self, max_memory: int, temp_dir: str | None = None) -> None:
        self._max_memory = max_memory
        self._temp_dir = temp_dir
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._written_size = 0
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
        if self._pending and len(self._pending[-1]) + len(chunk) <= _SMALL:
            self._pending[-1] += chunk
        else:
            self._pending.append(chunk)
        self._pending_size += len(chunk)
        self.size += len(chunk)
        if self.size <= self._max_memory:
            return
        in_memory = self.size - self._written_size
        if self._writing is not None and (
            self._writing.done() or in_memory >= self._max_memory + _AHEAD
        ):
            await self._written()
        if self._writing is None and (not self.rolled or self._pending_size >= _WRITE_SIZE):
            self._write_in_thread()

    async def finish(self) -> None:
        """End the body; it is read from its start."""
        if not self.rolled:
            self._file = io.BytesIO(b"".join(self._pending))
            self._pending = []
            return
        await self._written()
        if self._pending:
            self._write_in_thread()
            await self._written()
        file = self._opened()
        file.seek(0)
        self._file = io.BufferedReader(file)  # type: ignore[type-var]  # it reads like a raw file

    def _write_in_thread(self) -> None:
        self.rolled = True
        chunks, self._pending, self._pending_size = self._pending, [], 0
        loop = asyncio.get_running_loop()
        self._writing = loop.run_in_executor(None, self._write, chunks)

    async def _written(self) -> None:
        """Wait for the thread: there is one write at a time."""
        if self._writing is not None:
            await asyncio.shield(self._writing)
            self._writing = None
            self._written_size = self.size - self._pending_size

    def _write(self, chunks: list[bytes]) -> None:
        with self._busy:
            if not self.closed:
                if self._file is None:
                    from tempfile import SpooledTemporaryFile

                    self._file = SpooledTemporaryFile(  # noqa: SIM115
                        buffering=0, dir=self._temp_dir
                    )
                    self._file.rollover()
                _write_all(self._file.fileno(), chunks)
            chunks.clear()  # the executor holds on to its arguments for a moment
        if self.closed:
            self._close_file()

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
        self._pending = []
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


def _write_all(descriptor: int, chunks: Sequence[bytes]) -> None:
    """Write at the position, with as few calls as can be and without a copy."""
    for start in range(0, len(chunks), _MOST_PARTS_OF_A_WRITE):
        group = chunks[start : start + _MOST_PARTS_OF_A_WRITE]
        written = os.writev(descriptor, group) if hasattr(os, "writev") else 0  # not on Windows
        for chunk in group:
            rest = memoryview(chunk)[written:]
            written = max(0, written - len(chunk))
            while rest:  # a disk that is nearly full takes less than it is given
                rest = rest[os.write(descriptor, rest) :]
