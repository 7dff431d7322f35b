"""The head of a streamed HTTP answer: JSON, eight NUL bytes, and then the body.

Source: "Response streaming for Lambda functions", "Set up a Lambda proxy integration with payload
response streaming in API Gateway".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

CONTENT_TYPE: Final = "application/vnd.awslambda.http-integration-response"
DELIMITER: Final = b"\0" * 8
LIMIT_BYTES: Final = 16 * 1024
"""API Gateway wants the delimiter within the first 16 KiB."""


class MalformedPrelude(ValueError):
    """An answer does not have status and headers as it should."""


@dataclass(frozen=True, slots=True)
class Prelude:
    """Status and headers: pairs in order, names as the function wrote them, cookies included."""

    status: int
    headers: list[tuple[str, str]]


class PreludeParser:
    """Takes a stream apart as it comes in; ``prelude`` is there once it is complete."""

    def __init__(self) -> None:
        self.prelude: Prelude | None = None
        self._buffer = bytearray()

    def feed(self, data: bytes) -> bytes:
        """Return the bytes of body in the data: none before the prelude is complete.

        Raises: MalformedPrelude.
        """
        if self.prelude is not None:
            return data
        start = max(0, len(self._buffer) - len(DELIMITER) + 1)
        self._buffer += data
        end = self._buffer.find(DELIMITER, start)
        if end < 0 or end + len(DELIMITER) > LIMIT_BYTES:
            if len(self._buffer) >= LIMIT_BYTES:
                raise MalformedPrelude(
                    f"expected eight NUL bytes within the first {LIMIT_BYTES} bytes, got none"
                )
            return b""
        self.prelude = _read(bytes(self._buffer[:end]))
        body = bytes(self._buffer[end + len(DELIMITER) :])
        self._buffer.clear()
        return body

    def end(self) -> None:
        """Check that the stream was long enough. Raises: MalformedPrelude."""
        if self.prelude is None:
            raise MalformedPrelude(
                "expected a prelude and eight NUL bytes, got the end before them"
            )


def _read(text: bytes) -> Prelude:
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise MalformedPrelude(f"expected JSON before the NUL bytes: {error}") from None
    if not isinstance(fields, dict):
        raise MalformedPrelude(f"expected an object before the NUL bytes, got {fields!r:.100}")
    return read_fields(fields)


def read_fields(fields: dict[str, Any]) -> Prelude:
    """Return the status and headers of a prelude, or of a buffered answer: the keys are the same.

    Raises: MalformedPrelude.
    """
    status = fields.get("statusCode", 200)
    if type(status) is not int or not 100 <= status <= 599:
        raise MalformedPrelude(f"expected statusCode to be a number such as 200, got {status!r}")
    headers = [(name, _text(value)) for name, value in _map(fields, "headers").items()]
    for name, values in _map(fields, "multiValueHeaders").items():
        headers += [(name, _text(value)) for value in _list(values, name)]
    cookies = _list(fields.get("cookies", []), "cookies")
    headers += [("set-cookie", _text(cookie)) for cookie in cookies]
    return Prelude(status, headers)


def _map(fields: dict[str, Any], key: str) -> dict[str, Any]:
    value = fields.get(key, {})
    if not isinstance(value, dict):
        raise MalformedPrelude(f"expected {key} to be an object, got {value!r:.100}")
    return value


def _list(value: object, key: str) -> list[Any]:
    if not isinstance(value, list):
        raise MalformedPrelude(f"expected {key} to be a list, got {value!r:.100}")
    return value


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise MalformedPrelude(f"expected header values to be text, got {value!r:.100}")
