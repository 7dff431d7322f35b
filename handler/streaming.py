"""Responses whose body is produced while it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from penstock.handler.base_response import HttpResponseBase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

_END = object()


class StreamingHttpResponse(HttpResponseBase):
    """A response with a sync or async iterable of parts as its body, read once.

    Middleware may replace ``streaming_content`` by an iterable around the old one; ``close`` and
    ``aclose`` of each are called when the response is closed, also if it was never iterated.

    ``trailers`` is ``None``, pairs of name and value, or a function that returns such pairs once
    the body is complete; they are sent where the server can (ASGI extension
    http.response.trailers).
    """

    streaming = True
    is_async: bool
    trailers: Iterable[tuple[str, Any]] | Callable[[], Iterable[tuple[str, Any]]] | None = None

    def __init__(self, streaming_content: Any = (), *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.streaming_content = streaming_content

    @property
    def content(self) -> NoReturn:
        """There is none: AttributeError."""
        raise AttributeError(f"{type(self).__name__} has no content; read streaming_content, once")

    @property
    def text(self) -> NoReturn:
        """There is none: AttributeError."""
        raise AttributeError(f"{type(self).__name__} has no text; read streaming_content, once")

    @property
    def streaming_content(self) -> Any:
        """The parts as bytes: an async iterator if ``is_async``, else an iterator."""
        if self.is_async:
            return _AsyncBytes(self._iterator, self.make_bytes)
        return map(self.make_bytes, self._iterator)

    @streaming_content.setter
    def streaming_content(self, parts: Any) -> None:
        self._set_streaming_content(parts)

    def _set_streaming_content(self, parts: Any) -> None:
        self._iterator: Any
        if hasattr(type(parts), "__aiter__") and not hasattr(type(parts), "__iter__"):
            self._iterator, self.is_async = aiter(parts), True
        else:
            self._iterator, self.is_async = iter(parts), False
        for source in {id(one): one for one in (parts, self._iterator)}.values():
            close = getattr(source, "aclose" if self.is_async else "close", None)
            if close is None and self.is_async:
                close = getattr(source, "close", None)
            if close is not None:
                self._resource_closers.append(close)

    def __iter__(self) -> Iterator[bytes]:
        """The parts one by one; those of an async iterable too, off the event loop's thread."""
        if self.is_async:
            return map(self.make_bytes, _blocking(self._iterator))
        return iter(self.streaming_content)

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The parts one by one; those of a sync iterable too, pulled in the request's thread."""
        iterator = self._iterator if self.is_async else Pulled(self._iterator)
        return _AsyncBytes(iterator, self.make_bytes)

    def getvalue(self) -> bytes:
        """Every part that is left, joined."""
        return b"".join(self)


class _AsyncBytes:
    """Parts as bytes. No generator: it needs no closing of its own, and passes closing on."""

    def __init__(self, iterator: Any, make_bytes: Callable[[object], bytes]) -> None:
        self._iterator = iterator
        self._make_bytes = make_bytes

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return self._make_bytes(await anext(self._iterator))

    async def aclose(self) -> None:
        """Close the iterable below, if it can be closed."""
        close = getattr(self._iterator, "aclose", None)
        if close is not None:
            await close()


class Pulled:
    """A sync iterator as an async one, pulled in the request's thread."""

    def __init__(self, iterator: Iterator[Any]) -> None:
        self._iterator = iterator

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        from penstock.handler.hops import in_request_thread

        part = await in_request_thread(next, self._iterator, _END)
        if part is _END:
            raise StopAsyncIteration
        return part

    async def aclose(self) -> None:
        """Close the iterator there too, if it can be closed."""
        from penstock.handler.hops import in_request_thread

        close = getattr(self._iterator, "close", None)
        if close is not None:
            await in_request_thread(close)


def _blocking(iterator: AsyncIterator[Any]) -> Iterator[Any]:
    """Drive an async iterator from sync code, all of it on one loop.

    In a thread that was started for a request this is the request's loop, which the iterator may
    be bound to; elsewhere a loop of its own.
    """
    import asyncio

    from asgiref.sync import SyncToAsync, async_to_sync

    async def step() -> Any:
        return await anext(iterator, _END)

    loop = getattr(SyncToAsync.threadlocal, "main_event_loop", None)
    if loop is not None and loop.is_running():  # asgiref leaves one behind that has been closed
        pull = async_to_sync(step)
        while (part := pull()) is not _END:
            yield part
        return
    with asyncio.Runner() as runner:
        while (part := runner.run(step())) is not _END:
            yield part
