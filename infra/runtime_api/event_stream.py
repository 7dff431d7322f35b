"""The framing of ``InvokeWithResponseStream``: messages of ``application/vnd.amazon.eventstream``.

A message is its length, the length of its headers, a checksum of both, the headers, the payload,
and a checksum of all of it; numbers are 32 bits in network byte order.
Source: "InvokeWithResponseStream" in the Lambda API reference, event stream encoding of AWS's SDKs.
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import Final

CONTENT_TYPE: Final = "application/vnd.amazon.eventstream"

_TEXT: Final = 7
_LENGTHS: Final = struct.Struct(">II")
_NUMBER: Final = struct.Struct(">I")
_OVERHEAD_BYTES: Final = 16
_LONGEST_NAME_BYTES: Final = 255


def encode_message(headers: dict[str, str], payload: bytes) -> bytes:
    """Return one message with headers of text. Raises: ValueError for a name over 255 bytes."""
    fields = b"".join(_field(name.encode(), value.encode()) for name, value in headers.items())
    lengths = _LENGTHS.pack(_OVERHEAD_BYTES + len(fields) + len(payload), len(fields))
    checksum = zlib.crc32(lengths)
    checked = _NUMBER.pack(checksum) + fields
    whole = zlib.crc32(payload, zlib.crc32(checked, checksum))
    return b"".join((lengths, checked, payload, _NUMBER.pack(whole)))


def _field(name: bytes, value: bytes) -> bytes:
    if len(name) > _LONGEST_NAME_BYTES:
        raise ValueError(f"expected a name of at most {_LONGEST_NAME_BYTES} bytes, got {name!r}")
    return struct.pack(f">B{len(name)}sBH", len(name), name, _TEXT, len(value)) + value


def payload_chunk(data: bytes) -> bytes:
    """Return the message that carries a piece of an answer."""
    headers = {
        ":message-type": "event",
        ":event-type": "PayloadChunk",
        ":content-type": "application/octet-stream",
    }
    return encode_message(headers, data)


def invoke_complete(
    error_code: str | None = None, error_details: str | None = None, log_result: str | None = None
) -> bytes:
    """Return the message that ends an answer; what is None is left out."""
    members = {"ErrorCode": error_code, "ErrorDetails": error_details, "LogResult": log_result}
    body = {name: value for name, value in members.items() if value is not None}
    headers = {
        ":message-type": "event",
        ":event-type": "InvokeComplete",
        ":content-type": "application/json",
    }
    return encode_message(headers, json.dumps(body).encode())
