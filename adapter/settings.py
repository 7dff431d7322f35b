"""The options of the adapter: argument, then environment variable, then default.

``OPTIONS`` is the one list of them; the tables in the documentation are printed from it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from penstock.adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping


def _mode(value: str) -> str:
    if value not in ("auto", "on", "off"):
        raise ValueError("auto, on or off")
    return value


def _invoke_mode(value: str) -> str:
    if value not in ("buffered", "response_stream"):
        raise ValueError("buffered or response_stream")
    return value


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("1", "true", "0", "false"):
        return value in ("1", "true")
    raise ValueError("1, true, 0 or false")


def _seconds(value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ValueError("seconds, 0 or more")
    return seconds


def _count(value: Any) -> int:
    try:
        count = int(value)
    except (TypeError, ValueError):
        count = 0
    if count < 1:
        raise ValueError("a whole number, 1 or more")
    return count


def _prefix(value: Any) -> str:
    """``/x/`` and ``/x`` are the same prefix; ``/`` and the empty string are none."""
    if not isinstance(value, str) or (value and not value.startswith("/")):
        raise ValueError("a path that begins with /")
    return value.rstrip("/")


def _path(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith("/"):
        raise ValueError("a path that begins with /")
    return value


def _names(value: str | Collection[str]) -> frozenset[str]:
    names = value.split(",") if isinstance(value, str) else value
    try:
        return frozenset(str.strip(name).lower() for name in names) - {""}
    except TypeError:
        raise ValueError("names, in the environment with commas between them") from None


def _text_types(
    value: str | Collection[str] | Callable[[str], bool],
) -> frozenset[str] | Callable[[str], bool]:
    return value if callable(value) else _names(value)


def _header_sources(value: str | Mapping[str, str]) -> dict[bytes, bytes]:
    try:
        pairs = (
            [item.split("=") for item in value.split(",") if item]
            if isinstance(value, str)
            else value.items()
        )
        return {
            target.strip().lower().encode("ascii"): source.strip().lower().encode("ascii")
            for target, source in pairs
        }
    except (AttributeError, TypeError, ValueError):
        raise ValueError(
            "header names as target and source, in the environment target=source,target=source"
        ) from None


def _statuses(value: str | Collection[int]) -> Collection[int]:
    statuses: set[int] = set()
    try:
        if not isinstance(value, str):
            return frozenset(map(int, value))
        for item in value.split(","):
            first, dash, last = item.partition("-")
            statuses.update(range(int(first), int(last if dash else first) + 1))
    except (TypeError, ValueError):
        raise ValueError("statuses such as 404,500-599") from None
    return statuses


class Option:
    """One option: its name, what it is when nobody says, how its value is read, what it does."""

    __slots__ = ("default", "meaning", "name", "read")

    def __init__(self, name: str, default: Any, read: Callable[[Any], Any], meaning: str) -> None:
        self.name = name
        self.default = default
        self.read = read
        self.meaning = meaning

    @property
    def variable(self) -> str:
        """The environment variable of the same meaning."""
        return "PENSTOCK_" + self.name.upper()


OPTIONS = (
    Option(
        "lifespan",
        "auto",
        _mode,
        "Run the application's lifespan once per execution environment: `auto` goes on without it"
        " if the application has none, `on` insists, `off` does not try.",
    ),
    Option(
        "startup_timeout",
        None,
        _seconds,
        "Seconds of Lambda's init phase that start-up may take; what is left of it then runs in the"
        " first invocation. Unset: 9; no limit where Lambda's own is minutes (SnapStart,"
        " provisioned concurrency, Managed Instances).",
    ),
    Option(
        "root_path",
        None,
        _prefix,
        "The part of the client's URL before the event's path. Unset: derived (stage, base path"
        " mapping); empty: none.",
    ),
    Option(
        "base_path",
        "",
        _prefix,
        "The part of the event's path that is not the application's; moved to `root_path`.",
    ),
    Option(
        "text_types",
        frozenset(),
        _text_types,
        "More media types to send as text (`application/x-foo`, `application/*`), or a callable"
        " that gets a content type and decides.",
    ),
    Option(
        "exclude_headers",
        frozenset(),
        _names,
        "Headers of the application's answer that the client must not see.",
    ),
    Option(
        "headers_from",
        {},
        _header_sources,
        "Request headers to fill from others that your own proxy sets, such as"
        " `host=x-forwarded-host`.",
    ),
    Option(
        "trusted_hops",
        1,
        _count,
        "Which item of `x-forwarded-for`, from the right, is the client (ALB, VPC Lattice).",
    ),
    Option(
        "events_path",
        None,
        _path,
        "Pass non-HTTP events to the application as a `POST` to this path. Unset: they raise"
        " `UnsupportedEvent`.",
    ),
    Option(
        "event_failures",
        None,
        _statuses,
        "Statuses that fail a non-HTTP invocation, so that Lambda retries. Unset: all but 2xx. An"
        " exception or a missed deadline always does.",
    ),
    Option(
        "raise_errors",
        False,  # noqa: FBT003
        _flag,
        "Let an exception of the application fail the invocation, instead of answering 500.",
    ),
    Option(
        "time_limit",
        None,
        _seconds,
        "Seconds that the front door waits for an answer. Unset: what AWS documents for each; 0: no"
        " limit but Lambda's own deadline.",
    ),
    Option(
        "deadline_margin",
        0.15,
        _seconds,
        "Seconds before the deadline at which the application is cancelled and a 504 sent.",
    ),
    Option(
        "invoke_mode",
        "buffered",
        _invoke_mode,
        "`response_stream` sends responses as they are produced: under penstock's runtime, where"
        " the front door can stream (`function-url`, `rest-api`) and is set to: no event tells.",
    ),
    Option(
        "stream_deadline_margin",
        0.3,
        _seconds,
        "The same as `deadline_margin`, for a response that is streamed.",
    ),
    Option(
        "access_log",
        False,  # noqa: FBT003
        _flag,
        "Log one line a request to `penstock.access`: status, duration, cold or warm, request id.",
    ),
)


class Settings:
    """What the options come to; read-only from here on, one attribute an option."""

    lifespan: str
    startup_timeout: float | None
    root_path: str | None
    base_path: str
    text_types: frozenset[str] | Callable[[str], bool]
    exclude_headers: frozenset[str]
    headers_from: dict[bytes, bytes]
    trusted_hops: int
    events_path: str | None
    event_failures: Collection[int] | None
    raise_errors: bool
    time_limit: float | None
    deadline_margin: float
    invoke_mode: str
    stream_deadline_margin: float
    access_log: bool

    def __init__(self, **arguments: Any) -> None:
        for option in OPTIONS:
            name, value = option.name, arguments.get(option.name)
            if value is None:
                name, value = option.variable, os.environ.get(option.variable)
            if value is None:
                value = option.default
            else:
                try:
                    value = option.read(value)
                except ValueError as error:
                    raise ConfigurationError(name, value, str(error)) from None
            setattr(self, option.name, value)
