"""Lambda's Runtime API, served by penstock instead of AWS's client.

Either start it, ``python -m penstock.adapter.runtime app:app``, or let AWS's client do so: with
``Handler: penstock.adapter.runtime.handler`` and ``PENSTOCK_APP=app:app`` a managed ``python3.x``
runtime asks this module for ``handler``, which never comes back.
"""

from __future__ import annotations

from typing import NoReturn

running = False
"""Whether this process is the runtime already."""


def __getattr__(name: str) -> object:
    """Take the process over from AWS's client, if ``handler`` is asked for in one.

    Raises: AttributeError anywhere else, so that asking for attributes never starts a runtime.
    """
    if name != "handler":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import os
    import threading

    if running:
        problem = "this process is penstock's runtime already: name your own handler or application"
    elif "AWS_LAMBDA_RUNTIME_API" not in os.environ:
        problem = "it is there on Lambda only, where AWS_LAMBDA_RUNTIME_API is set"
    elif threading.current_thread() is not threading.main_thread():
        problem = "it is there in the main thread only, which becomes the runtime"
    else:
        _take_over()
    raise AttributeError(f"{__name__}.handler: {problem}")


def _take_over() -> NoReturn:
    import os

    global running  # noqa: PLW0603 - a process is one runtime
    running = True
    try:
        from penstock.adapter.runtime.garbage import collect_rarely
        from penstock.adapter.runtime.late_imports import import_asyncio

        collect_rarely()
        import_asyncio()  # before all that imports it
        from penstock.adapter.runtime.serve import run

        run(taken_over=True)
    except BaseException:
        # Nothing may reach AWS's client: it would say that the handler is missing.
        import traceback

        traceback.print_exc()
    finally:
        os._exit(1)
