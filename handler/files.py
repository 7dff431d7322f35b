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
    from collections.abc import AsyncIterator, Iterator

_END = object()


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
        self.size: int | None = None
        """The length of the whole, if parts of it can be sent; see ``select``."""
        self._file: Any = None
        self._path: str | None = None
        self._origin = 0
        self._pieces: list[bytes | tuple[int, int]] | None = None
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
        self._file = file
        close = getattr(file, "aclose", None) or getattr(file, "close", None)
        if close is not None:
            self._resource_closers.append(close)
        name = getattr(file, "name", "")
        name = name if isinstance(name, str) else ""
        if iscoroutinefunction(file.read):
            self._iterator = _async_blocks(self)
        else:
            self._iterator = _thread_blocks(self)
            self._measure(file, name)
        self.is_async = True
        self._describe(os.path.basename(self.filename or name))

    def _measure(self, file: Any, name: str) -> None:
        seekable = hasattr(file, "seek") and (not hasattr(file, "seekable") or file.seekable())
        length = None
        if seekable and hasattr(file, "tell"):
            self._origin = file.tell()
            file.seek(0, os.SEEK_END)
            length = self.size = max(0, file.tell() - self._origin)
            file.seek(self._origin)
        elif hasattr(file, "tell") and hasattr(file, "getbuffer"):
            length = file.getbuffer().nbytes - file.tell()
        elif hasattr(file, "tell") and os.path.exists(name):
            length = os.path.getsize(name) - file.tell()
        if length is not None:
            self["Content-Length"] = length

    def _describe(self, filename: str) -> None:
        if not self._type_is_given:
            self["Content-Type"] = media_type(filename)
        disposition = content_disposition(filename, as_attachment=self.as_attachment)
        if disposition is not None:
            self["Content-Disposition"] = disposition

    def select(self, start: int, stop: int) -> None:
        """Send this part only; positions count from where the file stood."""
        self._pieces = [(start, stop)]

    def select_pieces(self, pieces: list[bytes | tuple[int, int]]) -> None:
        """Send these parts, and the bytes that stand between them."""
        self._pieces = pieces

    @property
    def has_validators(self) -> bool:
        """True for a path: conditional and range requests can be answered."""
        return self._path is not None

    @property
    def sendable_path(self) -> str | None:
        """The absolute path, if exactly the file at that path is to be sent."""
        return self._path if self._pieces is None else None

    def sendable_descriptor(self) -> tuple[int, int, int] | None:
        """Descriptor, offset and count, if one part of a real file is to be sent."""
        if self.size is None:
            return None
        pieces = self._pieces or [(0, self.size)]
        if len(pieces) != 1 or isinstance(pieces[0], bytes):
            return None
        if not isinstance(self._file, io.FileIO | io.BufferedReader):
            return None
        descriptor: int = self._file.fileno()
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        start, stop = pieces[0]
        return descriptor, self._origin + start, stop - start

    def __iter__(self) -> Iterator[bytes]:
        if self._file is None or iscoroutinefunction(self._file.read):
            return super().__iter__()
        return self._blocks()

    def _blocks(self) -> Iterator[bytes]:
        """Read what is selected, block by block."""
        file = self._file
        pieces = self._pieces
        if pieces is None:
            if self.size is None:
                while block := file.read(self.block_size):
                    yield block
                return
            pieces = [(0, self.size)]
        for piece in pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            start, stop = piece
            file.seek(self._origin + start)
            left = stop - start
            while left > 0 and (block := file.read(min(self.block_size, left))):
                left -= len(block)
                yield block


async def _thread_blocks(response: FileResponse) -> AsyncIterator[bytes]:
    blocks = response._blocks()  # noqa: SLF001 - the other half of the class
    while (block := await in_thread(next, blocks, _END)) is not _END:
        yield response.make_bytes(block)


async def _async_blocks(response: FileResponse) -> AsyncIterator[bytes]:
    while block := await response._file.read(response.block_size):  # noqa: SLF001
        yield response.make_bytes(block)


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
