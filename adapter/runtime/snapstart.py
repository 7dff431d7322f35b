"""SnapStart: one process is started, its memory is kept, and every environment begins there.

Source: Lambda Developer Guide, "Improving startup performance with Lambda SnapStart", "Handling
uniqueness with Lambda SnapStart" and "Lambda SnapStart runtime hooks".
"""

from __future__ import annotations

import os
import random
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from penstock.adapter.errors import ConfigurationError, RuntimeAPIError
from penstock.adapter.event_loop import process_loop
from penstock.adapter.runtime import context, protocol
from penstock.adapter.runtime.fatal import fail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from penstock.adapter.runtime.client import RuntimeClient

    Hook = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]

BEFORE_SNAPSHOT_STATUS = 64
AFTER_RESTORE_STATUS = 65
"""Exit statuses of AWS's client for hooks that fail."""


def cross(
    client: RuntimeClient,
    *,
    stop: Callable[[], object],
    tell: Callable[[], object],
    start: Callable[[], object],
) -> None:
    """Run the hooks, have the snapshot taken, and come out of it in a new environment.

    Before: hooks of ``snapshot_restore_py``, the last one registered first. After: new random
    numbers, ``tell`` lets the application know, then the other hooks, the first one registered
    first. A hook may be a coroutine function. With PENSTOCK_SNAPSTART=restart, ``stop`` ends the
    application's lifespan behind the hooks before the snapshot, and ``start`` begins another before
    those after the restore; ``keep`` is the default. What raises is reported to Lambda and ends the
    process.
    """
    try:
        restarts = _restarts()
        _run(reversed(_hooks("get_before_snapshot")))
        if restarts:
            stop()
        client.close()  # a connection does not survive the snapshot
        _wait_for_restore(client)
    except BaseException as error:
        fail(
            client,
            error,
            protocol.INIT_ERROR,
            BEFORE_SNAPSHOT_STATUS,
            kind="Runtime.BeforeSnapshotError",
        )
    try:
        client.close()
        context.forget_environment()
        # uuid4, secrets and ssl take theirs from the system, which takes care of it.
        random.seed()
        tell()
        if restarts:
            start()
        _run(_hooks("get_after_restore"))
    except BaseException as error:
        fail(
            client,
            error,
            protocol.RESTORE_ERROR,
            AFTER_RESTORE_STATUS,
            kind="Runtime.AfterRestoreError",
        )


def _restarts() -> bool:
    mode = os.environ.get("PENSTOCK_SNAPSTART", "keep")
    if mode not in {"keep", "restart"}:
        raise ConfigurationError("PENSTOCK_SNAPSTART", mode, "keep or restart")
    return mode == "restart"


def _wait_for_restore(client: RuntimeClient) -> None:
    response = client.request(client.write.get(protocol.RESTORE_NEXT))
    if response.status != 200:
        raise RuntimeAPIError(
            f"expected 200 from restore/next, got {response.status} {response.body[:200]!r}"
        )


def _hooks(getter: str) -> list[Hook]:
    try:
        import snapshot_restore_py
    except ImportError:  # then nobody can have registered one
        return []
    hooks: list[Hook] = list(getattr(snapshot_restore_py, getter)())
    return hooks


def _run(hooks: Iterable[Hook]) -> None:
    for function, args, kwargs in hooks:
        result = function(*args, **kwargs)
        if isawaitable(result):
            loop = process_loop.acquire()
            try:
                loop.run_until_complete(_wait(result))
            finally:
                process_loop.release()


async def _wait(result: Any) -> None:
    await result
