"""The life of a runtime process: init, invocations, shutdown."""

from __future__ import annotations

import logging
import os
import signal
from typing import TYPE_CHECKING, Any, NoReturn

from penstock.adapter.errors import RuntimeAPIError
from penstock.adapter.event_loop import process_loop
from penstock.adapter.runtime import extension, logs, target
from penstock.adapter.runtime.client import RuntimeClient, address_from_environment
from penstock.adapter.runtime.garbage import collect_as_usual
from penstock.adapter.runtime.late_imports import import_ahead
from penstock.adapter.runtime.one_slot import OneSlot
from penstock.adapter.runtime.stop import SHUTDOWN_S, StopSignal
from penstock.adapter.runtime.watchdog import Watchdog

if TYPE_CHECKING:
    from penstock.adapter.runtime.target import Target

logger = logging.getLogger("penstock")


def run(
    name: str | None = None, *, factory: bool | None = None, taken_over: bool = False
) -> NoReturn:
    """Serve the Runtime API until Lambda ends the process.

    ``name`` and ``factory`` are those of ``target.load``. The process ends with status 0 after
    SIGTERM, and otherwise when Lambda should replace it: init failed and was reported, there is no
    Runtime API any more, or the application asked for its own end.
    """
    logs.set_up(taken_over=taken_over)
    host, port = address_from_environment()
    registered = extension.register(host, port)
    several = "PENSTOCK_PROCESSES" in os.environ or "AWS_LAMBDA_MAX_CONCURRENCY" in os.environ
    slots = _split(registered, taken_over=taken_over) if several else 1
    stop = StopSignal()
    client = RuntimeClient(host, port, stop)
    try:
        loaded = target.load(name, factory=factory)
        life = _Life(loaded)
        life.start()
    except BaseException as error:
        from penstock.adapter.runtime.fatal import fail_init

        fail_init(client, error)
    if registered is not None:
        if not several:
            registered.park()
        client.before_retry = registered.park_again
    import_ahead()
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        from penstock.adapter.runtime import snapstart

        snapstart.cross(client, stop=life.stop, tell=life.tell_of_restore, start=life.start)
        if registered is not None:
            registered.park_again()
    watchdog = Watchdog(loaded.patience)
    if several:
        from penstock.adapter.runtime import processes

        processes.ready()
    collect_as_usual()
    if os.environ.get("AWS_SAM_LOCAL") == "true":
        logger.info("sam local cannot stream: each response is sent when it is complete")
    handler = signal.getsignal(signal.SIGTERM)  # of the function, if it has set one
    status = _serve(client, loaded, slots, stop, watchdog)
    if stop.requested:
        life.stop(stop.left_s(SHUTDOWN_S))
        _call_back(handler)
    logs.flush()
    os._exit(status)


def _split(registered: extension.Extension | None, *, taken_over: bool) -> int:
    """Do as ``processes.split``, which functions off Managed Instances do not load."""
    from penstock.adapter.runtime import processes

    if registered is not None:
        registered.park()  # before the fork: the answer comes once
    return processes.split(taken_over=taken_over)


def _serve(
    client: RuntimeClient, loaded: Target, slots: int, stop: StopSignal, watchdog: Watchdog
) -> int:
    """Serve until the end, and return the exit status."""
    try:
        stop.install()
        stop.leave_to_forks()
        process_loop.watch(stop.fd, stop.drain)
        if slots == 1:
            OneSlot(client, loaded, stop, watchdog).run()
        else:
            from penstock.adapter.runtime.many_slots import ManySlots

            process_loop.run(ManySlots(client, loaded, slots, stop, watchdog).run())
    except RuntimeAPIError as error:
        logger.error("this process ends: %s", error)  # noqa: TRY400 - it says it all
        return 0 if stop.requested else 1
    except SystemExit as error:
        # Of what os._exit takes: Lambda is to see that this process ended by itself.
        return (error.code & 0xFF or 1) if isinstance(error.code, int) else 1
    except BaseException:
        logger.exception("the runtime itself failed")
        return 1
    return 0


def _call_back(handler: Any) -> None:
    """Call the function's own handler of SIGTERM, whose place the runtime has taken."""
    if not callable(handler):
        return
    try:
        handler(signal.SIGTERM, None)
    except SystemExit:
        pass  # what it asks for is what comes next
    except BaseException:
        logger.exception("the function's handler of SIGTERM failed")


class _Life:
    """The application's lifespan, where the target has one."""

    def __init__(self, loaded: Target) -> None:
        self._adapter = loaded.handler if loaded.kind == "adapter" else None

    def start(self) -> None:
        """Start the application. Raises: LifespanError."""
        if self._adapter is not None:
            process_loop.run(self._adapter.start_up())

    def tell_of_restore(self) -> None:
        """Let the application know that it comes from a snapshot."""
        if self._adapter is not None:
            self._adapter.restored()

    def stop(self, limit_s: float | None = None) -> None:
        """Shut the application down; what it cannot do within the limit is logged."""
        if self._adapter is not None:
            from asyncio import wait_for

            try:
                process_loop.run(wait_for(self._adapter.aclose(), limit_s))
            except Exception as error:
                problem = str(error) or type(error).__name__
                logger.error("the application's shutdown did not end well: %s", problem)  # noqa: TRY400
