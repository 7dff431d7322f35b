"""The request body as it arrives (ASGI HTTP, Request): whole before the view, or on demand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from penstock.handler.exceptions import (
    ASGIProtocolError,
    RequestAborted,
    RequestDataTooBig,
    RequestTimeout,
    SynchronousOnlyOperation,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterator

    from penstock.handler.body import SpooledBody
    from penstock.handler.config import HandlerConfig

    Receive = Callable[[], Awaitable[Any]]


async def receive_part(receive: Receive, patience: float | None) -> tuple[bytes, bool]:
    """One ``http.request`` message as its bytes, and whether it is the last.

    Raises ``RequestAborted`` for ``http.disconnect`` or an ``OSError``, ``RequestTimeout`` when
    the message takes longer than ``patience`` seconds.
    """
    try:
        message = await (receive() if patience is None else _in_time(receive, patience))
    except OSError as error:
        raise RequestAborted(str(error)) from error
    kind = message["type"]
    if kind == "http.request":
        return message.get("body", b""), not message.get("more_body", False)
    if kind == "http.disconnect":
        raise RequestAborted("the client closed the connection before the body was complete")
    raise ASGIProtocolError(f"expected http.request or http.disconnect, got {kind!r}")


async def _in_time(receive: Receive, patience: float) -> Any:
    """The next message, within ``patience`` seconds; no timer is set if it is there already."""
    steps = receive().__await__()
    try:
        waiting_for = next(steps)
    except StopIteration as stop:
        return stop.value
    limit = asyncio.timeout(patience)
    try:
        async with limit:
            return await _Resumed(steps, waiting_for)
    except TimeoutError:
        if limit.expired():
            raise RequestTimeout(f"no part of the body came for {patience} s") from None
        raise


class _Resumed:
    """The rest of an awaitable whose first step was made: it gave ``waiting_for``."""

    def __init__(self, steps: Any, waiting_for: Any) -> None:
        self._steps = steps
        self._waiting_for = waiting_for

    def __await__(self) -> Generator[Any, Any, Any]:
        # What `yield from` does (PEP 380), from its second step on.
        given = self._waiting_for
        while True:
            try:
                value = yield given
            except BaseException as error:
                try:
                    given = self._steps.throw(error)
                except StopIteration as stop:
                    return stop.value
            else:
                try:
                    given = self._steps.send(value)
                except StopIteration as stop:
                    return stop.value


async def read_body(receive: Receive, config: HandlerConfig) -> bytes | SpooledBody:
    """Receive the whole body: bytes if it came in one small message, else a ``SpooledBody``.

    Raises what ``receive_part`` raises, and ``RequestDataTooBig`` as soon as ``max_body_size`` is
    exceeded, without reading on. No file stays open behind an exception.
    """
    patience, limit = config.body_receive_timeout, config.max_body_size
    part, last = await receive_part(receive, patience)
    size = len(part)
    _check(size, limit)
    if last and size <= config.file_upload_max_memory_size:
        return part
    from penstock.handler.body import SpooledBody

    spool = SpooledBody(config.file_upload_max_memory_size, config.file_upload_temp_dir)
    try:
        await spool.feed(part)
        while not last:
            part, last = await receive_part(receive, patience)
            size += len(part)
            _check(size, limit)
            if part:
                await spool.feed(part)
        await spool.finish()
    except BaseException:
        spool.close()
        raise
    return spool


def _check(size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        raise too_big(limit)


def too_big(limit: int) -> RequestDataTooBig:
    """The error for a body of more bytes than the limit."""
    return RequestDataTooBig(f"the request body has more than {limit} bytes")


class StreamBody:
    """A body that is received while the view reads it; each byte can be read once.

    ``aread`` and ``apart`` pull messages on demand. ``read`` does the same from a thread; on the
    event loop's own thread it raises ``SynchronousOnlyOperation`` unless all bytes are there.
    """

    def __init__(
        self,
        receive: Receive,
        config: HandlerConfig,
        *,
        on_end: Callable[[], None],
        on_abort: Callable[[], None],
    ) -> None:
        self._receive = receive
        self._config = config
        self._on_end = on_end
        self._on_abort = on_abort
        self._buffer = bytearray()
        self.size = 0
        self.limit = config.max_body_size
        self._aborted = False
        self.complete = False
        self.closed = False

    async def start(self) -> None:
        """Receive the first message, which tells whether there is a client at all."""
        await self._pull()

    async def _pull(self) -> None:
        self._buffer += await self._next()

    async def _next(self) -> bytes:
        if self._aborted:
            raise RequestAborted("the client closed the connection before the body was complete")
        try:
            part, last = await receive_part(self._receive, self._config.body_receive_timeout)
        except RequestAborted:
            self._aborted = True
            self._on_abort()
            raise
        self.size += len(part)
        _check(self.size, self.limit)
        if last:
            self.complete = True
            self._on_end()
        return part

    async def apart(self) -> bytes:
        """What has arrived and was not read yet; waits for the next part; ``b""`` at the end."""
        if self._buffer:
            return self._take(len(self._buffer))
        part = b""
        while not part and not self.complete:
            part = await self._next()  # not copied through the buffer
        return part

    async def aread(self, size: int = -1) -> bytes:
        """Return ``size`` bytes, fewer at the end; all that is left if negative."""
        while not self.complete and (size < 0 or len(self._buffer) < size):
            await self._pull()
        return self._take(len(self._buffer) if size < 0 else size)

    async def areadline(self, size: int = -1) -> bytes:
        """Return bytes up to and with the next newline, at most ``size`` of them."""
        seen = 0
        while True:
            end = self._buffer.find(b"\n", seen) + 1
            if not end and self.complete:
                end = len(self._buffer)
            if end or 0 <= size <= len(self._buffer):
                return self._take(end if size < 0 else min(end or size, size))
            if self.complete:
                return b""
            seen = len(self._buffer)
            await self._pull()

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def read(self, size: int = -1) -> bytes:
        """Return the same as ``aread``, from a thread."""
        if self.complete or 0 <= size <= len(self._buffer):
            return self._take(len(self._buffer) if size < 0 else size)
        return self._bridge(self.aread)(size)

    def readline(self, size: int = -1) -> bytes:
        """Return the same as ``areadline``, from a thread."""
        return self._bridge(self.areadline)(size)

    def _bridge(self, method: Callable[[int], Any]) -> Callable[[int], bytes]:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            from asgiref.sync import async_to_sync

            return async_to_sync(method)
        raise SynchronousOnlyOperation(
            "the body is still arriving on this event loop: await request.aread() or iterate over"
            " request.astream()"
        )

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line

    def close(self) -> None:
        """Forget what was not read."""
        self._buffer.clear()
        self.closed = True
