"""From the bytes of multipart/form-data (RFC 7578) to fields and files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from penstock.handler.datastructures import MultiValueDict, QueryDict
from penstock.handler.exceptions import (
    MultiPartParserError,
    RequestDataTooBig,
    SkipFile,
    StopUpload,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from penstock.handler.form_parts import FormField, FormFile, or_djangos
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
        self._part: FormField | FormFile | None = None
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
        except or_djangos(StopUpload) as stop:
            self._close_part()
            self.complete = True
            self.connection_reset = stop.connection_reset
        else:
            self._fed += len(chunk)
            part = self._part
            self._skipping = False
            if inside and isinstance(part, FormFile):
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
        if isinstance(part, FormField):
            self._count_field_bytes(len(data))
            part.content += data
        elif part is not None:
            try:
                part.write(data)
            except or_djangos(SkipFile):
                self._close_part()

    def _count_field_bytes(self, count: int) -> None:
        self._field_bytes += count
        limit = self._config.data_upload_max_memory_size
        if limit is not None and self._field_bytes > limit:
            raise RequestDataTooBig(
                f"form fields: expected at most {limit} bytes together "
                "(data_upload_max_memory_size)"
            )

    def _start_part(self, segment: Any) -> FormField | FormFile | None:
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
        return FormField(name, base64=base64)

    def _start_file(
        self, name: str, filename: str, headers: dict[str, str], *, base64: bool
    ) -> FormFile | None:
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
        file = FormFile(name, base64=base64, unmeasured=not length)
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
        except or_djangos(SkipFile):
            self._close_part()
            return None
        return file

    def _end_part(self) -> None:
        part, self._part = self._part, None
        if isinstance(part, FormField):
            self.fields.appendlist(part.name, part.value().decode(self._encoding, "replace"))
        elif part is not None:
            finished = part.finish()
            if finished is not None:
                self.files.appendlist(part.name, finished)

    def _close_part(self) -> None:
        part, self._part = self._part, None
        if isinstance(part, FormFile):
            part.interrupt()

    def _text(self, text: str) -> str:
        return text.encode("latin-1").decode(self._encoding, "replace")
