"""What the runtime runs: found by its name, imported, and sorted by its kind."""

from __future__ import annotations

import importlib
import os
import sys
from functools import partial
from inspect import iscoroutinefunction, signature
from typing import TYPE_CHECKING, Any, Final

from penstock.adapter.adapter import LambdaAdapter
from penstock.adapter.errors import Fault
from penstock.adapter.event_loop import process_loop
from penstock.adapter.runtime.calls import MARGIN_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    Kind = Literal["adapter", "sync", "async"]

TAKEOVER: Final = "penstock.adapter.runtime.handler"
"""What the Handler setting of a function says to be taken over: no target, but this runtime."""


class Target:
    """What answers the events.

    Attributes: ``kind``, "adapter" for a LambdaAdapter (``handler`` is one then), "async" for a
    coroutine function of (event, context), "sync" for any other callable of these; ``patience``,
    the seconds before the deadline at which an invocation of it is left behind.
    """

    __slots__ = ("handler", "kind", "patience")

    def __init__(self, kind: Kind, handler: Any) -> None:
        self.kind = kind
        self.handler = handler
        self.patience = handler.patience if kind == "adapter" else MARGIN_S / 2


def load(name: str | None = None, *, factory: bool | None = None) -> Target:
    """Import and sort the target.

    ``name`` is ``module:attribute`` or ``module.attribute``; None takes PENSTOCK_APP, then
    _HANDLER. A ``factory`` (None: if PENSTOCK_FACTORY=1) is called without arguments for it. An
    ASGI application gets a LambdaAdapter.

    Raises: Fault, with the type that AWS's client reports for it; or what the module, or the
    factory, has raised.
    """
    module_name, attribute = _split(_find_name(name))
    # An adapter that is made from here on is started by the runtime, not by its constructor.
    process_loop.reserved = True
    module = _import(module_name)
    found: Any = module
    try:
        for part in attribute.split("."):
            found = getattr(found, part)
    except AttributeError:
        raise Fault(
            "Runtime.HandlerNotFound", f"Handler '{attribute}' missing on module '{module_name}'"
        ) from None
    label = f"'{attribute}' on module '{module_name}'"
    if os.environ.get("PENSTOCK_FACTORY") == "1" if factory is None else factory:
        if not callable(found):
            raise _unusable(f"factory {label}", "a callable without arguments", found)
        found = found()
        label = f"what factory {label} returned"
    return _sort(found, label)


def set_paths() -> None:
    """Give a process that AWS's client did not start the module search path of one that it did.

    That is: the function's folder, the layers' folders (unless PYTHONPATH is set), the rest, with
    the ``.pth`` files of each; the function's folder is the current one. An image that runs
    ``python -m`` keeps its working directory, and its code may be there.
    """
    from site import addsitedir

    root = os.environ.get("LAMBDA_TASK_ROOT")
    if root is not None and not os.path.isdir(root):  # noqa: PTH112 - pathlib is not imported here
        root = None
    own = [] if root is None else [root]
    if "PYTHONPATH" not in os.environ:
        version = "{}.{}".format(*sys.version_info)
        own += [f"/opt/python/lib/python{version}/site-packages", "/opt/python"]
    if root is not None and sys.path[:1] == [""]:  # of `python -c`, as the scripts run it
        os.chdir(root)
        del sys.path[0]
    sys.path[:] = [*own, *(path for path in sys.path if path not in own)]
    runtime = os.environ.get("LAMBDA_RUNTIME_DIR")
    if runtime is not None and runtime not in sys.path:
        sys.path.append(runtime)
    for folder in own:
        if os.path.isdir(folder):  # noqa: PTH112
            addsitedir(folder)
    if runtime is not None:
        os.environ.setdefault("PYTHONPATH", runtime)  # for processes that the function starts


def _find_name(name: str | None) -> str:
    found = name or os.environ.get("PENSTOCK_APP") or os.environ.get("_HANDLER", "")
    if found == "" or found.replace("/", ".").replace(":", ".") == TAKEOVER:
        raise Fault(
            "Runtime.MalformedHandlerName",
            "expected the name of an application or a handler, such as PENSTOCK_APP=app:app"
            f" (module:attribute), and got only _HANDLER={found!r}",
        )
    return found


def _split(name: str) -> tuple[str, str]:
    module, separator, attribute = name.partition(":")
    if not separator:
        module, separator, attribute = name.rpartition(".")
    module = module.replace("/", ".")
    if not (separator and module.strip(".") == module and module and attribute):
        raise Fault(
            "Runtime.MalformedHandlerName",
            f"Bad handler '{name}': expected module:attribute or module.attribute",
        )
    return module, attribute


def _import(name: str) -> Any:
    if name.partition(".")[0] in sys.builtin_module_names:
        raise Fault(
            "Runtime.BuiltInModuleConflict",
            f"Cannot use built-in module {name} as a handler module",
        )
    try:
        return importlib.import_module(name)
    except ImportError as error:
        fault = Fault("Runtime.ImportModuleError", f"Unable to import module '{name}': {error}")
        # With where the import stands that failed, which may be deep in another module.
        raise fault.with_traceback(error.__traceback__) from None
    except SyntaxError as error:
        raise Fault(
            "Runtime.UserCodeSyntaxError",
            f"Syntax error in module '{name}': {error}",
            [f'  File "{error.filename}" Line {error.lineno}\n    {error.text}'],
        ) from None


def _sort(found: Any, label: str) -> Target:
    if isinstance(found, LambdaAdapter):
        return Target("adapter", found)
    if not callable(found):
        raise _unusable(label, "an ASGI application, a LambdaAdapter or a handler", found)
    call: Callable[..., Any] = found
    if not isinstance(found, type | partial) and not hasattr(found, "__code__"):
        call = found.__call__
    if _takes(call, 2):
        is_async = iscoroutinefunction(found) or iscoroutinefunction(call)
        return Target("async" if is_async else "sync", found)
    if _takes(call, 3):
        return Target("adapter", LambdaAdapter(found))
    raise _unusable(
        label,
        "an ASGI application, which takes (scope, receive, send), or a handler of (event, context)",
        found,
    )


def _takes(call: Callable[..., Any], count: int) -> bool:
    try:
        signature(call).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # a callable without a signature, such as some made in C
        return count == 2
    return True


def _unusable(label: str, expected: str, found: Any) -> Fault:
    text = f"{type(found).__name__}: {found!r:.200}"
    return Fault("Runtime.HandlerNotFound", f"{label}: expected {expected}, got {text}")
