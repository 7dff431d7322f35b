"""A runtime's process: started as Lambda starts it, its output kept, ended with its whole group."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from penstock.infra.runtime_api.log import FrameDecoder, FunctionLog, LogRecord, Source, read_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_READ_BYTES = 64 * 1024
_LINE_LIMIT_BYTES = 1024 * 1024


class FunctionProcess:
    """A running process and its descendants. Made by ``start``."""

    def __init__(
        self, process: asyncio.subprocess.Process, readers: list[asyncio.Task[None]]
    ) -> None:
        self._process = process
        self._readers = readers

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        folder: Path,
        environ: Mapping[str, str],
        log: FunctionLog,
        framed_log: bool,
    ) -> FunctionProcess:
        """Start a command in a folder with exactly this environment; its output goes to the log.

        With ``framed_log`` it finds a descriptor for frames in ``_LAMBDA_TELEMETRY_LOG_FD``.
        Raises: OSError if it cannot be started.
        """
        environ = dict(environ)
        descriptors: tuple[int, ...] = ()
        frames: tuple[int, int] | None = None
        if framed_log:
            frames = os.pipe()
            descriptors = (frames[1],)
            environ["_LAMBDA_TELEMETRY_LOG_FD"] = str(frames[1])
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=folder,
                env=environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=_LINE_LIMIT_BYTES,
                pass_fds=descriptors,
                start_new_session=True,
            )
        except BaseException:
            if frames:
                os.close(frames[0])
            raise
        finally:
            if frames:
                os.close(frames[1])
        streams: dict[Source, asyncio.StreamReader | None] = {
            "stdout": process.stdout,
            "stderr": process.stderr,
        }
        readers = [
            asyncio.create_task(read_lines(stream, log, source))
            for source, stream in streams.items()
            if stream is not None
        ]
        if frames:
            readers.append(asyncio.create_task(_read_frames(frames[0], log)))
        return cls(process, readers)

    @property
    def pid(self) -> int:
        """The process id, which is that of its group too."""
        return self._process.pid

    async def ended(self) -> int:
        """Return the exit status (negative: the signal) when the process is gone and its log read.

        What its descendants keep open is not waited for.
        """
        status = await self._process.wait()
        self.signal(signal.SIGKILL)
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await asyncio.gather(*self._readers, return_exceptions=True)
        for reader in self._readers:
            reader.cancel()
        return status

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole process group, if there is anything left of it."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


async def _read_frames(descriptor: int, log: FunctionLog) -> None:
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    decoder = FrameDecoder()
    try:
        while data := await reader.read(_READ_BYTES):
            for record in decoder.feed(data):
                log.add(record)
    except ValueError as error:
        log.add(LogRecord("platform", f"the function's framed log cannot be read: {error}"))
    finally:
        transport.close()
