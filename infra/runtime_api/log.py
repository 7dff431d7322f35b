"""What a function and its environment have written, line by line."""

from __future__ import annotations

import asyncio
import math
import struct
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

Source = Literal["stdout", "stderr", "telemetry", "platform"]
_LEVELS: Final = {4: "TRACE", 8: "DEBUG", 12: "INFO", 16: "WARN", 20: "ERROR", 24: "FATAL"}
_LEVEL_BITS: Final = 0x1C
_MAGIC: Final = 0xA55A0000
_HEADER: Final = struct.Struct(">IIQ")
_TAIL_BYTES: Final = 4096
_TURNS_TO_READ_A_PIPE: Final = 4


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record: a line of a stream, or one frame of the telemetry descriptor.

    Units: ``timestamp_us`` microseconds since the epoch, frames only. ``level`` and ``kind``
    (``text`` or ``json``) are those of a frame's type.
    """

    source: Source
    text: str
    timestamp_us: int | None = None
    level: str | None = None
    kind: Literal["text", "json"] | None = None


class FrameDecoder:
    """Decodes the framed log that managed runtimes write to ``_LAMBDA_TELEMETRY_LOG_FD``.

    A frame is its type, its length (32 bits each), its time in microseconds (64 bits), all in
    network byte order, and its message.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[LogRecord]:
        """Yield the records that are complete now. Raises: ValueError for what is no frame."""
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            frame_type, length, timestamp = _HEADER.unpack_from(self._buffer)
            kind: Literal["text", "json"] | None = {2: "json", 3: "text"}.get(frame_type & 3)  # type: ignore[assignment]
            if frame_type & ~(_LEVEL_BITS | 3) != _MAGIC or kind is None:
                raise ValueError(f"expected a log frame, got type {frame_type:#010x}")
            end = _HEADER.size + length
            if len(self._buffer) < end:
                return
            text = self._buffer[_HEADER.size : end].decode(errors="replace")
            del self._buffer[:end]
            level = _LEVELS.get(frame_type & _LEVEL_BITS)
            yield LogRecord("telemetry", text, timestamp, level, kind)


class FunctionLog:
    """Everything that was logged, in the order in which it came."""

    def __init__(self, *, echo: bool = False) -> None:
        self.records: list[LogRecord] = []
        self._echo = echo
        self._grown = asyncio.Event()

    def add(self, record: LogRecord) -> None:
        """Append a record."""
        self.records.append(record)
        if self._echo:
            # An entry of many lines has carriage returns: a terminal would overwrite its lines.
            sys.stderr.write(_line(record).replace("\r", "\n"))
            sys.stderr.flush()
        self._grown.set()

    def note_start(self, request_id: str) -> None:
        """Write the line with which Lambda begins an invocation."""
        self.add(LogRecord("platform", f"START RequestId: {request_id} Version: $LATEST"))

    def note_end(self, request_id: str, seconds: float, memory_mb: int) -> None:
        """Write the lines with which Lambda ends an invocation."""
        self.add(LogRecord("platform", f"END RequestId: {request_id}"))
        report = (
            f"REPORT RequestId: {request_id}\tDuration: {seconds * 1000:.2f} ms"
            f"\tBilled Duration: {math.ceil(seconds * 1000)} ms\tMemory Size: {memory_mb} MB"
        )
        self.add(LogRecord("platform", report))

    @property
    def text(self) -> str:
        """All of it, one record after the other."""
        return "".join(_line(record) for record in self.records)

    async def tail_since(self, position: int) -> bytes:
        """Return the last 4096 bytes behind so many records: what Lambda hands to its caller."""
        # What was written before the answer is in the pipe already; the loop has to read it.
        for _ in range(_TURNS_TO_READ_A_PIPE):
            await asyncio.sleep(0)
        text = "".join(_line(record) for record in self.records[position:])
        return text.encode()[-_TAIL_BYTES:]

    async def wait_for(self, text: str) -> LogRecord:
        """Return the first record that contains the text, as soon as there is one."""
        seen = 0
        while True:
            for record in self.records[seen:]:
                if text in record.text:
                    return record
            seen = len(self.records)
            self._grown.clear()
            await self._grown.wait()


def _line(record: LogRecord) -> str:
    return record.text if record.text.endswith("\n") else record.text + "\n"


async def read_lines(stream: asyncio.StreamReader, log: FunctionLog, source: Source) -> None:
    """Put a stream's lines into the log until it ends, the very long ones in pieces."""
    while True:
        try:
            line = await stream.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                log.add(LogRecord(source, error.partial.decode(errors="replace")))
            return
        except asyncio.LimitOverrunError as error:
            line = await stream.readexactly(error.consumed)
        log.add(LogRecord(source, line.decode(errors="replace")))
