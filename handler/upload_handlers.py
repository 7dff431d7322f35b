"""Upload handlers: they take the bytes of files while a form is parsed, as Django's do."""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, Any, Protocol

from penstock.handler.exceptions import StopFutureHandlers
from penstock.handler.file_window import FileWindow, is_in_file
from penstock.handler.uploads import UploadedFile, close_anyhow, new_upload_file

if TYPE_CHECKING:
    from penstock.handler.config import HandlerConfig


class _HasConfig(Protocol):
    config: HandlerConfig


class FileUploadHandler:
    """The base of upload handlers: each file goes through the list of them, part by part.

    ``receive_data_chunk`` returns what the next handler gets, or None for nothing;
    ``file_complete`` returns the file to put into ``FILES``, or None. ``StopUpload``, ``SkipFile``
    and (in ``new_file``) ``StopFutureHandlers`` may be raised. They may block: async code runs them
    in a thread.
    """

    chunk_size = 65_536
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
            if held and is_in_file(held, self.descriptor, start):
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
            held, self.file = self.file, new_upload_file(self.file_name, self.temp_dir)
            self.file.write(held.getbuffer())

    def file_complete(self, file_size: int) -> UploadedFile | None:
        """The file, at its start."""
        self._keep_on_disk_if_large()
        file = self._stored(file_size) if self.file is None else self.file
        file.seek(0)  # which writes what is left; if it fails, the file is still ours to close
        self.file = None
        upload = UploadedFile(
            file,
            self.file_name,
            self.content_type or "",
            file_size,
            self.charset,
            self.content_type_extra,
            self.field_name,
        )
        upload._temp_dir = self.temp_dir  # noqa: SLF001 - no argument of Django's
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
            close_anyhow(self.file)
            self.file = None


def default_upload_handlers(request: _HasConfig) -> list[FileUploadHandler]:
    """Return what takes the files of a request that has no upload handlers of its own."""
    config = request.config
    return [
        SpooledUploadHandler(
            request, config.file_upload_max_memory_size, config.file_upload_temp_dir
        )
    ]
