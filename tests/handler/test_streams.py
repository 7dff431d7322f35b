"""Streaming responses and server-sent events as objects."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from hypothesis import given
from hypothesis import strategies as st

from penstock.handler.event_stream import EventStreamResponse, event_frame
from penstock.handler.streaming import StreamingHttpResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


class Source:
    """A generator's twin that counts how often it is closed."""

    def __init__(self, *parts: Any) -> None:
        self.parts = iter(parts)
        self.closed = 0

    def __iter__(self) -> Source:
        return self

    def __next__(self) -> Any:
        return next(self.parts)

    def close(self) -> None:
        self.closed += 1


class AsyncSource:
    """The same, async."""

    def __init__(self, *parts: Any) -> None:
        self.parts = iter(parts)
        self.closed = 0

    def __aiter__(self) -> AsyncSource:
        return self

    async def __anext__(self) -> Any:
        await asyncio.sleep(0)
        try:
            return next(self.parts)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        self.closed += 1


async def collect(parts: Any) -> list[bytes]:
    return [part async for part in parts]


@pytest.mark.conformance("C135")
def test_a_stream_is_read_once_and_has_no_content() -> None:
    response = StreamingHttpResponse(["a", b"b", memoryview(b"c"), 4])
    assert (response.streaming, response.is_async) == (True, False)
    assert list(response.streaming_content) == [b"a", b"b", b"c", b"4"]
    assert list(response) == []
    for name in ("content", "text"):
        with pytest.raises(AttributeError, match="streaming_content"):
            getattr(response, name)
    assert StreamingHttpResponse("é", charset="latin-1").getvalue() == b"\xe9"


@pytest.mark.conformance("C135")
def test_middleware_may_wrap_and_every_layer_is_closed_once() -> None:
    source = Source("a", "b")
    response = StreamingHttpResponse(source)
    closed = []

    def upper(parts: Iterator[bytes]) -> Iterator[bytes]:
        try:
            for part in parts:
                yield part.upper()
        finally:
            closed.append("wrapper")

    response.streaming_content = upper(response.streaming_content)
    iterator = iter(response)
    assert next(iterator) == b"A"
    response.close()
    response.close()
    assert (source.closed, closed) == (1, ["wrapper"])


@pytest.mark.conformance("C135")
def test_async_layers_are_closed_too_also_when_they_never_started() -> None:
    async def main() -> None:
        source = AsyncSource("a", "b")
        response = StreamingHttpResponse(source)
        closed = []

        async def upper(parts: Any) -> AsyncIterator[bytes]:
            try:
                async for part in parts:
                    yield part.upper()
            finally:
                closed.append("wrapper")

        response.streaming_content = upper(response.streaming_content)
        iterator = aiter(response)
        assert await anext(iterator) == b"A"
        await response.aclose()
        assert (source.closed, closed) == (1, ["wrapper"])
        untouched = AsyncSource("a")
        response = StreamingHttpResponse(untouched)
        await response.aclose()
        await response.aclose()
        assert untouched.closed == 1

    asyncio.run(main())


def test_either_kind_can_be_read_either_way() -> None:
    """Step by step: the next part is pulled when it is asked for."""

    async def main() -> None:
        pulled = []

        def parts() -> Iterator[str]:
            for number in range(3):
                pulled.append(number)
                yield str(number)

        iterator = aiter(StreamingHttpResponse(parts()))
        assert await anext(iterator) == b"0"
        assert pulled == [0]
        assert await collect(iterator) == [b"1", b"2"]
        response = StreamingHttpResponse(AsyncSource("a", "b"))
        assert await sync_to_async(lambda: list(response))() == [b"a", b"b"]

    asyncio.run(main())
    assert list(StreamingHttpResponse(AsyncSource("a", "b"))) == [b"a", b"b"]
    assert StreamingHttpResponse(AsyncSource("a", "b")).getvalue() == b"ab"


def test_an_async_generator_is_driven_by_one_loop_from_sync_code() -> None:
    loops = set()

    async def parts() -> AsyncIterator[str]:
        for part in "abc":
            loops.add(asyncio.get_running_loop())
            yield part

    assert list(StreamingHttpResponse(parts())) == [b"a", b"b", b"c"]
    assert len(loops) == 1
    loops.clear()

    async def main() -> bytes:
        response = StreamingHttpResponse(parts())
        loops.add(asyncio.get_running_loop())
        return bytes(await sync_to_async(response.getvalue)())

    assert async_to_sync(main)() == b"abc"
    assert len(loops) == 1


@pytest.mark.conformance("C136")
def test_a_long_stream_needs_little_memory() -> None:
    def parts() -> Iterator[bytes]:
        for number in range(1000):
            yield bytes([number % 256]) * 65_536

    async def main() -> int:
        size = 0
        async for part in StreamingHttpResponse(parts()):
            size += len(part)
        return size

    tracemalloc.start()
    try:
        assert asyncio.run(main()) == 65_536_000
        assert tracemalloc.get_traced_memory()[1] < 4_194_304
    finally:
        tracemalloc.stop()


@pytest.mark.conformance("C149")
def test_event_frames() -> None:
    assert event_frame("a") == b"data: a\n\n"
    assert event_frame("a\nb\r\nc\rd") == b"data: a\ndata: b\ndata: c\ndata: d\n\n"
    assert event_frame("") == b"data: \n\n"
    assert event_frame({"a": "é"}) == b'data: {"a": "\\u00e9"}\n\n'
    assert (
        event_frame("x", event="tick", id="7", retry=3000)
        == b"id: 7\nevent: tick\nretry: 3000\ndata: x\n\n"
    )
    assert event_frame(id=7) == b"id: 7\n\n"
    for wrong in ("a\nb", "a\rb"):
        with pytest.raises(ValueError, match="line breaks"):
            event_frame("x", event=wrong)
        with pytest.raises(ValueError, match="line breaks"):
            event_frame("x", id=wrong)
    with pytest.raises(ValueError, match="NUL"):
        event_frame("x", id="\0")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_one_event_with_the_same_text(text: str) -> None:
    """Read as HTML Standard 9.2.6 says: lines of data are joined with a line feed."""
    lines = event_frame(text).decode().split("\n")
    assert lines[-2:] == ["", ""]
    assert all(line.startswith("data: ") for line in lines[:-2])
    data = "\n".join(line.removeprefix("data: ") for line in lines[:-2])
    assert data == text.replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.conformance("C149")
@pytest.mark.parametrize("kind", [Source, AsyncSource])
@pytest.mark.parametrize("ping", [None, 60])
def test_event_streams(kind: Any, ping: float | None) -> None:
    async def main() -> None:
        source = kind("a", {"data": "b", "event": "e"}, b": raw\n\n", ["json"])
        response = EventStreamResponse(source, ping=ping)
        assert response.is_async
        assert response["Content-Type"] == "text/event-stream; charset=utf-8"
        assert (response["cache-control"], response["x-accel-buffering"]) == ("no-cache", "no")
        assert await collect(response) == [
            b"data: a\n\n",
            b"event: e\ndata: b\n\n",
            b": raw\n\n",
            b'data: ["json"]\n\n',
        ]
        await response.aclose()
        assert source.closed == 1

    asyncio.run(main())


@pytest.mark.conformance("C149")
def test_a_pause_is_filled_with_comments_and_loses_no_event() -> None:
    async def main() -> None:
        more = asyncio.Event()
        ended = []

        async def events() -> AsyncIterator[str]:
            try:
                yield "first"
                await more.wait()
                yield "second"
            finally:
                ended.append(asyncio.current_task())

        response = EventStreamResponse(events(), ping=0.001)
        frames = aiter(response)
        assert await anext(frames) == b"data: first\n\n"
        assert [await anext(frames) for _ in range(3)] == [b": \n\n"] * 3
        more.set()
        while (frame := await anext(frames)) == b": \n\n":
            pass
        assert frame == b"data: second\n\n"
        await response.aclose()
        assert len(ended) == 1

    asyncio.run(main())


def test_an_event_stream_that_is_dropped_ends_its_task_and_its_source() -> None:
    async def main() -> None:
        started, ended = asyncio.Event(), asyncio.Event()

        async def events() -> AsyncIterator[str]:
            try:
                yield "a"
                started.set()
                await asyncio.Event().wait()
            finally:
                ended.set()

        response = EventStreamResponse(events())
        assert await anext(aiter(response)) == b"data: a\n\n"
        await started.wait()
        await response.aclose()
        assert ended.is_set()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        never = AsyncSource("a")
        response = EventStreamResponse(never)
        await response.aclose()
        assert never.closed == 1

    asyncio.run(main())


def test_an_error_among_the_events_reaches_who_reads_them() -> None:
    async def events() -> AsyncIterator[str]:
        yield json.dumps("a")
        raise RuntimeError("no more")

    async def main() -> None:
        response = EventStreamResponse(events())
        frames = aiter(response)
        assert await anext(frames) == b'data: "a"\n\n'
        with pytest.raises(RuntimeError, match="no more"):
            await anext(frames)
        await response.aclose()

    asyncio.run(main())
