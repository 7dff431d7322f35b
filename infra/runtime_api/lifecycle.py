"""The life of a runtime: started, watched, frozen, restored, replaced and shut down.

Source: "Understanding the Lambda execution environment lifecycle".
"""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING, Final

from penstock.infra.runtime_api.log import LogRecord
from penstock.infra.runtime_api.process import FunctionProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from penstock.infra.runtime_api.environment import Environment
    from penstock.infra.runtime_api.running import Running

_INTERNAL_SHUTDOWN_S: Final = 0.5
_EXTERNAL_SHUTDOWN_S: Final = 2.0
_RUNTIME_SHARE: Final = 0.15  # of the longer one: 0.3 s
_TURNS_TO_SEND: Final = 3  # of the loop: the endpoint wakes up, writes, and the socket has it


class LifeCycle:
    """Keeps the runtime of one environment, as its ``Keeper``.

    Without a command, somebody else starts it. ``cut_off`` resets the connections of a runtime that
    is replaced.
    """

    def __init__(self, environment: Environment, cut_off: Callable[[], None]) -> None:
        self._environment = environment
        self._settings = environment.settings
        self._cut_off = cut_off
        self._environ: Mapping[str, str] = {}
        self.process: FunctionProcess | None = None
        self._runtime: asyncio.Task[int | None] | None = None
        self._init_timer: asyncio.TimerHandle | None = None
        self._init_took_too_long = False
        self._replacing = False
        self._closing = False
        environment.keeper = self

    def begin(self, environ: Mapping[str, str]) -> None:
        """Start the runtime, if that is to be done here, with this environment."""
        self._environ = environ
        self._start()

    def _start(self) -> None:
        command = self._settings.command
        if command and not self._closing and self._runtime is None:
            self._runtime = asyncio.create_task(self._run(command))

    async def _run(self, command: Sequence[str]) -> int | None:
        """Keep a process until it has ended; return its status if that is all there is to do."""
        try:
            self.process = await FunctionProcess.start(
                command,
                folder=self._settings.folder,
                environ=self._settings.process_environ(self._environ),
                log=self._environment.log,
                framed_log=self._settings.framed_log and self._settings.concurrency is None,
            )
        except OSError as error:
            self._log(f"the runtime cannot be started: {error}")
            self._runtime = None
            self._environment.end_runtime("Runtime.InvalidEntrypoint", str(error))
            return None
        if self._closing:
            self.process.signal(signal.SIGKILL)
        if not self._init_took_too_long:
            loop = asyncio.get_running_loop()
            self._init_timer = loop.call_later(self._settings.init_seconds, self._init_timed_out)
        elif self._environment.queued:
            self._environment.begin_clock(self._environment.queued)
        status = await self.process.ended()
        self.process = None
        self._stop_init_clock()
        if self._closing:  # external extensions are told first
            return status
        self._end(status)
        if self._environment.queued:
            self._start()
        return None

    def _end(self, status: int) -> None:
        """Take note that the runtime's process is gone."""
        self._runtime = None
        self._cut_off()
        replaced, self._replacing = self._replacing, False
        self._environment.end_runtime("Runtime.ExitError", _ending(status), replaced=replaced)

    def _stop_init_clock(self) -> None:
        if self._init_timer is not None:
            self._init_timer.cancel()
            self._init_timer = None

    def _init_timed_out(self) -> None:
        """Do what Lambda does: initialise once more, on the time of the first invocation."""
        self._init_timer = None
        self._init_took_too_long = True
        self._log(f"INIT_REPORT Phase: init Status: timeout, after {self._settings.init_seconds} s")
        self._replace()

    def needed(self, running: Running) -> None:
        self._thaw()
        if self._runtime is None:
            self._start()
        elif self._init_took_too_long and not self._environment.is_initialised:
            self._environment.begin_clock(running)

    def initialised(self) -> None:
        self._stop_init_clock()
        self._init_took_too_long = False

    def init_failed(self) -> None:
        self._stop_init_clock()  # it ends by itself

    def timed_out(self) -> None:
        self._replace()

    def _replace(self) -> None:
        if self.process is not None:
            self._replacing = True
            self.process.signal(signal.SIGKILL)
        else:
            self._cut_off()
            message = "the runtime has been replaced"
            self._environment.end_runtime("Sandbox.Failure", message, replaced=True)

    def idle(self) -> None:
        """Stop the process where it is, as Lambda does between two invocations."""
        if self._freezes and self.process is not None:
            self.process.signal(signal.SIGSTOP)

    def _thaw(self) -> None:
        if self._freezes and self.process is not None:
            self.process.signal(signal.SIGCONT)

    @property
    def _freezes(self) -> bool:
        return self._settings.freeze and self._settings.concurrency is None

    async def shut_down(self, reason: str = "spindown") -> None:
        """End the runtime as Lambda does: told so if an extension has registered, else at once."""
        if self._closing:
            return
        self._closing = True
        self._stop_init_clock()
        extensions = self._environment.extensions
        limit = _INTERNAL_SHUTDOWN_S
        if extensions.any_external:
            limit = _EXTERNAL_SHUTDOWN_S
        if self._settings.shutdown_s is not None:
            limit = self._settings.shutdown_s
        self._thaw()
        if extensions.any_registered and self.process and self._runtime:
            self.process.signal(signal.SIGTERM)
            share = limit * _RUNTIME_SHARE if extensions.any_external else limit
            await asyncio.wait([self._runtime], timeout=share)
        if extensions.any_external:
            deadline_ms = int((time.time() + limit) * 1000)
            self._environment.publish(
                {"eventType": "SHUTDOWN", "shutdownReason": reason, "deadlineMs": deadline_ms}
            )
            for _ in range(_TURNS_TO_SEND):
                await asyncio.sleep(0)
        if self.process is not None:
            self._log("the runtime is killed")
            self.process.signal(signal.SIGKILL)
        if self._runtime is not None and (status := await self._runtime) is not None:
            self._end(status)

    def _log(self, text: str) -> None:
        self._environment.log.add(LogRecord("platform", text))


def _ending(status: int) -> str:
    if status == 0:
        return "Runtime exited without providing a reason"
    if status < 0:
        name = "killed" if status == -signal.SIGKILL else signal.strsignal(-status)
        return f"Runtime exited with error: signal: {str(name).lower()}"
    return f"Runtime exited with error: exit status {status}"
