"""Files as responses: by path, or as an open file, sync or async."""

# ruff: noqa: PTH100, PTH110, PTH116, PTH119, PTH123, PTH202 - pathlib takes long to import

from __future__ import annotations

import io
import os
import stat
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from penstock.handler.dates import http_date
from penstock.handler.exceptions import Http404
from penstock.handler.media_types import media_type
from penstock.handler.offloading import in_thread
from penstock.handler.streaming import StreamingHttpResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence


class FileMissing(Http404, FileNotFoundError):
    """There is no regular file at that path: 404."""


class FileResponse(StreamingHttpResponse):
    """A file, sent in blocks of ``block_size`` bytes that a thread reads, and closed afterwards.

    ``source`` is a path, a binary file, a file whose ``read`` is async, or an iterable of parts.
    A file is sent from its position on. Content-Length is set where the length is known.
    Content-Type follows the name, unless it is given, and Content-Disposition names the file
    (RFC 6266). A path also gets Last-Modified, a strong ETag and Accept-Ranges.

    Raises: FileMissing (404) for a path at which there is no regular file.
    """

    block_size = 65_536

    def __init__(
        self,
        source: Any = (),
        *args: Any,
        as_attachment: bool = False,
        filename: str = "",
        **kwargs: Any,
    ) -> None:
        self.as_attachment = as_attachment
        self.filename = filename
        self._type_is_given = kwargs.get(
            "content_type", args[0] if args else None
        ) is not None or "content-type" in {
            name.lower() for name in dict(kwargs.get("headers") or ())
        }
        super().__init__(source, *args, **kwargs)

    def _set_streaming_content(self, parts: Any) -> None:
        self._file: _Blocks | None = None
        self._path: str | None = None
        if isinstance(parts, str | os.PathLike):
            self._open(os.path.abspath(parts))
        elif hasattr(parts, "read"):
            self._take_file(parts)
        else:
            super()._set_streaming_content(parts)

    def _open(self, path: str) -> None:
        file = None
        try:
            # Checked first: to open a pipe would wait for somebody to write to it.
            if stat.S_ISREG(os.stat(path).st_mode):
                file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed with the response
        except (FileNotFoundError, NotADirectoryError, ValueError):
            pass
        if file is None:
            raise FileMissing(f"there is no regular file at {path!r}")
        facts = os.fstat(file.fileno())
        self._path = path
        self._take_file(file)
        self.headers.setdefault("Last-Modified", http_date(facts.st_mtime))
        self.headers.setdefault("ETag", f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"')
        self.headers.setdefault("Accept-Ranges", "bytes")

    def _take_file(self, file: Any) -> None:
        close = getattr(file, "aclose", None) or getattr(file, "close", None)
        if close is not None:
            self._resource_closers.append(close)
        name = getattr(file, "name", "")
        name = name if isinstance(name, str) else ""
        self._file = _Blocks(file, self.block_size)
        self._iterator, self.is_async = self._file, True
        length = self._file.measure(name)
        if length is not None:
            self["Content-Length"] = length
        filename = os.path.basename(self.filename or name)
        if not self._type_is_given:
            self["Content-Type"] = media_type(filename)
        disposition = content_disposition(filename, as_attachment=self.as_attachment)
        if disposition is not None:
            self["Content-Disposition"] = disposition

    @property
    def size(self) -> int | None:
        """The length of the whole, if parts of it can be selected."""
        return None if self._file is None else self._file.size

    def select(self, pieces: Sequence[bytes | tuple[int, int]]) -> None:
        """Send these parts, and the bytes that stand between them.

        A part is its first position and the one after its last; positions count from where the
        file stood.
        """
        if self.size is None or self._file is None:
            raise ValueError("parts can be selected of files of known size only")
        self._file.pieces = pieces

    @property
    def has_validators(self) -> bool:
        """True for a path: conditional and range requests can be answered."""
        return self._path is not None

    @property
    def sendable_path(self) -> str | None:
        """The absolute path, if exactly the file at that path is to be sent."""
        return self._path if self._file is not None and self._file.pieces is None else None

    def sendable_descriptor(self) -> tuple[int, int, int] | None:
        """Descriptor, offset and count, if one part of a real file is to be sent."""
        return None if self._file is None else self._file.window()

    def __iter__(self) -> Iterator[bytes]:
        if self._file is None or self._file.is_async:
            return super().__iter__()
        return iter(self._file.read())


class _Blocks:
    """A file from its position on, or the pieces selected of it, block by block."""

    def __init__(self, file: Any, block_size: int) -> None:
        self.file = file
        self.is_async = iscoroutinefunction(file.read)
        self.size: int | None = None
        self.pieces: Sequence[bytes | tuple[int, int]] | None = None
        self._block_size = block_size
        self._origin = 0
        self._reading: Iterator[bytes] | None = None

    def measure(self, name: str) -> int | None:
        """Return the length that will be sent, if it can be known; ``size`` if parts can be."""
        file = self.file
        if self.is_async or not hasattr(file, "tell"):
            return None
        if hasattr(file, "seek") and (not hasattr(file, "seekable") or file.seekable()):
            self._origin = file.tell()
            file.seek(0, os.SEEK_END)
            self.size = max(0, file.tell() - self._origin)
            file.seek(self._origin)
            return self.size
        if hasattr(file, "getbuffer"):
            return int(file.getbuffer().nbytes - file.tell())
        if os.path.exists(name):
            return int(os.path.getsize(name) - file.tell())
        return None

    def window(self) -> tuple[int, int, int] | None:
        """Descriptor, offset and count, if that is all there is to it."""
        if self.size is None or not isinstance(self.file, io.FileIO | io.BufferedReader):
            return None
        pieces = [(0, self.size)] if self.pieces is None else self.pieces
        if len(pieces) != 1 or isinstance(pieces[0], bytes):
            return None
        descriptor = self.file.fileno()
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        start, stop = pieces[0]
        return descriptor, self._origin + start, stop - start

    def read(self) -> Iterator[bytes]:
        """Read a file that is not async."""
        file = self.file
        if self.size is None:
            while block := file.read(self._block_size):
                yield block
            return
        for piece in [(0, self.size)] if self.pieces is None else self.pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            start, stop = piece
            file.seek(self._origin + start)
            left = stop - start
            while left > 0 and (block := file.read(min(self._block_size, left))):
                left -= len(block)
                yield block

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """The next block; no generator, so that nothing has to be closed but the file."""
        if self.is_async:
            block = await self.file.read(self._block_size)
        else:
            if self._reading is None:
                self._reading = self.read()
            block = await in_thread(next, self._reading, None)
        if not block:
            raise StopAsyncIteration
        return bytes(block)


def content_disposition(filename: str, *, as_attachment: bool) -> str | None:
    """Return the header's value (RFC 6266); None for what has no name and is shown inline."""
    kind = "attachment" if as_attachment else "inline"
    if not filename:
        return kind if as_attachment else None
    if filename.isascii() and filename.replace("\t", " ").isprintable():
        escaped = filename.replace("\\", "\\\\").replace('"', '\\"')
        return f'{kind}; filename="{escaped}"'
    from urllib.parse import quote

    return f"{kind}; filename*=utf-8''{quote(filename, errors='replace')}"
