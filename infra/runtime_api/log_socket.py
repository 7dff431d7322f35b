"""The socket that runtimes on Managed Instances connect their output to.

Its path is in ``_LAMBDA_TELEMETRY_LOG_FD_PROVIDER_SOCKET``; what comes is lines.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.infra.runtime_api.log import read_lines

if TYPE_CHECKING:
    from penstock.infra.runtime_api.log import FunctionLog


class LogSocket:
    """Takes connections at ``path`` and puts their lines into the log."""

    def __init__(self, log: FunctionLog) -> None:
        self._log = log
        self._folder = Path()
        self._server: asyncio.Server | None = None
        self._readers: set[asyncio.Task[None]] = set()

    @property
    def path(self) -> str:
        """Where it listens."""
        return str(self._folder / "log")

    async def start(self) -> None:
        """Listen at a new path. Raises: OSError."""
        self._folder = Path(tempfile.mkdtemp(prefix="penstock-"))
        self._server = await asyncio.start_unix_server(self._read, self.path)

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._readers.add(task)
            task.add_done_callback(self._readers.discard)
        try:
            await read_lines(reader, self._log, "telemetry")
        except (ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    async def close(self) -> None:
        """Stop listening and remove the path."""
        if self._server is not None:
            self._server.close()
        for task in list(self._readers):
            task.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        shutil.rmtree(self._folder, ignore_errors=True)
