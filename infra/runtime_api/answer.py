"""The way of an answer from the runtime's post to whoever invoked the function."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penstock.infra.runtime_api.invocation import FunctionError

_AHEAD_BYTES = 64 * 1024


class Answer:
    """A pipe for one answer, with backpressure: the writer waits for a reader that is behind.

    A reader that stops reading for good (``abandon``) does not stop the runtime, as on Lambda: the
    rest is thrown away. ``content_type`` and ``is_streamed`` are there once it has ``begun``,
    ``error`` once it ``has_ended``.
    """

    def __init__(self) -> None:
        self.content_type = ""
        self.is_streamed = False
        self.has_ended = False
        self.error: FunctionError | None = None
        self._pieces: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._abandoned = False
        self._begun = asyncio.Event()
        self._changed = asyncio.Event()
        self._room = asyncio.Event()

    def begin(self, content_type: str, *, streamed: bool) -> None:
        """Tell the reader what is coming."""
        self.content_type, self.is_streamed = content_type, streamed
        self._begun.set()

    async def write(self, piece: bytes) -> None:
        """Pass on a piece; return when the reader is no more than 64 KiB behind."""
        if self._abandoned or self.has_ended or not piece:
            return
        self._pieces.append(piece)
        self._waiting_bytes += len(piece)
        self._changed.set()
        while self._waiting_bytes > _AHEAD_BYTES and not self._abandoned:
            self._room.clear()
            await self._room.wait()

    def write_whole(self, body: bytes) -> None:
        """Pass on an answer that is there already, however long it is."""
        if body and not self._abandoned:
            self._pieces.append(body)
            self._waiting_bytes += len(body)
            self._changed.set()

    def end(self, error: FunctionError | None = None) -> None:
        """End the answer, well or with an error; only the first end counts."""
        if not self.has_ended:
            self.error = error
            self._begun.set()
            self.has_ended = True
            self._changed.set()
            self._room.set()

    def abandon(self) -> None:
        """Throw away what is there and what still comes."""
        self._abandoned = True
        self._pieces.clear()
        self._waiting_bytes = 0
        self._room.set()

    async def begun(self) -> None:
        """Return when the content type is known, or the answer has ended without one."""
        await self._begun.wait()

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the answer as it arrives; ends with the answer, whether it failed or not."""
        while True:
            while self._pieces:
                piece = self._pieces.popleft()
                self._waiting_bytes -= len(piece)
                if self._waiting_bytes <= _AHEAD_BYTES:
                    self._room.set()
                yield piece
            if self.has_ended:
                return
            self._changed.clear()
            await self._changed.wait()
