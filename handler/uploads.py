"""An uploaded file, as a view gets it, and its name."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Self

from penstock.handler.file_window import FileWindow
from penstock.handler.offloading import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CHUNK_SIZE = 65_536
_COPY_SIZE = 262_144
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
            file = new_upload_file(self.name, self._temp_dir)
            try:
                for chunk in self.chunks(_COPY_SIZE):
                    file.write(chunk)
                file.flush()
            except BaseException:
                close_anyhow(file)
                raise
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


def new_upload_file(name: str | None, temp_dir: str | None) -> IO[bytes]:
    """Return a temporary file with a path, with the client's extension if it is a plain one."""
    from tempfile import NamedTemporaryFile

    extension = _split_extension(name or "")[1]
    if len(extension) > _LONGEST_SUFFIX or not (extension[1:].isalnum() and extension.isascii()):
        extension = ""  # paths end up in commands
    return NamedTemporaryFile(suffix=f".upload{extension}", dir=temp_dir)


def close_anyhow(file: IO[bytes]) -> None:
    """Close a file that is given up: that its last bytes cannot be written does not matter."""
    with suppress(OSError):
        file.close()
