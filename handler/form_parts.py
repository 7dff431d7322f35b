"""The parts of a multipart form while they arrive: fields, files, and base64 in either."""

from __future__ import annotations

import binascii
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.handler.exceptions import MultiPartParserError, StopFutureHandlers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.handler.exceptions import UploadHandlerException
Steering = TypeVar("Steering", bound="UploadHandlerException")

# What bytes.split takes for a space; translate makes no objects of what lies between.
_SPACES = b" \t\n\r\x0b\x0c"


def or_djangos(cls: type[Steering]) -> tuple[type[Steering], ...]:
    """Return the class, and Django's of that name where Django's upload handlers are in use."""
    djangos = sys.modules.get("django.core.files.uploadhandler")
    return cls, getattr(djangos, cls.__name__, cls)


class FormField:
    """The value of a field, as it arrives in ``content``."""

    def __init__(self, name: str, *, base64: bool) -> None:
        self.name = name
        self.content = bytearray()
        self._base64 = base64

    def value(self) -> bytes | bytearray:
        """Return the value; base64 is decoded, unless it is none."""
        if not self._base64:
            return self.content
        try:
            return binascii.a2b_base64(self.content.translate(None, _SPACES), strict_mode=True)
        except binascii.Error:
            return self.content


class FormFile:
    """A file on its way through the upload handlers that want it."""

    def __init__(self, name: str, *, base64: bool, unmeasured: bool) -> None:
        self.name = name
        self.is_unmeasured = unmeasured
        self._handlers: list[Any] = []
        self._positions: list[int] = []
        self._decoder = _Base64Decoder() if base64 else None
        self.is_verbatim = not base64

    def start(self, handlers: Sequence[Any], facts: tuple[Any, ...]) -> None:
        """Announce the file to the handlers, up to one that stops them."""
        for handler in handlers:
            self._handlers.append(handler)
            self._positions.append(0)
            try:
                handler.new_file(*facts)
            except or_djangos(StopFutureHandlers):
                return

    def write(self, data: bytes) -> None:
        """Hand data from one handler to the next."""
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
        """End the file; return it, or None if no handler makes one of it."""
        if self._decoder is not None:
            self._decoder.finish()
        for handler, size in zip(self._handlers, self._positions, strict=True):
            file = handler.file_complete(size)
            if file:
                return file
        return None

    def interrupt(self) -> None:
        """Tell the handlers that the rest does not come."""
        for handler in self._handlers:
            handler.upload_interrupted()


class _Base64Decoder:
    """Decodes base64 in pieces, of which each may end anywhere."""

    def __init__(self) -> None:
        self._rest = b""
        self._padded = False

    def decode(self, data: bytes) -> bytes:
        data = self._rest + data.translate(None, _SPACES)
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
