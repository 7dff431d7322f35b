"""From the bytes of multipart/form-data (RFC 7578) to fields and files."""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING, Any

from penstock.handler.datastructures import MultiValueDict, QueryDict
from penstock.handler.exceptions import (
    MultiPartParserError,
    RequestDataTooBig,
    SkipFile,
    StopFutureHandlers,
    StopUpload,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from penstock.handler.multipart_library import multipart_library
from penstock.handler.negotiation import parse_header_parameters
from penstock.handler.uploads import safe_file_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.handler.config import HandlerConfig

# RFC 2046 section 5.1.1 allows 70 characters of fewer kinds; clients are not always so strict.
_BOUNDARY = re.compile(r"[ -~]{0,199}[!-~]")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_EXTENDED = re.compile(r";\s*(name|filename)\*", re.IGNORECASE)  # RFC 2231, RFC 8187


def boundary_of(content_type: str, parameters: dict[str, str]) -> bytes:
    """Return the boundary of a multipart content type.

    Raises: MultiPartParserError if there is none, or none that can be used.
    """
    boundary = parameters.get("boundary", "")
    if not content_type.isascii() or not _BOUNDARY.fullmatch(boundary):
        raise MultiPartParserError(
            "multipart without a usable boundary: expected 1 to 200 printable ASCII characters, "
            f"got {boundary!r:.100}"
        )
    return boundary.encode("ascii")


class MultiPartForm:
    """A form being parsed: ``feed`` it the body in pieces, then ``finish`` it.

    No I/O of its own; the upload handlers may write to disk, inside ``feed``. ``complete`` is true
    when nothing more needs to be fed. Limits are those of the settings.

    Raises (from ``feed`` and ``finish``): MultiPartParserError for a malformed or truncated form,
    TooManyFieldsSent, TooManyFilesSent, RequestDataTooBig, and what upload handlers raise. After
    any of them ``close`` must be called, which closes every file opened so far.
    """

    def __init__(
        self, boundary: bytes, handlers: Sequence[Any], encoding: str, config: HandlerConfig
    ) -> None:
        self._config = config
        self._handlers = handlers
        self._encoding = encoding
        self._library = multipart_library()
        self._parser = self._library.PushMultipartParser(
            boundary,
            max_header_size=config.multipart_max_header_size,
            max_header_count=config.multipart_max_header_count,
            header_charset="latin-1",  # decoded by us, so that bad text is replaced, not refused
        )
        self.fields = QueryDict(mutable=True, encoding=encoding)
        self.files = MultiValueDict()
        self.complete = False
        self.connection_reset = False
        self._delimiter = b"\r\n--" + boundary
        self._fed = 0
        self._skipping = False  # inside a file of no declared length, with nothing kept back
        self._field_count = 0
        self._file_count = 0
        self._field_bytes = 0
        self._part: _Field | _File | None = None
        # Told, after a piece, where in the body the data ends that a file has got so far.
        self.on_stored: Callable[[int], None] | None = None

    def feed(self, chunk: bytes) -> None:
        """Take the next piece of the body."""
        if self.complete:
            return
        inside = self._ends_in_data(chunk)
        try:
            if self._skipping and inside and chunk.rfind(self._delimiter) < 0:
                self._take(chunk)  # as the parser would, whose search from the left takes longer
            else:
                self._parse(chunk)
        except self._library.MultipartError as error:
            raise MultiPartParserError(str(error)) from error
        except StopUpload as stop:
            self._close_part()
            self.complete = True
            self.connection_reset = stop.connection_reset
        else:
            self._fed += len(chunk)
            part = self._part
            self._skipping = False
            if inside and isinstance(part, _File):
                self._skipping = part.is_unmeasured
                if part.is_verbatim and self.on_stored is not None:
                    self.on_stored(self._fed)

    def _parse(self, chunk: bytes) -> None:
        for event in self._parser.parse(chunk):
            if event is None:
                self._end_part()
            elif isinstance(event, bytes | bytearray):
                self._take(bytes(event))
            else:
                self._part = self._start_part(event)

    def _ends_in_data(self, chunk: bytes) -> bool:
        """Whether the parser, if it is in a part, keeps nothing of this piece back.

        It does so with what may begin a delimiter, and with one until two more bytes tell its kind.
        A shorter piece may go on with either.
        """
        delimiter = self._delimiter
        if len(chunk) <= len(delimiter):
            return False
        tail = chunk[-len(delimiter) - 1 :]
        begun = tail[max(0, tail.rfind(b"\r")) :]
        return not (delimiter.startswith(begun) or begun.startswith(delimiter))

    def finish(self) -> tuple[QueryDict, MultiValueDict]:
        """Return the fields and the files. A body without a single byte is an empty form."""
        if not self.complete and self._fed:
            try:
                self._parser.close()
            except self._library.MultipartError as error:
                raise MultiPartParserError(f"{error}; the body was cut short") from error
        self.complete = True
        for handler in self._handlers:
            handler.upload_complete()
        self.fields._mutable = False  # noqa: SLF001 - as Django, whose name it is
        return self.fields, self.files

    def close(self) -> None:
        """Give up: close every file, also the one in work."""
        self.complete = True
        self._close_part()
        for handler in self._handlers:
            handler.upload_interrupted()
        for _, files in self.files.lists():
            for file in files:
                file.close()

    def _take(self, data: bytes) -> None:
        part = self._part
        if isinstance(part, _Field):
            self._count_field_bytes(len(data))
            part.pieces.append(data)
        elif part is not None:
            try:
                part.write(data)
            except SkipFile:
                self._close_part()

    def _count_field_bytes(self, count: int) -> None:
        self._field_bytes += count
        limit = self._config.data_upload_max_memory_size
        if limit is not None and self._field_bytes > limit:
            raise RequestDataTooBig(
                f"form fields: expected at most {limit} bytes together "
                "(data_upload_max_memory_size)"
            )

    def _start_part(self, segment: Any) -> _Field | _File | None:
        headers = dict(segment.headerlist)
        disposition = headers["Content-Disposition"]
        name, filename = segment.name, segment.filename
        if not name or "*" in disposition:
            _, parameters = parse_header_parameters(disposition)
            if "name" not in parameters:
                raise MultiPartParserError("a part without a name in Content-Disposition")
            unquoted = _QUOTED.sub('""', disposition)
            extended = {found.lower() for found in _EXTENDED.findall(unquoted)}
            if "name" in extended:
                name = parameters["name"].encode("utf-8").decode("latin-1")
            if "filename" in extended:
                filename = parameters.get("filename", "").encode("utf-8").decode("latin-1")
        name = self._text(name).strip()
        base64 = headers.get("Content-Transfer-Encoding", "").strip().lower() == "base64"
        if filename is not None:
            return self._start_file(name, filename, headers, base64=base64)
        self._field_count += 1
        limit = self._config.data_upload_max_number_fields
        if limit is not None and self._field_count > limit:
            raise TooManyFieldsSent(
                f"form: expected at most {limit} fields (data_upload_max_number_fields)"
            )
        self._count_field_bytes(len(name) + 2)  # as in the urlencoded form: "&" and "="
        return _Field(name, base64=base64)

    def _start_file(
        self, name: str, filename: str, headers: dict[str, str], *, base64: bool
    ) -> _File | None:
        self._file_count += 1
        limit = self._config.data_upload_max_number_files
        if limit is not None and self._file_count > limit:
            raise TooManyFilesSent(
                f"form: expected at most {limit} files (data_upload_max_number_files)"
            )
        safe_name = safe_file_name(self._text(filename))
        if safe_name is None:
            return None
        content_type, extra = parse_header_parameters(headers.get("Content-Type", ""))
        length = headers.get("Content-Length", "")
        file = _File(name, base64=base64, unmeasured=not length)
        self._part = file
        facts = (
            name,
            safe_name,
            content_type,
            int(length) if length.isdecimal() else None,
            extra.get("charset"),
            extra,
        )
        try:
            file.start(self._handlers, facts)
        except SkipFile:
            self._close_part()
            return None
        return file

    def _end_part(self) -> None:
        part, self._part = self._part, None
        if isinstance(part, _Field):
            self.fields.appendlist(part.name, part.value().decode(self._encoding, "replace"))
        elif part is not None:
            finished = part.finish()
            if finished is not None:
                self.files.appendlist(part.name, finished)

    def _close_part(self) -> None:
        part, self._part = self._part, None
        if isinstance(part, _File):
            part.interrupt()

    def _text(self, text: str) -> str:
        return text.encode("latin-1").decode(self._encoding, "replace")


class _Field:
    """The value of a field, as it arrives."""

    def __init__(self, name: str, *, base64: bool) -> None:
        self.name = name
        self.pieces: list[bytes] = []
        self._base64 = base64

    def value(self) -> bytes:
        raw = b"".join(self.pieces)
        if not self._base64:
            return raw
        try:
            return binascii.a2b_base64(b"".join(raw.split()), strict_mode=True)
        except binascii.Error:
            return raw


class _File:
    """A file on its way through the upload handlers that want it."""

    def __init__(self, name: str, *, base64: bool, unmeasured: bool) -> None:
        self.name = name
        self.is_unmeasured = unmeasured
        self._handlers: list[Any] = []
        self._positions: list[int] = []
        self._decoder = _Base64Decoder() if base64 else None
        self.is_verbatim = not base64

    def start(self, handlers: Sequence[Any], facts: tuple[Any, ...]) -> None:
        for handler in handlers:
            self._handlers.append(handler)
            self._positions.append(0)
            try:
                handler.new_file(*facts)
            except StopFutureHandlers:
                return

    def write(self, data: bytes) -> None:
        if self._decoder is not None:
            data = self._decoder.decode(data)
        passed_on: bytes | None = data
        for index, handler in enumerate(self._handlers):
            if not passed_on:
                return
            count = len(passed_on)
            passed_on = handler.receive_data_chunk(passed_on, self._positions[index])
            self._positions[index] += count

    def finish(self) -> Any:
        if self._decoder is not None:
            self._decoder.finish()
        for handler, size in zip(self._handlers, self._positions, strict=True):
            file = handler.file_complete(size)
            if file:
                return file
        return None

    def interrupt(self) -> None:
        for handler in self._handlers:
            handler.upload_interrupted()


class _Base64Decoder:
    """Decodes base64 in pieces, of which each may end anywhere."""

    def __init__(self) -> None:
        self._rest = b""
        self._padded = False

    def decode(self, data: bytes) -> bytes:
        data = self._rest + b"".join(data.split())
        whole = len(data) // 4 * 4
        data, self._rest = data[:whole], data[whole:]
        if data and self._padded:
            raise MultiPartParserError("base64 data goes on after its padding")
        try:
            decoded = binascii.a2b_base64(data, strict_mode=True)
        except binascii.Error as error:
            raise MultiPartParserError(f"base64 data of a file: {error}") from None
        self._padded = data.endswith(b"=")
        return decoded

    def finish(self) -> None:
        if self._rest:
            raise MultiPartParserError("base64 data of a file is cut short")
