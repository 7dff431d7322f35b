"""The seam below the adapter: what carries the answer to one invocation away.

The adapter knows no more of it than this, and it knows nothing of HTTP. The runtime client is one
such end; another runtime that streams from Python would be another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Transport(Protocol):
    """Takes the answer to one invocation: ``answer`` or ``fail`` once, or ``start`` and ``send``.

    Attributes: ``can_stream``, whether ``start`` may be called; ``on_broken``, to be called when
    nobody takes the answer any more, with the seconds that the application has to end, and why.
    """

    can_stream: bool
    on_broken: Callable[[float, str], object] | None

    def answer(self, answer: Any, source: str, limit_bytes: int) -> None:
        """Take the whole answer, which is on its way when this returns.

        A dict may have its ``body`` as bytes: base64 text, not to be copied again.
        Raises: PayloadTooLarge if it would be longer than the ``limit_bytes`` of the event source;
        it was not taken then.
        """
        ...

    def fail(self, error: BaseException) -> None:
        """Log an error, and tell the invoker, unless an answer has left or is on its way."""
        ...

    async def start(self, prelude: bytes, body: bytes, *, more: bool) -> None:
        """Begin a streamed answer: its prelude (JSON), and the first part of its body.

        Returns once both are out of this process; so does ``send``, which makes the application
        wait for a slow client. Neither is called again after ``more`` was false.
        Raises: OSError if the stream is broken.
        """
        ...

    async def send(self, body: bytes, *, more: bool) -> None:
        """Take the next part of the body; an empty one is passed over."""
        ...

    async def abort(self, error: BaseException) -> None:
        """End a stream, after ``start``, whose rest will not come; tell the invoker why."""
        ...

    async def finish(self, hook: Awaitable[Any], limit_s: float | None) -> None:
        """Wait for a hook behind the answer, so long at most, and shorter if the process ends.

        Raises: what the hook raises; Fault if it was cancelled.
        """
        ...
