"""Server-sent events."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from penstock.handler.streaming import Pulled, StreamingHttpResponse
from penstock.handler.tasks import is_being_cancelled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_LINE = re.compile(r"\r\n|\r|\n")
_HEARTBEAT = b": \n\n"
# What events may end with; the last two would stop the loop if they left the task that pulls them.
_ENDS = (Exception, asyncio.CancelledError, SystemExit, KeyboardInterrupt)


def event_frame(
    data: object = None,
    *,
    event: str | None = None,
    id: str | int | None = None,  # noqa: A002 - the field's name
    retry: int | None = None,
) -> bytes:
    """Return one event as bytes; ``data`` that is neither text nor None is sent as JSON.

    ``retry`` is in milliseconds. Source: HTML Standard, section 9.2.5 (event stream format).

    Raises: ValueError for line breaks in event or id, and NUL in id: they would change the frame.
    """
    lines = []
    if id is not None:
        if isinstance(id, str) and ("\0" in id or _LINE.search(id)):
            raise ValueError(f"id={id!r}: expected text without line breaks and NUL")
        lines.append(f"id: {id}")
    if event is not None:
        if _LINE.search(event):
            raise ValueError(f"event={event!r}: expected text without line breaks")
        lines.append(f"event: {event}")
    if retry is not None:
        lines.append(f"retry: {int(retry)}")
    if data is not None:
        if not isinstance(data, str):
            from penstock.handler.json_response import encode_json

            data = encode_json(data)
        lines += [f"data: {line}" for line in _LINE.split(data)]
    return ("\n".join(lines) + "\n\n").encode()


class EventStreamResponse(StreamingHttpResponse):
    """A stream of server-sent events.

    ``events`` is a sync or async iterable of text (the data), mappings with the arguments of
    ``event_frame``, or bytes, which are sent as they are; anything else is data to send as JSON.
    After ``ping`` seconds without an event a comment is sent, which keeps the connection and finds
    out if there is still one; ``None`` sends none.
    """

    def __init__(self, events: Any, *args: Any, ping: float | None = 15.0, **kwargs: Any) -> None:
        kwargs.setdefault("content_type", "text/event-stream; charset=utf-8")
        super().__init__(_Frames(events, ping), *args, **kwargs)
        self.setdefault("Cache-Control", "no-cache")
        self.setdefault("X-Accel-Buffering", "no")


class _Frames:
    """The events as bytes, with comments in the pauses.

    The events are pulled by a task of their own: a pull must not be cancelled because of a pause,
    and generators with task groups in them must stay in one task.
    """

    def __init__(self, events: Any, ping: float | None) -> None:
        self._events = aiter(events) if hasattr(events, "__aiter__") else Pulled(iter(events))
        self._ping = ping
        self._next: asyncio.Queue[object] = asyncio.Queue(1)
        self._pump: asyncio.Task[None] | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._pump is None:
            self._pump = asyncio.create_task(self._pull())
        try:
            async with asyncio.timeout(self._ping):
                item = await self._next.get()
        except TimeoutError:
            return _HEARTBEAT
        if isinstance(item, bytes):
            return item
        if isinstance(item, BaseException):
            raise item
        raise StopAsyncIteration

    async def _pull(self) -> None:
        try:
            async for event in self._events:
                await self._next.put(_as_frame(event))
        except _ENDS as error:
            if is_being_cancelled():
                raise
            await self._next.put(error)
        else:
            await self._next.put(None)

    async def aclose(self) -> None:
        """End the task, then close the events."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait([self._pump])
        if close := getattr(self._events, "aclose", None):
            await close()


def _as_frame(event: object) -> bytes:
    if isinstance(event, bytes):
        return event
    if isinstance(event, Mapping):
        return event_frame(**event)
    return event_frame(event)
