"""A part of a file that is already on disk, as a file of its own."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


_PIECE = 65_536  # so that comparing takes no more memory than this


def is_in_file(data: memoryview, descriptor: int, start: int) -> bool:
    """Whether the file has the same bytes there."""
    for offset in range(0, len(data), _PIECE):
        piece = data[offset : offset + _PIECE]
        if os.pread(descriptor, len(piece), start + offset) != piece:
            return False
    return True


class FileWindow(io.RawIOBase):
    """``size`` bytes of a file from ``start`` on, read-only, without a position in that file.

    It has a descriptor of its own, so the file may be closed, and closes it.
    """

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        self._descriptor = os.dup(descriptor)
        self._start = start
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill the buffer as far as there is data; returns how far."""
        view = memoryview(buffer).cast("B")
        wanted = max(0, min(len(view), self._size - self._position))
        count = os.preadv(self._descriptor, [view[:wanted]], self._start + self._position)
        self._position += count
        return count

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to a position and return it."""
        base = (0, self._position, self._size)[whence]
        if base + offset < 0:
            raise ValueError(f"seek to {base + offset}: expected zero or more")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position

    def close(self) -> None:
        """Close the descriptor; the second call does nothing."""
        if not self.closed:
            super().close()
            os.close(self._descriptor)
