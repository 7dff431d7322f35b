"""The local Runtime API on an event loop in a thread of its own, for synchronous callers."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from penstock.infra.runtime_api.local import LocalRuntimeAPI

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence
    from pathlib import Path

    from penstock.infra.runtime_api.faults import Fault, Injection, Place
    from penstock.infra.runtime_api.invocation import InvokeOptions
    from penstock.infra.runtime_api.settings import FunctionOptions

Result = TypeVar("Result")


class ThreadedRuntimeAPI:
    """A ``LocalRuntimeAPI`` for tests without an event loop; a context manager.

    Takes the same arguments. ``api`` is the one in the thread: its addresses, ``environ``, ``log``
    and ``settings`` may be read from here, its coroutines are run by ``run``.
    """

    def __init__(
        self,
        command: Sequence[str] | None = None,
        *,
        folder: Path | str = ".",
        echo_log: bool = False,
        **options: Unpack[FunctionOptions],
    ) -> None:
        self._make = partial(LocalRuntimeAPI, command, folder=folder, echo_log=echo_log, **options)
        self.api: LocalRuntimeAPI
        self._loop: asyncio.AbstractEventLoop
        self._thread: threading.Thread
        self._stop: asyncio.Event

    def __enter__(self) -> Self:
        started: Future[None] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(started)), name="local-runtime-api"
        )
        self._thread.start()
        try:
            started.result()
        except BaseException:
            self._thread.join()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self, started: Future[None]) -> None:
        try:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            async with self._make() as self.api:
                started.set_result(None)
                await self._stop.wait()
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    def run(self, coroutine: Coroutine[Any, Any, Result], timeout_s: float | None = None) -> Result:
        """Run a coroutine in the thread and return its result.

        Raises: TimeoutError after so many seconds; what the coroutine raises.
        """
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout_s)

    def ready(self, timeout_s: float | None = None) -> None:
        """Return when the runtime waits for events. Raises: TimeoutError."""
        self.run(self.api.ready(), timeout_s)

    def invoke(self, event: Any = None, **options: Unpack[InvokeOptions]) -> Any:
        """Return what the function answers; as ``LocalRuntimeAPI.invoke``."""
        return self.run(self.api.invoke(event, **options))

    def stream(self, event: Any = None, **options: Unpack[InvokeOptions]) -> Iterator[bytes]:
        """Yield the function's answer as it arrives; as ``LocalRuntimeAPI.invoke_stream``."""
        chunks = self.api.invoke_stream(event, **options)
        try:
            while (chunk := self.run(anext(chunks, None))) is not None:
                yield chunk
        finally:
            self.run(chunks.aclose())

    def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function in the thread and return its result, as for ``injection.release``.

        What belongs to the event loop may be touched in its thread only.
        """

        async def call() -> Result:
            return function(*arguments)

        return self.run(call())

    def inject(self, place: Place, fault: Fault, *, times: int = 1) -> Injection:
        """Let the next ``times`` requests at a place meet a fault."""
        return self.call(lambda: self.api.inject(place, fault, times=times))
