"""Logging as AWS's own client sets it up: what a function relies on, whichever runtime runs it.

Sources: Lambda Developer Guide, "Log and monitor Python Lambda functions" and "Configuring advanced
logging controls"; tests compare each line with what AWS's client writes.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from contextlib import suppress
from json import JSONEncoder
from typing import TYPE_CHECKING, Any, Final

from penstock.adapter.runtime import context, output

if TYPE_CHECKING:
    from penstock.adapter.runtime.reports import Report

_TIME: Final = "%Y-%m-%dT%H:%M:%S"
_TEXT: Final = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"
_MARKS: Final = frozenset({"aws_request_id", "tenant_id", "aws_trace_id"})
# Attributes that every record has, or another handler's formatter gives it; others are `extra`.
_COMMON: Final = _MARKS | {"asctime", "message", "taskName", *vars(logging.makeLogRecord({}))}
_JSON_FRAME: Final = 0xA55A0002
_HARD_SPACE: Final = "\N{NO-BREAK SPACE}"

_encode = JSONEncoder(ensure_ascii=False, default=str).encode


class LambdaHandler(logging.Handler):
    """The root logger's handler; ``typed`` puts each record's level into its frame."""

    def __init__(self, target: output.Output, *, typed: bool) -> None:
        super().__init__()
        self.output = target
        self._typed = typed
        self.addFilter(_mark)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; what cannot be formatted is reported on stderr, never raised."""
        try:
            text = self.format(record)
            frame = _JSON_FRAME if isinstance(self.formatter, JsonFormatter) else output.TEXT_FRAME
            if self._typed:
                frame += _frame_level(_level(record))
            self.output.write_record(text, frame)
        except Exception:
            self.handleError(record)


class JsonFormatter(logging.Formatter):
    """One JSON object a line; ``traces`` adds the X-Ray trace id of each invocation."""

    def __init__(self, *, traces: bool) -> None:
        super().__init__(datefmt=f"{_TIME}Z")
        self._traces = traces

    def format(self, record: logging.LogRecord) -> str:
        """Return the line. The record stays as it is, for other handlers."""
        facts = vars(record)
        line: dict[str, Any] = {
            "timestamp": self.formatTime(record, self.datefmt),
            "level": logging.getLevelName(_level(record)),
            "message": (
                record.msg
                if isinstance(record.msg, dict) and not record.args
                else record.getMessage()
            ),
            "logger": record.name,
        }
        location = None
        if record.exc_info and record.exc_info[0] is not None:
            from traceback import format_tb

            line["stackTrace"] = format_tb(record.exc_info[2])
            line["errorType"] = record.exc_info[0].__name__
            line["errorMessage"] = str(record.exc_info[1])
            location = f"{record.pathname}:{record.funcName}:{record.lineno}"
        line["requestId"] = facts.get("aws_request_id")
        line["location"] = location
        line["tenantId"] = facts.get("tenant_id")
        if self._traces:
            line["traceId"] = facts.get("aws_trace_id")
        task = facts.get("taskName")
        if task is not None and not task.startswith("Task-"):
            line["taskName"] = task  # it was given by somebody, so it says something
        for name, value in facts.items():
            if name not in _COMMON and line.get(name) is None:
                line[name] = value
        line = {name: value for name, value in line.items() if value is not None}
        try:
            return _encode(line) + "\n"
        except (TypeError, ValueError):  # keys that JSON has not, or a circle
            return _encode({name: str(value) for name, value in line.items()}) + "\n"


_is_json = False


def set_up(*, taken_over: bool = False) -> None:
    """Give the root logger Lambda's handler, in the format and level that the function has.

    Reads AWS_LAMBDA_LOG_FORMAT (JSON on Managed Instances if it is not there),
    AWS_LAMBDA_LOG_LEVEL and the descriptor for frames. ``taken_over`` replaces the handler that
    AWS's client has set up, and goes on with its descriptor.
    """
    global _is_json  # noqa: PLW0603 - a process has one log
    several = "AWS_LAMBDA_MAX_CONCURRENCY" in os.environ
    format_ = os.environ.get("AWS_LAMBDA_LOG_FORMAT", "JSON" if several else "TEXT")
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    _is_json = format_.upper() == "JSON"
    _flush_each_line()
    root = logging.getLogger()
    descriptor = None
    if taken_over:
        for handler in root.handlers[:]:
            if hasattr(handler, "log_sink"):
                root.removeHandler(handler)
                descriptor = getattr(handler.log_sink, "fd", None)
    if descriptor is None:
        descriptor = os.environ.pop("_LAMBDA_TELEMETRY_LOG_FD", None)
    output.current = _open(descriptor)
    handler = LambdaHandler(output.current, typed=_is_json or level != "")
    handler.setFormatter(
        JsonFormatter(traces=several and not taken_over)
        if _is_json
        else logging.Formatter(_TEXT, _TIME)
    )
    # For the application's own formatters too, as with AWS's client.
    logging.Formatter.converter = time.gmtime
    root.addHandler(handler)
    level = "DEBUG" if level == "TRACE" else level
    if level in logging.getLevelNamesMapping():
        root.setLevel(level)


def redirect(socket_path: str) -> None:
    """Send stdout, stderr and the log of this process to a socket of Managed Instances."""
    from socket import AF_UNIX, SOCK_STREAM, socket

    flush()
    for descriptor in (1, 2):
        with socket(AF_UNIX, SOCK_STREAM) as connection:
            connection.connect(socket_path)
            os.dup2(connection.fileno(), descriptor)
    output.current = output.StandardOutput()
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LambdaHandler):
            handler.output = output.current


def log_report(report: Report) -> None:
    """Log an error that Lambda is told of: one record, also where it has many lines."""
    details = report.details
    if _is_json:
        now = time.strftime(f"{_TIME}Z", time.gmtime())
        line = _encode({"timestamp": now, "level": "ERROR", **details})
        output.write_record(line, _JSON_FRAME + _frame_level(logging.ERROR))
        return
    message = details["errorMessage"]
    lines = [f"[ERROR] {details['errorType']}{': ' if message else ''}{message}"]
    lines.append("Traceback (most recent call last):")
    for entry in details["stackTrace"]:
        for text in entry.splitlines():
            code = text.lstrip(" ")
            # Lambda's console drops leading spaces, but not these.
            lines.append(_HARD_SPACE * (len(text) - len(code)) + code)
    output.write_record("\n".join(lines), output.TEXT_FRAME + _frame_level(logging.ERROR))


def flush() -> None:
    """Write out what print() has left in a line that has no end yet."""
    for stream in (sys.stderr, sys.stdout):
        with suppress(Exception):  # closed, or replaced by anything, by the function
            stream.flush()


def _flush_each_line() -> None:
    # AWS's client wraps the streams to flush each write. A line at a time is as prompt, costs half,
    # and keeps the lines of concurrent invocations apart.
    sys.stdout = _unwrapped(sys.stdout)
    sys.stderr = _unwrapped(sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)


def _unwrapped(stream: Any) -> Any:
    while type(stream).__name__ == "Unbuffered":  # on Managed Instances, twice
        stream = stream.stream
    return stream


def _open(descriptor: object) -> output.Output:
    try:
        number = int(descriptor)  # type: ignore[call-overload] # whatever it is
        os.fstat(number)
    except (TypeError, ValueError, OSError):
        return output.StandardOutput()
    return output.FramedOutput(number)


def _mark(record: logging.LogRecord) -> bool:
    invocation = context.find()
    record.aws_request_id = invocation.aws_request_id if invocation else ""
    record.tenant_id = invocation.tenant_id if invocation else None
    record.aws_trace_id = invocation.trace_id if invocation else None
    return True


def _level(record: logging.LogRecord) -> int:
    """The standard level at or below the record's."""
    return min(50, max(0, record.levelno)) // 10 * 10


def _frame_level(level: int) -> int:
    return level // 10 * 4 + 4 if level else 0
