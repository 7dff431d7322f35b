"""Where the body of a response goes."""

from __future__ import annotations

import os

from penstock.adapter.errors import PayloadTooLarge


class BufferedSink:
    """Keeps the whole body in memory, and stops the application once it is more than will pass.

    ``limit_bytes`` counts the answer as JSON; a body of more bytes cannot fit into that.
    """

    __slots__ = ("_chunks", "_size", "_source", "limit_bytes")

    def __init__(self, source: str, limit_bytes: int) -> None:
        self._source = source
        self.limit_bytes = limit_bytes
        self._chunks: list[bytes] = []
        self._size = 0

    def write(self, content: bytes | str) -> None:
        """Take body bytes, or the path of a file that is the body.

        Raises: PayloadTooLarge once the body alone exceeds the limit; OSError of the file.
        """
        is_path = isinstance(content, str)
        # os and open: a Path would only cost time.
        self._size += os.stat(content).st_size if is_path else len(content)  # noqa: PTH116
        if self._size > self.limit_bytes:
            raise PayloadTooLarge(self._source, self.limit_bytes, self._size)
        if isinstance(content, str):
            with open(content, "rb") as file:  # noqa: PTH123
                content = file.read()
        self._chunks.append(content)

    def body(self) -> bytes:
        """The body so far; a body of one chunk is that chunk, not a copy."""
        return self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
