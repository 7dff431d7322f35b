"""The Lambda Runtime API without any I/O: requests as bytes, and responses out of bytes.

Sources: Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes"; RFC 9112.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.adapter.errors import RuntimeAPIError
from penstock.adapter.headers import consists_of

if TYPE_CHECKING:
    from collections.abc import Iterable

_RUNTIME: Final = "/2018-06-01/runtime"
NEXT: Final = f"{_RUNTIME}/invocation/next"
INIT_ERROR: Final = f"{_RUNTIME}/init/error"
RESTORE_NEXT: Final = f"{_RUNTIME}/restore/next"
RESTORE_ERROR: Final = f"{_RUNTIME}/restore/error"

STREAM_TYPE: Final = "application/vnd.awslambda.http-integration-response"
DELIMITER: Final = bytes(8)
"""Stands between prelude and body of a streamed response."""

_LONGEST_HEAD = 1 << 20
_LONGEST_CHUNK_LINE = 4096
_IN_ID = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_BODILESS = (204, 304)
_MOST_DIGITS = 15
"""Of a deadline in milliseconds: more are not in the life of this planet."""


# As the service writes them; any other case is taken as well.
_NAMES: Final = {
    name: name.lower()
    for name in (
        b"Content-Type",
        b"Lambda-Runtime-Aws-Request-Id",
        b"Lambda-Runtime-Deadline-Ms",
        b"Lambda-Runtime-Invoked-Function-Arn",
        b"Lambda-Runtime-Trace-Id",
        b"Date",
        b"Content-Length",
        b"Transfer-Encoding",
    )
}


class Response:
    """One whole response of the Runtime API.

    Attributes: ``status``; ``headers``, names lower case, the last of repeats; ``body``;
    ``keeps_alive``, whether the connection can carry another request.
    """

    __slots__ = ("body", "headers", "keeps_alive", "status")

    def __init__(self, status: int, headers: dict[bytes, bytes], *, keeps_alive: bool) -> None:
        self.status = status
        self.headers = headers
        self.body = b""
        self.keeps_alive = keeps_alive


class ResponseParser:
    """Takes the bytes of one connection, and returns responses as they become whole.

    Knows what the Runtime API sends: status line, headers, and a body by length, in chunks or up to
    the end of the connection. Interim (1xx) responses are skipped.
    """

    __slots__ = ("_buffer", "_chunked", "_head", "_left", "_line_end_due", "_parts")

    def __init__(self) -> None:
        self._buffer = b""
        self._head: Response | None = None
        self._parts: list[bytes] = []
        self._left: int | None = 0
        self._chunked = False
        self._line_end_due = False

    @property
    def has_begun(self) -> bool:
        """Whether it has a part of a response."""
        return self._head is not None or self._buffer != b""

    @property
    def wanted(self) -> int:
        """Bytes of the body that are still to come, as far as that is known."""
        return self._left or 0

    def feed(self, data: bytes) -> Response | None:
        """Take more bytes; return the response if it is whole.

        Raises: RuntimeAPIError for what is no HTTP/1.1 response.
        """
        while self._head is None:
            if self._buffer:
                data = self._buffer + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                if len(data) > _LONGEST_HEAD:
                    raise RuntimeAPIError(f"expected headers of at most {_LONGEST_HEAD} bytes")
                self._buffer = data
                return None
            self._buffer = b""
            head = data[:end]
            data = data[end + 4 :]
            self._begin(head)
        if self._chunked:
            if self._buffer:
                data = self._buffer + data
                self._buffer = b""
            return self._feed_chunked(data)
        left = self._left
        if left is None:
            self._parts.append(data)
            return None
        if len(data) > left:
            raise RuntimeAPIError(f"expected {left} more bytes of a body, got {len(data)}")
        self._parts.append(data)
        self._left = left - len(data)
        return None if self._left else self._finish()

    def feed_eof(self) -> Response | None:
        """The connection has ended; return the response if its body was to end so.

        Raises: RuntimeAPIError if it ended in the middle of a response.
        """
        if self._head is not None and self._left is None:
            return self._finish()
        if self._head is not None or self._buffer:
            raise RuntimeAPIError("the connection ended in the middle of a response")
        return None

    def _begin(self, head: bytes) -> None:
        lines = head.split(b"\r\n")
        if not head.count(b"\r") == head.count(b"\n") == len(lines) - 1:
            # Alone, either may end a line for others, and ids from here go into other requests.
            raise RuntimeAPIError("expected header lines that end with CR LF")
        headers = _headers(lines)
        version, _, rest = lines[0].partition(b" ")
        code = rest[:3]
        if not version.startswith(b"HTTP/1.") or len(code) != 3 or not code.isdigit():
            raise RuntimeAPIError(f"expected an HTTP/1.1 status line, got {lines[0][:80]!r}")
        status = int(code)
        if 100 <= status < 200:
            return
        self._chunked = headers.get(b"transfer-encoding", b"").lower() == b"chunked"
        length = headers.get(b"content-length")
        connection = headers.get(b"connection", b"").lower()
        keeps_alive = connection == b"keep-alive" or (
            version == b"HTTP/1.1" and connection != b"close"
        )
        if self._chunked or status in _BODILESS:
            self._left = 0
        elif length is None:
            self._left = None
            keeps_alive = False
        elif length.isdigit():
            self._left = int(length)
        else:
            raise RuntimeAPIError(f"expected a length in bytes, got {length[:80]!r}")
        self._head = Response(status, headers, keeps_alive=keeps_alive)

    def _feed_chunked(self, data: bytes) -> Response | None:
        while True:
            left = self._left
            if left:
                self._parts.append(data[:left])
                taken = len(self._parts[-1])
                self._left = left - taken
                data = data[taken:]
                if self._left:
                    return None
                self._line_end_due = True
            end = data.find(b"\r\n")
            if end < 0:
                if len(data) > _LONGEST_CHUNK_LINE:
                    raise RuntimeAPIError(f"expected the size of a chunk, got {data[:80]!r}")
                self._buffer = data
                return None
            if self._line_end_due:
                if end:
                    raise RuntimeAPIError(f"expected the end of a chunk, got {data[:80]!r}")
                self._line_end_due = False
                data = data[2:]
                continue
            self._left = _chunk_size(data[:end])
            if self._left:
                data = data[end + 2 :]
                continue
            # Trailers up to an empty line; the API sends none that matter here.
            if b"\r\n\r\n" not in data[end:]:
                if len(data) > _LONGEST_HEAD:
                    raise RuntimeAPIError(f"expected trailers of at most {_LONGEST_HEAD} bytes")
                self._buffer = data
                return None
            return self._finish()

    def _finish(self) -> Response:
        response = self._head
        assert response is not None  # noqa: S101 - for the type checker
        parts = self._parts
        response.body = parts[0] if len(parts) == 1 else b"".join(parts)
        self._head = None  # with which the next one begins
        self._parts = []
        return response


def _headers(lines: list[bytes]) -> dict[bytes, bytes]:
    """The headers in a head's lines, the first of which is the status line."""
    headers = {}
    known = _NAMES.get
    for line in lines[1:]:
        name, _, value = line.partition(b": ")
        key = known(name)
        if key is None:
            name, colon, value = line.partition(b":")
            if not colon or name.split() != [name]:
                raise RuntimeAPIError(f"expected a header, got {line[:200]!r}")
            key = name.lower()
        headers[key] = value.strip()
    return headers


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    try:
        if digits.isalnum():
            return int(digits, 16)
    except ValueError:
        pass
    raise RuntimeAPIError(f"expected the size of a chunk, got {line[:80]!r}")


class Invocation:
    """One event with what the Runtime API says of it.

    Attributes: ``event``, its bytes; ``content_type`` (without parameters, lower case; "" if
    missing); ``request_id``; ``deadline_ms`` (milliseconds of the epoch; None if missing, or no
    such number: ``odd_deadline`` is what came instead, b"" if nothing did); ``arn``; and, None if
    the API did not send them: ``trace_id``, ``client_context`` and
    ``cognito_identity`` (both JSON text), ``tenant_id``, ``invocation_id``.
    """

    __slots__ = (
        "arn",
        "client_context",
        "cognito_identity",
        "content_type",
        "deadline_ms",
        "event",
        "invocation_id",
        "odd_deadline",
        "request_id",
        "tenant_id",
        "trace_id",
    )

    def __init__(self, response: Response) -> None:
        self.event = response.body
        get = response.headers.get
        self.request_id = get(b"lambda-runtime-aws-request-id", b"").decode("latin-1")
        deadline = get(b"lambda-runtime-deadline-ms", b"")
        is_number = deadline.isdigit() and len(deadline) <= _MOST_DIGITS
        self.deadline_ms = int(deadline) if is_number else None
        self.odd_deadline = b"" if is_number else deadline
        kind = get(b"content-type", b"").decode("latin-1")
        self.content_type = kind.partition(";")[0].strip().lower()
        self.arn = get(b"lambda-runtime-invoked-function-arn", b"").decode("latin-1")
        self.trace_id = _text(get(b"lambda-runtime-trace-id"))
        self.client_context = _text(get(b"lambda-runtime-client-context"))
        self.cognito_identity = _text(get(b"lambda-runtime-cognito-identity"))
        self.tenant_id = _text(get(b"lambda-runtime-aws-tenant-id"))
        self.invocation_id = get(b"lambda-runtime-invocation-id", b"").decode("latin-1") or None


def _text(value: bytes | None) -> str | None:
    return value.decode("utf-8", "replace") if value else None


class RequestWriter:
    """Writes the requests of a runtime to one Runtime API (``address`` is host:port)."""

    __slots__ = ("_host", "next")

    def __init__(self, address: str, user_agent: str) -> None:
        self._host = f" HTTP/1.1\r\nHost: {address}\r\nUser-Agent: {user_agent}\r\n"
        self.next = self.get(NEXT)
        """The request for the next event."""

    def get(self, path: str, headers: Iterable[tuple[str, str]] = ()) -> bytes:
        """Return a GET request; no header may have CR or LF."""
        return f"GET {path}{self._host}{_lines(headers)}\r\n".encode("latin-1")

    def post(self, path: str, length: int, headers: Iterable[tuple[str, str]] = ()) -> bytes:
        """Return the head of a POST request with a body of ``length`` bytes."""
        return (f"POST {path}{self._host}{_lines(headers)}Content-Length: {length}\r\n\r\n").encode(
            "latin-1", "replace"
        )

    def answer(self, invocation: Invocation, length: int, content_type: str) -> bytes:
        """Return the head of a buffered answer."""
        return self.post(
            _invocation_path(invocation, "response"),
            length,
            (("Content-Type", content_type), *_echo(invocation)),
        )

    def error(
        self, invocation: Invocation, length: int, error_type: str, cause: str | None
    ) -> bytes:
        """Return the head of an error report; ``cause`` is X-Ray's, JSON in one line of ASCII."""
        headers = [*_error_headers(error_type), *_echo(invocation)]
        if cause is not None:
            headers.append(("Lambda-Runtime-Function-XRay-Error-Cause", cause))
        return self.post(_invocation_path(invocation, "error"), length, headers)

    def process_error(self, path: str, length: int, error_type: str) -> bytes:
        """Return the head of an error of init or restore."""
        return self.post(path, length, _error_headers(error_type))

    def stream(self, invocation: Invocation) -> bytes:
        """Return the head of a streamed answer: chunks follow, and ``end_of_stream``."""
        lines = _lines(
            (
                ("Content-Type", STREAM_TYPE),
                ("Lambda-Runtime-Function-Response-Mode", "streaming"),
                ("Transfer-Encoding", "chunked"),
                ("Trailer", "Lambda-Runtime-Function-Error-Type"),
                ("Trailer", "Lambda-Runtime-Function-Error-Body"),
                # One connection a stream, as the guide asks.
                ("Connection", "close"),
                *_echo(invocation),
            )
        )
        path = _invocation_path(invocation, "response")
        return f"POST {path}{self._host}{lines}\r\n".encode("latin-1", "replace")


END_OF_STREAM: Final = b"0\r\n\r\n"


def chunk_head(length: int) -> bytes:
    """Return what stands before a chunk's data; CRLF stands behind it.

    ``length`` is not 0: that would end the body.
    """
    return b"%x\r\n" % length


def end_with_error(error_type: str, report: bytes) -> bytes:
    """Return the end of a stream that broke off: the error as trailers, its report as base64."""
    from binascii import b2a_base64

    return b"0\r\n%b: %b\r\n%b: %b\r\n\r\n" % (
        b"Lambda-Runtime-Function-Error-Type",
        error_type.encode("ascii"),
        b"Lambda-Runtime-Function-Error-Body",
        b2a_base64(report, newline=False),
    )


def _invocation_path(invocation: Invocation, end: str) -> str:
    request_id = invocation.request_id
    if not consists_of(_IN_ID, request_id):
        from urllib.parse import quote

        request_id = quote(request_id, safe="")
    return f"{_RUNTIME}/invocation/{request_id}/{end}"


def _echo(invocation: Invocation) -> tuple[tuple[str, str], ...]:
    """The id of this attempt: an answer with another one is refused."""
    echoed = invocation.invocation_id
    return () if echoed is None else (("Lambda-Runtime-Invocation-Id", echoed),)


def _error_headers(error_type: str) -> list[tuple[str, str]]:
    return [
        ("Content-Type", "application/json"),
        ("Lambda-Runtime-Function-Error-Type", error_type),
    ]


def _lines(headers: Iterable[tuple[str, str]]) -> str:
    return "".join([f"{name}: {value}\r\n" for name, value in headers])
