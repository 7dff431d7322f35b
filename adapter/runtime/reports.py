"""Errors as Lambda takes and shows them: a JSON report, a type, and X-Ray's cause.

Source: Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes" (invocation
error, initialization error).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib
import json
import os
import traceback
from typing import Any, Final

from penstock.adapter.errors import Fault

_Frame = tuple[str, int, str, str | None]

MESSAGE_CHARS: Final = 32_768
STACK_ENTRIES: Final = 200
ENTRY_CHARS: Final = 500
CHAIN: Final = 8
"""How many exceptions are told of: the error, its causes, the members of groups."""
CAUSE_BYTES: Final = 65_536
"""Longest cause that Lambda keeps; a longer one could overrun the limit for headers."""

_CAUSE_MESSAGE_CHARS = 1024
_CAUSE_FRAMES = 50

# Frames that stand before the user's first one, and say nothing about the error.
_MACHINERY: Final = (
    "<frozen importlib",
    __file__.removesuffix(f"runtime{os.sep}reports.py"),
    *(
        (module.__file__ or "").removesuffix("__init__.py")
        for module in (asyncio, concurrent.futures, importlib)
    ),
)


class Report:
    """One error, ready to be sent and logged.

    Attributes: ``type``, which fits Lambda's pattern ``(Runtime|Function).Name``; ``details``, what
    Lambda shows: errorMessage, errorType, requestId and stackTrace; ``body``, the same as JSON;
    ``cause``, X-Ray's JSON in one line of ASCII.
    """

    __slots__ = ("cause", "details", "type")

    def __init__(self, error: BaseException, request_id: str = "") -> None:
        chain = _chain(error)
        stacks = [_stack(link) for _, link in chain]
        name = error.kind if isinstance(error, Fault) else type(error).__name__
        self.type = error.kind if isinstance(error, Fault) else _function_type(name)
        if isinstance(error, Fault) and error.trace is not None:
            trace = list(error.trace)
        else:
            trace = traceback.format_list(stacks[0])
        for (role, link), stack in zip(chain[1:], stacks[1:], strict=True):
            trace.append(f"{role} {type(link).__name__}: {_message(link)}\n")
            trace += traceback.format_list(stack)
        self.details: dict[str, Any] = {
            "errorMessage": _message(error),
            "errorType": name,
            "requestId": request_id,
            "stackTrace": _shortened(trace),
        }
        self.cause = _cause(chain, stacks)

    @property
    def body(self) -> bytes:
        """The report as JSON in UTF-8."""
        return json.dumps(self.details, ensure_ascii=False).encode(errors="backslashreplace")


def _chain(error: BaseException) -> list[tuple[str, BaseException]]:
    """The error and those that it comes from, each with the part that it plays."""
    found: list[tuple[str, BaseException]] = []
    seen: set[int] = set()
    waiting = [("", error)]
    while waiting and len(found) < CHAIN:
        role, link = waiting.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        found.append((role, link))
        if isinstance(link, BaseExceptionGroup):
            waiting += [("Member of the group:", member) for member in link.exceptions]
        cause = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
        if cause is not None:
            waiting.append(("Caused by", cause))
    return found


def _stack(error: BaseException) -> list[_Frame]:
    frames = [
        (frame.filename, frame.lineno or 0, frame.name, frame.line)
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    for index, frame in enumerate(frames):
        if not frame[0].startswith(_MACHINERY):
            return frames[index:]
    # All of it is ours. What a Fault has to say is in its message; of others it is the place.
    return [] if isinstance(error, Fault) else frames[-1:]


def _message(error: BaseException) -> str:
    try:
        message = str(error)
    except Exception as problem:
        return f"(its message cannot be read: str() raised {type(problem).__name__})"
    if len(message) > MESSAGE_CHARS:
        more = len(message) - MESSAGE_CHARS
        return f"{message[:MESSAGE_CHARS]}... ({more} more characters)"
    return message


def _shortened(trace: list[str]) -> list[str]:
    if len(trace) > STACK_ENTRIES:
        half = STACK_ENTRIES // 2
        left_out = f"  ... {len(trace) - STACK_ENTRIES} entries left out ...\n"
        trace = [*trace[:half], left_out, *trace[-half:]]
    return [
        entry if len(entry) <= ENTRY_CHARS else f"{entry[:ENTRY_CHARS]}...\n" for entry in trace
    ]


def _function_type(name: str) -> str:
    """Lambda keeps letters only, the first of them upper case, and at least two."""
    letters = "".join(letter for letter in name if letter.isascii() and letter.isalpha())
    return f"Function.{letters[:1].upper()}{letters[1:]}" if letters[1:] else "Function.Unknown"


def _cause(chain: list[tuple[str, BaseException]], stacks: list[list[_Frame]]) -> str | None:
    exceptions = []
    paths: set[str] = set()
    for (_, error), stack in zip(chain, stacks, strict=True):
        kept = stack[-_CAUSE_FRAMES:]
        paths.update(path for path, *_ in kept)
        exceptions.append(
            {
                "message": _message(error)[:_CAUSE_MESSAGE_CHARS],
                "type": "LambdaValidationError"
                if isinstance(error, Fault)
                else type(error).__name__,
                "stack": [
                    {"label": label, "path": path, "line": line} for path, line, label, _ in kept
                ],
            }
        )
    cause = json.dumps(
        {
            "working_directory": _working_directory(),
            "exceptions": exceptions,
            "paths": sorted(paths),
        }
    )
    return cause if len(cause) <= CAUSE_BYTES else None


def _working_directory() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - pathlib is not imported for this
    except OSError:
        return ""  # it was removed
