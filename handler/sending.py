"""From a response to ASGI messages (ASGI HTTP, Response Start and Response Body)."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from penstock.handler.base_response import HttpResponseBase
from penstock.handler.config import DEFAULT_CONFIG
from penstock.handler.exceptions import ContentLengthMismatch
from penstock.handler.headers import ResponseHeaders, header_value
from penstock.handler.hops import in_request_thread
from penstock.handler.tasks import settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    from penstock.handler.config import HandlerConfig

    Send = Callable[[Any], Awaitable[None]]

logger = logging.getLogger("penstock.request")
_START = "http.response.start"
_BODY = "http.response.body"
_WITHOUT_BODY = frozenset((204, 304, *(status for status in range(100, 200) if status != 101)))
# A slow first part must not hold the start back: a sync one for longer than this, in seconds.
_PATIENCE = 0.05


async def transmit(
    response: Any,
    send: Send,
    *,
    method: str = "GET",
    extensions: Mapping[str, Any] | None = None,
    config: HandlerConfig = DEFAULT_CONFIG,
) -> None:
    """Send the response, ours or one that looks like Django's; does not close it.

    HEAD and statuses without a body send none (RFC 9110 sections 9.3.2, 15.3.5, 15.4.5); a body in
    memory always has its true content length; a stream is checked against the one it declares.
    Raises what the body's iterator and ``send`` raise, and ``ContentLengthMismatch``.
    """
    if response.streaming:
        await _Stream(response, send, extensions or {}, config).run(method)
        return
    status: int = response.status_code
    content: bytes = response.content
    pairs = header_pairs(response, config)
    if status in _WITHOUT_BODY:
        pairs = _bare(pairs, status)
        content = b""
    else:
        if status == 205:
            content = b""
        pairs = _with_length(pairs, response, len(content))
    if response.cookies:
        pairs += cookie_pairs(response, config)
    await send({"type": _START, "status": status, "headers": pairs})
    if method == "HEAD":
        content = b""
    size = config.content_chunk_size
    if size is not None and len(content) > size:
        for start in range(0, len(content) - size, size):
            part = content[start : start + size]
            await send({"type": _BODY, "body": part, "more_body": True})
        content = content[(len(content) - 1) // size * size :]
    await send({"type": _BODY, "body": content, "more_body": False})


def header_pairs(response: Any, config: HandlerConfig) -> list[tuple[bytes, bytes]]:
    """The headers as ASGI takes them, without cookies; a fresh list."""
    if isinstance(response, HttpResponseBase):
        return response.headers.raw(preserve_case=config.preserve_header_case)
    # One of another library: raises BadHeaderError as ours does where a header is set.
    headers = ResponseHeaders()
    for name, value in response.items():
        headers.add(name, value)
    return headers.raw(preserve_case=config.preserve_header_case)


def cookie_pairs(response: Any, config: HandlerConfig) -> list[tuple[bytes, bytes]]:
    """A header for each cookie, to be sent after the others."""
    cookies = response.cookies
    if not cookies:
        return []
    name = b"Set-Cookie" if config.preserve_header_case else b"set-cookie"
    if isinstance(response, HttpResponseBase):
        return [(name, value) for value in cookies.raw()]
    return [
        (name, header_value(cookie.output(header="").strip()).encode("latin-1"))
        for cookie in cookies.values()
    ]


def _bare(pairs: list[tuple[bytes, bytes]], status: int) -> list[tuple[bytes, bytes]]:
    """Without what describes a body that is not there; a 304 may tell the length it would have."""
    dropped = {b"content-length"} if status != 304 else set()
    if status in {204, 304}:
        dropped.add(b"content-type")
    return [pair for pair in pairs if pair[0].lower() not in dropped]


def _with_length(
    pairs: list[tuple[bytes, bytes]], response: Any, length: int
) -> list[tuple[bytes, bytes]]:
    given = response.headers.get("content-length")
    if given is not None:
        if given == str(length):
            return pairs
        logger.warning(
            "content-length corrected: the response said %r and has %d bytes", given, length
        )
        pairs = [pair for pair in pairs if pair[0].lower() != b"content-length"]
    pairs.append((b"content-length", b"%d" % length))
    return pairs


class _Stream:
    """One streaming response on its way."""

    def __init__(
        self, response: Any, send: Send, extensions: Mapping[str, Any], config: HandlerConfig
    ) -> None:
        self.response = response
        self.send = send
        self.extensions = extensions
        self.config = config
        self.sent = 0
        declared = response.headers.get("content-length")
        self.declared = None if declared is None else int(declared)
        self._start: dict[str, Any] = {}
        self._starting: asyncio.Task[None] | None = None

    async def run(self, method: str) -> None:
        response, status = self.response, self.response.status_code
        pairs = header_pairs(response, self.config)
        cookies = cookie_pairs(response, self.config)
        self._start = {"type": _START, "status": status, "headers": pairs}
        if status in _WITHOUT_BODY or status == 205 or method == "HEAD":
            if status in _WITHOUT_BODY:
                self._start["headers"] = _bare(pairs, status)
            elif status == 205:
                self._start["headers"] = [*_bare(pairs, status), (b"content-length", b"0")]
            self._start["headers"] += cookies
            await self.send(self._start)
            await self.send({"type": _BODY, "body": b"", "more_body": False})
            return
        pairs += cookies
        trailers = self._offered_trailers()
        if not trailers and await self._hand_over_file():
            return
        if response.is_async:
            await self._send_async(response.streaming_content)
        else:
            await self._send_sync(response.streaming_content)
        if self.declared is not None and self.sent < self.declared:
            raise ContentLengthMismatch(
                f"declared content-length {self.declared}, but the stream ended after {self.sent}"
            )
        await self.send({"type": _BODY, "body": b"", "more_body": False})
        if trailers:
            await self._send_trailers()

    # The body, part by part.

    async def _send_async(self, content: Any) -> None:
        loop = asyncio.get_running_loop()
        iterator: AsyncIterator[Any] = aiter(content)
        # The iterator stays in this task; if its first part takes time, the start goes ahead.
        flush = loop.call_soon(self._start_now)
        try:
            async for part in iterator:
                if not self.sent:
                    flush.cancel()
                await self._part(part)
            await self._ensure_started()
        finally:
            flush.cancel()
            await self._settle_start()
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await close()

    async def _send_sync(self, content: Any) -> None:
        loop = asyncio.get_running_loop()
        flush = loop.call_later(_PATIENCE, self._start_now)
        from penstock.handler.batches import SyncParts

        parts = SyncParts(iter(content))
        try:
            async for batch in parts:
                flush.cancel()
                for part in batch:
                    await self._part(part)
            await self._ensure_started()
        finally:
            flush.cancel()
            await self._settle_start()
            await parts.aclose()

    async def _part(self, part: Any) -> None:
        if isinstance(part, str):
            part = part.encode(self.response.charset or "utf-8")
        size = len(part) if isinstance(part, bytes) else memoryview(part).nbytes
        if not size:
            return
        if self.declared is not None and self.sent + size > self.declared:
            raise ContentLengthMismatch(
                f"declared content-length {self.declared}, but the stream has at least"
                f" {self.sent + size} bytes"
            )
        await self._ensure_started()
        self.sent += size
        for piece in _pieces(part, size, self.config.chunk_size):
            await self.send({"type": _BODY, "body": piece, "more_body": True})

    # The start, which may have to leave before the first part is there.

    def _start_now(self) -> None:
        if self._starting is None:
            start: Any = self.send(self._start)
            self._starting = asyncio.get_running_loop().create_task(start)

    async def _ensure_started(self) -> None:
        if not self._start:
            return
        if self._starting is None:
            start, self._start = self._start, {}
            await self.send(start)
        else:
            await asyncio.shield(self._starting)
            self._start = {}

    async def _settle_start(self) -> None:
        """Leave no task behind: what ``send`` does with the start is over, one way or another."""
        if self._starting is not None:
            await settle(self._starting)

    # What servers can do better than we can.

    async def _hand_over_file(self) -> bool:
        """Let the server read the file, where it offers to (ASGI extensions)."""
        whole = getattr(self.response, "sendable_path", None)
        if whole is not None and "http.response.pathsend" in self.extensions:
            await self.send(self._start)
            await self.send({"type": "http.response.pathsend", "path": str(whole)})
            return True
        if "http.response.zerocopysend" in self.extensions:
            descriptor = getattr(self.response, "sendable_descriptor", None)
            found = None if descriptor is None else descriptor()
            if found is not None:
                file, offset, count = found
                await self.send(self._start)
                await self.send(
                    {
                        "type": "http.response.zerocopysend",
                        "file": file,
                        "offset": offset,
                        "count": count,
                        "more_body": False,
                    }
                )
                return True
        return False

    def _offered_trailers(self) -> bool:
        if getattr(self.response, "trailers", None) is None:
            return False
        if "http.response.trailers" not in self.extensions:
            logger.debug("trailers dropped: the server does not offer http.response.trailers")
            return False
        self._start["trailers"] = True
        return True

    async def _send_trailers(self) -> None:
        trailers = self.response.trailers
        if callable(trailers):
            trailers = trailers()
        headers = ResponseHeaders()
        for name, value in trailers.items() if hasattr(trailers, "items") else trailers:
            headers.add(name, value)
        await self.send(
            {"type": "http.response.trailers", "headers": headers.raw(), "more_trailers": False}
        )


def _pieces(part: Any, size: int, limit: int) -> Iterator[bytes]:
    if size <= limit:
        yield part if isinstance(part, bytes) else bytes(part)
        return
    view = memoryview(part).cast("B")
    for start in range(0, size, limit):
        yield bytes(view[start : start + limit])


def closed_at_once(response: Any) -> bool:
    """Close a response of ours that has nothing to close; whether it was one."""
    if isinstance(response, HttpResponseBase):
        response._handler_class = None  # noqa: SLF001
        if not response._resource_closers:  # noqa: SLF001
            response.closed = True
        return response.closed
    return False


async def close_response(response: Any) -> None:
    """Run the closers of a response that a handler has taken over; it sends no signal itself."""
    if isinstance(response, HttpResponseBase):
        response._handler_class = None  # noqa: SLF001
        await response.aclose()
        return
    if getattr(response, "closed", False):
        return
    closers = getattr(response, "_resource_closers", None)
    if closers is None:
        await in_request_thread(response.close)
        return
    # Django's own close() would send Django's request_finished, which the handler does.
    response.closed = True
    run, closers[:] = list(closers), []
    await in_request_thread(_run_all, run)


def _run_all(closers: list[Callable[[], object]]) -> None:
    for closer in closers:
        try:
            closer()
        except Exception:
            logger.exception("a closer of a response failed: %r", closer)
