"""Uploaded files, and the handlers that take their bytes while a form is parsed."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Protocol, Self

from penstock.handler.exceptions import StopFutureHandlers
from penstock.handler.file_window import FileWindow
from penstock.handler.offloading import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.handler.config import HandlerConfig

_CHUNK_SIZE = 65_536
_LONGEST_NAME = 255
_LONGEST_SUFFIX = 32


class UploadedFile:
    """A file that came with a form: open for reading, at its start.

    ``name`` is the client's, made safe by ``safe_file_name`` but still not to be trusted.
    ``temporary_file_path()`` exists only if the file is on disk; the file goes away when it is
    closed, which the handler does after the response.
    """

    def __init__(
        self,
        file: IO[bytes],
        name: str | None,
        content_type: str = "application/octet-stream",
        size: int | None = None,
        charset: str | None = None,
        content_type_extra: dict[str, str] | None = None,
        field_name: str | None = None,
    ) -> None:
        self.file = file
        self.name = name
        self.content_type = content_type
        self.size = size
        self.charset = charset
        self.content_type_extra = content_type_extra or {}
        self.field_name = field_name
        self._temp_dir: str | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.name} ({self.content_type})>"

    def __bool__(self) -> bool:
        return bool(self.name)

    def __len__(self) -> int:
        return self.size or 0

    def _on_disk(self) -> bool:
        return not isinstance(self.file, io.BytesIO)

    @property
    def temporary_file_path(self) -> Callable[[], str]:
        """A function that returns where the file is; AttributeError if it is in memory.

        A file that is still a part of the request's body is copied to a file of its own then.
        """
        if not self._on_disk():
            raise AttributeError("this upload is in memory; it has no temporary_file_path")
        return self._path

    def _path(self) -> str:
        window = self.file
        if isinstance(getattr(window, "raw", None), FileWindow):
            position = window.tell()
            file = _new_file(self.name, self._temp_dir)
            for chunk in self.chunks():
                file.write(chunk)
            file.flush()
            window.close()
            file.seek(position)
            self.file = file
        return str(self.file.name)

    @property
    def closed(self) -> bool:
        """True after ``close``."""
        return self.file.closed

    def read(self, size: int | None = -1) -> bytes:
        """Return up to ``size`` bytes; all that is left, if that is negative or None."""
        return self.file.read(-1 if size is None else size)

    def readline(self, size: int | None = -1) -> bytes:
        """Return the next line, at most ``size`` bytes of it."""
        return self.file.readline(-1 if size is None else size)

    def readlines(self) -> list[bytes]:
        """Return the lines that are left."""
        return self.file.readlines()

    def write(self, data: bytes) -> int:
        """Write at the position."""
        return self.file.write(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a position and return it."""
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        """The position."""
        return self.file.tell()

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def fileno(self) -> int:
        """The descriptor; OSError if the file is in memory."""
        return self.file.fileno()

    def __iter__(self) -> Iterator[bytes]:
        """Lines."""
        return iter(self.file)

    def open(self, mode: str | None = None) -> Self:
        """Go to the start again."""
        self.seek(0)
        return self

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """Yield the file from its start, in pieces of ``chunk_size`` bytes (65,536)."""
        self.seek(0)
        while data := self.read(chunk_size or _CHUNK_SIZE):
            yield data

    def multiple_chunks(self, chunk_size: int | None = None) -> bool:
        """True if ``chunks`` yields more than one piece."""
        return len(self) > (chunk_size or _CHUNK_SIZE)

    def close(self) -> None:
        """Close the file, which removes it from disk, unless somebody has moved it away."""
        with suppress(FileNotFoundError):
            self.file.close()

    async def aread(self, size: int | None = -1) -> bytes:
        """Do what ``read`` does; if the file is on disk, in a thread."""
        return bytes(await self._in_thread(self.read, size))

    async def aseek(self, offset: int, whence: int = 0) -> int:
        """Do what ``seek`` does; if the file is on disk, in a thread."""
        return int(await self._in_thread(self.seek, offset, whence))

    async def aclose(self) -> None:
        """Do what ``close`` does; if the file is on disk, in a thread."""
        await self._in_thread(self.close)

    async def _in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        if not self._on_disk():
            return function(*args)
        return await in_thread(function, *args)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def safe_file_name(name: str) -> str | None:
    """Return the last part of a client's file name, printable, at most 255 characters.

    ``None`` if nothing is left of it, or only ``.`` or ``..``.
    """
    if "&" in name:
        from html import unescape

        name = unescape(name)
    name = name.rpartition("/")[2].rpartition("\\")[2]
    if not name.isprintable():
        name = "".join(filter(str.isprintable, name))
    if len(name) > _LONGEST_NAME:
        stem, extension = _split_extension(name)
        extension = extension[:_LONGEST_NAME]
        name = stem[: _LONGEST_NAME - len(extension)] + extension
    return None if name in {"", ".", ".."} else name


def _split_extension(name: str) -> tuple[str, str]:
    stem, dot, extension = name.rpartition(".")
    return (stem, dot + extension) if stem else (name, "")


def _new_file(name: str | None, temp_dir: str | None) -> IO[bytes]:
    from tempfile import NamedTemporaryFile

    extension = _split_extension(name or "")[1][:_LONGEST_SUFFIX]
    return NamedTemporaryFile(suffix=f".upload{extension}", dir=temp_dir)


class _HasConfig(Protocol):
    config: HandlerConfig


class FileUploadHandler:
    """The base of upload handlers: each file goes through the list of them, part by part.

    ``receive_data_chunk`` returns what the next handler gets, or None for nothing;
    ``file_complete`` returns the file to put into ``FILES``, or None. ``StopUpload``, ``SkipFile``
    and (in ``new_file``) ``StopFutureHandlers`` may be raised. They may block: async code runs them
    in a thread.
    """

    chunk_size = _CHUNK_SIZE
    """The most that ``receive_data_chunk`` gets at once; the smallest of the list counts."""

    file_name: str | None = None
    field_name: str | None = None
    content_type: str | None = None
    content_length: int | None = None
    charset: str | None = None
    content_type_extra: dict[str, str] | None = None

    def __init__(self, request: Any = None) -> None:
        self.request = request

    def handle_raw_input(
        self,
        input_data: Any,
        META: Any,  # noqa: N803 - Django's name
        content_length: int,
        boundary: bytes,
        encoding: str | None = None,
    ) -> tuple[Any, Any] | None:
        """Parse the whole body instead of the parser, and return POST and FILES; or None."""
        return None

    def new_file(
        self,
        field_name: str,
        file_name: str,
        content_type: str,
        content_length: int | None,
        charset: str | None = None,
        content_type_extra: dict[str, str] | None = None,
    ) -> None:
        """A file begins. Everything about it is the client's word."""
        self.field_name = field_name
        self.file_name = file_name
        self.content_type = content_type
        self.content_length = content_length
        self.charset = charset
        self.content_type_extra = content_type_extra

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        """Take bytes of the file; ``start`` is their position."""
        raise NotImplementedError(f"{type(self).__name__}.receive_data_chunk")

    def file_complete(self, file_size: int) -> Any:
        """The file has ended."""
        raise NotImplementedError(f"{type(self).__name__}.file_complete")

    def upload_complete(self) -> None:
        """The form has ended."""

    def upload_interrupted(self) -> None:
        """The form ended in the middle of a file: clean up."""


class SpooledUploadHandler(FileUploadHandler):
    """Keeps each file in memory up to ``max_memory`` bytes, beyond that in a temporary file.

    Where the body itself is on disk, ``descriptor`` is that file's, and a large upload becomes a
    window on it: nothing is written twice.
    """

    descriptor: int | None = None

    def __init__(
        self, request: Any = None, max_memory: int = 2_621_440, temp_dir: str | None = None
    ) -> None:
        super().__init__(request)
        self.max_memory = max_memory
        self.temp_dir = temp_dir
        self.file: IO[bytes] | None = None
        self._start: int | None = None
        self._received = 0

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """Begin in memory; handlers further down see nothing of the file."""
        super().new_file(*args, **kwargs)
        self.file = io.BytesIO()
        self._start = None
        self._received = 0
        raise StopFutureHandlers

    def stored_until(self, end: int) -> None:
        """What was received so far ends at this position of the body's file: believed if so.

        From then on nothing is kept here.
        """
        if isinstance(self.file, io.BytesIO) and self.descriptor is not None:
            start, held = end - self._received, self.file.getbuffer()
            if held and held == os.pread(self.descriptor, len(held), start):
                self._start, self.file = start, None

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Write, to disk from the threshold on."""
        self._received = start + len(raw_data)
        if self.file is not None:
            # The first piece waits for ``stored_until`` to say that no file is needed.
            if self.descriptor is None or start:
                self._keep_on_disk_if_large()
            self.file.write(raw_data)

    def _keep_on_disk_if_large(self) -> None:
        if isinstance(self.file, io.BytesIO) and self._received > self.max_memory:
            held, self.file = self.file, _new_file(self.file_name, self.temp_dir)
            self.file.write(held.getbuffer())

    def file_complete(self, file_size: int) -> UploadedFile | None:
        """The file, at its start."""
        self._keep_on_disk_if_large()
        file = self._stored(file_size) if self.file is None else self.file
        self.file = None
        file.seek(0)
        upload = UploadedFile(
            file,
            self.file_name,
            self.content_type or "",
            file_size,
            self.charset,
            self.content_type_extra,
            self.field_name,
        )
        upload._temp_dir = self.temp_dir  # noqa: SLF001 - of this module
        return upload

    def _stored(self, size: int) -> IO[bytes]:
        if self.descriptor is None or self._start is None:
            raise ValueError("file_complete without new_file before it")
        window = io.BufferedReader(FileWindow(self.descriptor, self._start, size))
        if size > self.max_memory:
            return window
        with window:
            return io.BytesIO(window.read())

    def upload_interrupted(self) -> None:
        """Remove the file that is not complete."""
        if self.file is not None:
            self.file.close()
            self.file = None


def default_upload_handlers(request: _HasConfig) -> list[FileUploadHandler]:
    """Return what takes the files of a request that has no upload handlers of its own."""
    config = request.config
    return [
        SpooledUploadHandler(
            request, config.file_upload_max_memory_size, config.file_upload_temp_dir
        )
    ]
