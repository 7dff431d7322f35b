"""A file that a server has, too large for one message."""

from __future__ import annotations

import hashlib
from typing import NamedTuple


class LargeFile(NamedTuple):
    """Where it is, and what is in it."""

    url: str
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()
