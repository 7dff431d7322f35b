"""Context variables apart from the caller's, without a task."""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator


class InOwnContext:
    """Awaits a coroutine in a copy of the context, as a task would, but in the caller's task.

    What it sets is not seen by who awaits this. It runs at most once.
    """

    # ``cr_frame`` and ``cr_await`` let those who walk down the frames of a task go on: the adapter
    # logs where an application hangs.

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self._run = copy_context().run

    def __await__(self) -> Generator[Any, Any, Any]:
        return self  # type: ignore[return-value]

    def __next__(self) -> Any:
        return self._run(self._coroutine.send, None)

    def send(self, value: Any) -> Any:
        """Go on with ``value``, until it waits again; ``StopIteration`` holds the result."""
        return self._run(self._coroutine.send, value)

    def throw(self, *error: Any) -> Any:
        """Go on with an exception."""
        return self._run(self._coroutine.throw, *error)

    def close(self) -> None:
        """End the coroutine where it waits."""
        self._run(self._coroutine.close)

    @property
    def cr_frame(self) -> Any:
        """The coroutine's frame."""
        return self._coroutine.cr_frame  # type: ignore[attr-defined]

    @property
    def cr_await(self) -> Any:
        """What the coroutine waits for."""
        return self._coroutine.cr_await  # type: ignore[attr-defined]
