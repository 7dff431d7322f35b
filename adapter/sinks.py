"""Where the body of a response goes."""

from __future__ import annotations

import os

from penstock.adapter.errors import PayloadTooLarge


class BufferedSink:
    """Keeps the whole body in memory, and stops the application once it is more than will pass.

    ``source`` names the front door. ``limit_bytes`` counts the answer as JSON; a body of more bytes
    cannot fit into that.
    """

    __slots__ = ("_chunks", "_size", "limit_bytes", "source")

    def __init__(self, source: str, limit_bytes: int) -> None:
        self.source = source
        self.limit_bytes = limit_bytes
        self._chunks: list[bytes] = []
        self._size = 0

    def write(self, content: bytes | str) -> None:
        """Take body bytes, or the path of a file that is the body.

        Raises: PayloadTooLarge once the body alone exceeds the limit; OSError of the file.
        """
        if isinstance(content, str):
            # os and open: a Path would only cost time.
            self._grow(os.stat(content).st_size)  # noqa: PTH116
            with open(content, "rb") as file:  # noqa: PTH123
                content = file.read()
        else:
            self._grow(len(content))
        self._chunks.append(content)

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > self.limit_bytes:
            raise PayloadTooLarge(self.source, self.limit_bytes, self._size)

    def body(self) -> bytes:
        """The body so far; a body of one chunk is that chunk, not a copy."""
        return self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
