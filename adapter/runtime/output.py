"""Where log lines go: stdout, or the descriptor that managed runtimes hand over.

Source: Lambda Developer Guide, "Understanding the Lambda execution environment lifecycle"; the
frames are those of AWS's own client.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from threading import Lock
from typing import Final

TEXT_FRAME: Final = 0xA55A0003
"""The type of a frame that holds text of no level."""


class StandardOutput:
    """Log lines go to stdout, where Lambda takes each line for a record of its own."""

    def write(self, text: str, frame: int) -> None:
        """Write a text as it is."""
        sys.stdout.write(text)

    def write_record(self, text: str, frame: int) -> None:
        """Write a record in one line: for CloudWatch, a CR is a line break that ends no record."""
        body = text.removesuffix("\n")
        if "\n" in body:
            body = body.rstrip("\n").replace("\n", "\r")
        sys.stdout.write(f"{body}\n")


class FramedOutput:
    """Log records go to a descriptor that the managed runtimes hand over, each in a frame.

    A frame is: type (4 bytes), length (4), microseconds of the epoch (8), text in UTF-8; numbers
    are big-endian.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = Lock()

    def write(self, text: str, frame: int) -> None:
        """Write a text in one frame; what is no Unicode is escaped."""
        body = text.encode(errors="backslashreplace")
        now = time.time_ns() // 1000
        head = frame.to_bytes(4, "big") + len(body).to_bytes(4, "big") + now.to_bytes(8, "big")
        data = memoryview(head + body)
        with self._lock:
            while data:
                data = data[os.write(self._descriptor, data) :]

    write_record = write


Output = StandardOutput | FramedOutput

current: Output = StandardOutput()
"""The output of this process."""


def write(text: str) -> None:
    """Write a text to the log as it is."""
    with suppress(Exception):  # the function has closed its own log, or put anything in its place
        current.write(text, TEXT_FRAME)


def write_record(text: str, frame: int) -> None:
    """Write one record to the log, in one line or frame."""
    with suppress(Exception):  # the same
        current.write_record(text, frame)
