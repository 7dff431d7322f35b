"""Find a function, and call it as Lambda would: with an event and a context."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
import time
import traceback
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.infra.gateway.door import ACCOUNT, REGION
from penstock.infra.problems import InvocationFailed, Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penstock.adapter import LambdaAdapter

    Message = dict[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

EXTRAS = {"h11": "local", "mangum": "mangum"}
"""The extra that installs a module, by the module's name."""

_NOT_SHOWN = frozenset({"aws.event", "aws.context", "state"})


class LocalContext:
    """A Lambda context object for an invocation on this machine.

    Units: ``timeout_s`` seconds, which count down from the construction.
    Source: "Using the Lambda context object to retrieve Python function information".
    """

    def __init__(self, *, timeout_s: float) -> None:
        self.aws_request_id = str(uuid.uuid4())
        self.function_name = "local"
        self.function_version = "$LATEST"
        self.invoked_function_arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:local"
        self.memory_limit_in_mb = "1024"
        self.log_group_name = "/aws/lambda/local"
        self.log_stream_name = "local"
        self.identity = None
        self.client_context = None
        self._ends = time.monotonic() + timeout_s

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda would end the invocation; never negative."""
        return max(0, int((self._ends - time.monotonic()) * 1000))


def load_target(text: str, *, factory: bool = False) -> Any:
    """Import what ``module:attribute`` or ``module.attribute`` names, the current folder first.

    With ``factory`` it is called without arguments, and what it returns is the target.
    Raises: Problem if there is no such thing, or if importing it or calling the factory fails.
    """
    separator = ":" if ":" in text else "."
    module_name, _, attribute = text.rpartition(separator)
    module_name = module_name.replace("/", ".")
    if not module_name or not attribute:
        raise Problem(f"expected TARGET as module:attribute, such as app:app, got {text!r}")
    here = str(Path.cwd())
    if sys.path[:1] != [here]:
        sys.path.insert(0, here)
    target = _import(module_name, here)
    for name in attribute.split("."):
        if not hasattr(target, name):
            raise Problem(f"expected {name!r} in module {module_name}, which has none: see {text}")
        target = getattr(target, name)
    if not callable(target):
        raise Problem(
            f"expected {text} to be an ASGI application or a Lambda handler, got"
            f" {type(target).__name__}"
        )
    return _called(text, target) if factory else target


def call(target: Any, event: Any, context: LocalContext, *, events_path: str | None) -> Any:
    """Return what the function answers to the event; an ASGI application is adapted first.

    A target that takes two arguments is a Lambda handler (a coroutine function too) and is called
    as it is. Lifespan shutdown of an adapter has run when this returns.
    Raises: InvocationFailed if the function raises; Problem if the target takes no arguments.
    """
    from penstock.adapter import LambdaAdapter

    if isinstance(target, LambdaAdapter):
        handler = target
    elif _takes(target, 2):
        return _guarded(lambda: _run(target, event, context))
    elif _takes(target, 0) and not _takes(target, 3):
        raise Problem(
            "expected an ASGI application or a Lambda handler, got what takes no arguments:"
            " with --factory it is called to get the application"
        )
    else:
        handler = _adapted(target, events_path=events_path)
    try:
        return _guarded(lambda: handler(event, context))
    finally:
        handler.close()


def scope_of(event: Any, context: LocalContext, *, events_path: str | None) -> dict[str, Any]:
    """Return the ASGI scope that an application would get, as JSON-like data.

    Shapes: bytes are latin-1 text; ``aws.event``, ``aws.context`` and ``state`` are left out.
    Raises: InvocationFailed if the adapter does not take the event to an application.
    """
    seen: list[dict[str, Any]] = []

    async def record(scope: dict[str, Any], _: Receive, send: Send) -> None:
        seen.append(scope)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    adapter = _adapted(record, events_path=events_path, lifespan="off")
    answer = call(adapter, event, context, events_path=None)
    if not seen:
        raise InvocationFailed(f"expected an event with a request in it: the adapter said {answer}")
    return {key: _shown(value) for key, value in seen[0].items() if key not in _NOT_SHOWN}


def _import(name: str, here: str) -> Any:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{name}.".startswith(f"{missing}."):
            raise Problem(
                f"expected a module {name} in {here} or among what is installed, got none"
            ) from None
        advice = (
            f"install it: pip install 'penstock[{EXTRAS[missing]}]'" if missing in EXTRAS else ""
        )
        raise Problem(_failure(f"module {name}", "import", error, advice), _own(error)) from None


def _called(text: str, factory: Callable[[], Any]) -> Any:
    try:
        return factory()
    except (Exception, SystemExit) as error:
        raise Problem(_failure(f"factory {text}", "return", error, ""), _own(error)) from None


def _failure(what: str, verb: str, error: BaseException, advice: str) -> str:
    line = f"expected {what} to {verb}, got {type(error).__name__}: {error}"
    return f"{line}; {advice}" if advice else line


def _adapted(app: Any, *, events_path: str | None, lifespan: str | None = None) -> LambdaAdapter:
    from penstock.adapter import ConfigurationError, LambdaAdapter

    try:
        return LambdaAdapter(app, events_path=events_path, lifespan=lifespan)
    except ConfigurationError as error:
        raise Problem(str(error)) from None


def _takes(target: Any, count: int) -> bool:
    try:
        inspect.signature(target).bind(*range(count))
    except (TypeError, ValueError):
        return False
    return True


def _run(target: Any, event: Any, context: LocalContext) -> Any:
    result = target(event, context)
    return asyncio.run(result) if inspect.iscoroutine(result) else result


def _guarded(invocation: Callable[[], Any]) -> Any:
    from penstock.adapter.errors import PenstockError

    try:
        return invocation()
    except PenstockError as error:
        raise InvocationFailed(str(error)) from None
    except (Exception, SystemExit) as error:
        raise InvocationFailed(f"the function raised {_named(error)}", _own(error)) from None


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _own(error: BaseException) -> str:
    """Return the traceback of an error from the first frame on that is the user's."""
    frame = error.__traceback__
    while frame and _is_ours(frame.tb_frame.f_code.co_filename):
        frame = frame.tb_next
    return "".join(traceback.format_exception(type(error), error, frame))


def _is_ours(filename: str) -> bool:
    return filename in {__file__, importlib.__file__} or filename.startswith("<frozen importlib")


def _shown(value: Any) -> Any:
    match value:
        case bytes():
            return value.decode("latin-1")
        case list() | tuple():
            return [_shown(item) for item in value]
        case dict():
            return {str(key): _shown(item) for key, item in value.items()}
        case None | bool() | int() | float() | str():
            return value
    return repr(value)
