"""Every error that penstock raises, by whose fault it is.

::

    PenstockError
    ├── ConfigurationError      an option that cannot be used
    ├── EventError              the event's: the client of an HTTP front door gets its status
    │   └── UnsupportedEvent    not an HTTP request, and nothing is set up to take it
    ├── ApplicationError        the ASGI application's
    │   ├── ProtocolError       it broke the ASGI specification
    │   ├── LifespanError       its start-up failed
    │   ├── EventFailed         it answered a non-HTTP event with a failure
    │   └── PayloadTooLarge     its answer exceeds what the front door carries
    ├── RuntimeAPIError         the Lambda Runtime API's: refused, broken off, not understood
    └── ClientDisconnected      it sent when nobody was waiting (an OSError, as ASGI asks)
    Fault                       what penstock's runtime reports to Lambda by a type of Lambda's
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class PenstockError(Exception):
    """The base of every error that penstock raises itself."""


class ConfigurationError(PenstockError, ValueError):
    """An option has a value that cannot be used; raised by the constructor.

    Attributes: ``option`` (its name), ``value`` (what came), ``expected`` (what it takes).
    """

    def __init__(self, option: str, value: object, expected: str) -> None:
        super().__init__(f"{option}={value!r}: expected {expected}")
        self.option = option
        self.value = value
        self.expected = expected


class EventError(PenstockError, ValueError):
    """The event cannot be mapped to ASGI.

    An HTTP front door answers its client with ``status``; the message goes to the log only.
    Attributes: ``source`` (event source name), ``field`` (path of the event key), ``status``.
    """

    def __init__(self, source: str, field: str, problem: str, *, status: int = 400) -> None:
        super().__init__(f"{source} event, {field}: {problem}")
        self.source = source
        self.field = field
        self.status = status


class UnsupportedEvent(EventError):
    """The event is none that this adapter is set up for; raised to Lambda, which counts a failure.

    Attributes: ``kind`` (what the event seems to be, such as ``aws:sqs`` or ``unknown``).
    """

    def __init__(self, kind: str, seen: str, remedy: str) -> None:
        super().__init__("unsupported", kind, f"saw {seen}; {remedy}")
        self.kind = kind


class ApplicationError(PenstockError):
    """The application did what it must not; the base of the errors that are its fault."""


class ProtocolError(ApplicationError, RuntimeError):
    """The application broke the ASGI specification; raised out of its own ``send``.

    The client gets a 500. After the first breach every further message is refused.
    """


class LifespanError(ApplicationError):
    """The application's lifespan start-up failed.

    Raised by the constructor where start-up runs in the init phase (a Lambda init error), else by
    the invocation that needed the application; the next one tries again.
    """


class EventFailed(ApplicationError):
    """The application answered a non-HTTP event with a failure, so the invocation fails.

    Lambda then does what the event source asks for: retry, destination, dead-letter queue.
    Attributes: ``status`` (the application's), ``kind`` (such as ``aws:sqs``).
    """

    def __init__(self, kind: str, path: str, status: int, body: str) -> None:
        super().__init__(
            f"{kind} event: expected the application to answer POST {path} with 2xx, got {status}"
            + (f": {body[:200]!r}" if body else "")
        )
        self.kind = kind
        self.status = status


class PayloadTooLarge(ApplicationError):
    """The answer is larger than the front door carries; the client gets a 502 that says so.

    Attributes, both in bytes of what would be sent: ``limit_bytes`` (inclusive), ``actual_bytes``
    (at least this many, when the application was stopped half-way).
    """

    def __init__(self, source: str, limit_bytes: int, actual_bytes: int) -> None:
        super().__init__(
            f"the answer has {actual_bytes} bytes or more, and {source} carries {limit_bytes}:"
            " send less, or hand out a link to the content"
        )
        self.limit_bytes = limit_bytes
        self.actual_bytes = actual_bytes


class RuntimeAPIError(PenstockError):
    """The Lambda Runtime API refused a request, broke off, or sent what cannot be understood.

    It costs one invocation at most, unless there is no API any more to ask for the next one.
    """


class ClientDisconnected(PenstockError, OSError):
    """The application sent a message when nobody was waiting for it any more.

    Its text says why: the deadline came, the environment shuts down, or the invoker has gone. An
    ``OSError``, as "HTTP & WebSocket ASGI Message Format", Disconnected Client, asks for.
    """


class Fault(Exception):
    """An error with a type of Lambda's own, such as ``Runtime.ImportModuleError``.

    ``trace`` is its stack trace, if another one than Python's: entries as ``traceback`` formats.
    """

    def __init__(self, kind: str, message: str, trace: Sequence[str] | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.trace = trace
