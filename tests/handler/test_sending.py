"""From responses to messages: C136 to C148."""

from __future__ import annotations

import asyncio
import gc
import threading
import tracemalloc
from typing import TYPE_CHECKING, Any

import django.http
import pytest
from answers import Boom, answering
from asgi_calls import Server, exchange, http_scope, run, serve

from penstock.handler import ASGIHandler, HandlerConfig, HttpResponse, StreamingHttpResponse
from penstock.handler.exceptions import ContentLengthMismatch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.usefixtures("no_django")


def sync_parts(*parts: Any) -> Any:
    return lambda: StreamingHttpResponse(iter(parts))


def async_parts(*parts: Any) -> Any:
    async def content() -> AsyncIterator[Any]:
        for part in parts:
            yield part

    return lambda: StreamingHttpResponse(content())


@pytest.mark.conformance("C136")
def test_a_long_sync_stream_takes_little_memory() -> None:
    def content() -> Iterator[bytes]:
        for _ in range(1_000):
            yield bytes(65_536)

    async def main() -> int:
        size = 0

        async def receive() -> Any:
            return {"type": "http.request"}

        async def send(message: Any) -> None:
            nonlocal size
            size += len(message.get("body", b""))

        await answering(lambda: StreamingHttpResponse(content()))(http_scope(), receive, send)
        return size

    gc.collect()
    tracemalloc.start()
    try:
        assert 1_000 * 65_536 == run(main())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * 1024 * 1024


@pytest.mark.conformance("C137", "C138")
@pytest.mark.parametrize(
    "parts", [[b"a", b"", "é", memoryview(b"xyz"), bytearray(b"q")], [], [b""]]
)
def test_sync_and_async_streams_give_the_same_messages(parts: list[Any]) -> None:
    outs = [exchange(answering(make(*parts))).out for make in (sync_parts, async_parts)]
    assert outs[0] == outs[1]
    bodies = [message for message in outs[0] if message["type"] == "http.response.body"]
    assert {"type": "http.response.body", "body": b"", "more_body": False} == bodies.pop()
    assert all(body["body"] and body["more_body"] for body in bodies)
    expected = [part.encode() if isinstance(part, str) else bytes(part) for part in parts]
    assert [part for part in expected if part] == [body["body"] for body in bodies]
    assert all(type(body["body"]) is bytes for body in bodies)


@pytest.mark.conformance("C139")
def test_large_parts_are_split_and_content_is_not() -> None:
    data = bytes(range(256)) * 800
    data = data[:200_000]
    result = exchange(answering(async_parts(data)))
    sizes = [len(message["body"]) for message in result.out[1:]]
    assert [65_536, 65_536, 65_536, 3_392, 0] == sizes
    assert data == result.body
    assert 2 == len(exchange(answering(lambda: HttpResponse(data))).out)


def test_content_is_split_on_demand() -> None:
    async def view(request: Any) -> Any:
        return HttpResponse(b"x" * 25)

    result = exchange(ASGIHandler(view, config=HandlerConfig(content_chunk_size=10)))
    messages = [(len(message["body"]), message["more_body"]) for message in result.out[1:]]
    assert [(10, True), (10, True), (5, False)] == messages
    result = exchange(ASGIHandler(view, config=HandlerConfig(content_chunk_size=25)))
    assert 2 == len(result.out)


def failing_async(*parts: bytes) -> Any:
    async def content() -> AsyncIterator[bytes]:
        for part in parts:
            yield part
        raise Boom

    return content()


def failing_sync(*parts: bytes) -> Any:
    yield from parts
    raise Boom


@pytest.mark.conformance("C140")
@pytest.mark.parametrize("make", [failing_async, failing_sync])
def test_a_stream_that_fails_at_once_is_a_500(signals: Any, make: Any) -> None:
    closed: list[str] = []

    def response() -> Any:
        made = StreamingHttpResponse(make())
        made.add_closer(lambda: closed.append("closer"))
        return made

    result = exchange(answering(response))
    assert (500, None) == (result.status, result.error)
    assert result.is_complete
    assert ["started", "failed", "finished"] == signals.names
    assert ["closer"] == closed


@pytest.mark.conformance("C141")
@pytest.mark.parametrize("make", [failing_async, failing_sync])
def test_a_stream_that_fails_later_is_cut_short(signals: Any, make: Any) -> None:
    closed: list[str] = []

    def response() -> Any:
        made = StreamingHttpResponse(make(b"part"))
        made.add_closer(lambda: closed.append("closer"))
        return made

    result = exchange(answering(response))
    assert isinstance(result.error, Boom)
    assert b"part" == result.body
    assert not result.is_complete
    assert ["started", "failed", "finished"] == signals.names
    assert ["error"] == signals.outcomes
    assert ["closer"] == closed


@pytest.mark.conformance("C142")
@pytest.mark.parametrize("parts", [sync_parts, async_parts])
@pytest.mark.parametrize(("declared", "body"), [("3", b"ab"), ("20", b"abcd")])
def test_a_stream_is_held_to_its_length(parts: Any, declared: str, body: bytes) -> None:
    def response() -> Any:
        made = parts(b"ab", b"cd")()
        made["Content-Length"] = declared
        return made

    result = exchange(answering(response))
    assert isinstance(result.error, ContentLengthMismatch)
    assert body == result.body
    assert not result.is_complete


def test_a_stream_of_its_declared_length_is_fine() -> None:
    def response() -> Any:
        made = async_parts(b"ab", b"cd")()
        made["Content-Length"] = "4"
        return made

    result = exchange(answering(response))
    assert ("4", b"abcd", True) == (
        result.header("content-length"),
        result.body,
        result.is_complete,
    )
    assert exchange(answering(async_parts(b"ab"))).header("content-length") is None


@pytest.mark.conformance("C143")
def test_a_wrong_length_of_content_is_corrected(caplog: pytest.LogCaptureFixture) -> None:
    result = exchange(answering(lambda: HttpResponse("abc", headers={"Content-Length": "99"})))
    assert [b"3"] == [value for name, value in result.headers if name == b"content-length"]
    assert "content-length corrected" in caplog.text


class Untouched:
    """An iterator that tells whether it was started and closed."""

    def __init__(self) -> None:
        self.started = self.closed = False

    def __iter__(self) -> Untouched:
        return self

    def __next__(self) -> bytes:
        self.started = True
        raise StopIteration

    def close(self) -> None:
        self.closed = True


@pytest.mark.conformance("C144")
def test_head_has_the_headers_of_get_and_no_body(tmp_path: Any) -> None:
    from penstock.handler import FileResponse, JsonResponse

    (tmp_path / "file.txt").write_bytes(b"content")
    makers = [
        lambda: HttpResponse("text"),
        lambda: JsonResponse({"a": 1}),
        lambda: StreamingHttpResponse([b"x"], headers={"Content-Length": "1"}),
        lambda: FileResponse(tmp_path / "file.txt"),
    ]
    for make in makers:
        get = exchange(answering(make))
        head = exchange(answering(make), method="HEAD")
        assert get.headers == head.headers
        assert (b"", True) == (head.body, head.is_complete)
        assert get.body
    untouched = Untouched()
    exchange(answering(lambda: StreamingHttpResponse(untouched)), method="HEAD")
    assert (False, True) == (untouched.started, untouched.closed)


@pytest.mark.conformance("C145")
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("status", "length", "has_type"),
    [(204, None, False), (304, "7", False), (205, "0", True), (102, None, True)],
)
def test_statuses_without_a_body(
    status: int, length: str | None, has_type: bool, stream: bool
) -> None:
    def response() -> Any:
        headers = {"Content-Length": "7", "Content-Type": "text/plain"}
        made: Any = StreamingHttpResponse([b"content"], headers=headers)
        if not stream:
            made = HttpResponse("content", headers=headers)
        made.status_code = status
        return made

    result = exchange(answering(response))
    assert (status, b"", length) == (result.status, result.body, result.header("content-length"))
    assert has_type == (result.header("content-type") is not None)
    assert 2 == len(result.out)


@pytest.mark.conformance("C145")
def test_101_is_sent_as_it_is() -> None:
    assert 101 == exchange(answering(lambda: HttpResponse(status=101))).status


@pytest.mark.conformance("C146")
@pytest.mark.parametrize("mode", ["async", "sync"])
def test_the_start_does_not_wait_for_a_slow_first_part(mode: str) -> None:
    async def main() -> Any:
        started = asyncio.Event()
        gate = threading.Event()

        async def content() -> AsyncIterator[bytes]:
            await started.wait()  # only goes on once the start was sent
            yield b"part"

        def sync_content() -> Iterator[bytes]:
            gate.wait()
            yield b"part"

        def on_send(message: dict[str, Any]) -> None:
            started.set()
            gate.set()

        async def view(request: Any) -> Any:
            return StreamingHttpResponse(content() if mode == "async" else sync_content())

        return await serve(ASGIHandler(view), http_scope(), Server(on_send=on_send))

    result = run(main())
    assert (200, b"part", True) == (result.status, result.body, result.is_complete)


def test_a_part_is_not_held_back_by_the_next_one() -> None:
    """A sync iterator that blocks after a part: the part is on its way meanwhile."""
    gate = threading.Event()

    def content() -> Iterator[bytes]:
        yield b"event"
        gate.wait()
        yield b"after"

    def on_send(message: dict[str, Any]) -> None:
        if message.get("body") == b"event":
            gate.set()

    result = exchange(answering(lambda: StreamingHttpResponse(content())), on_send=on_send)
    assert b"eventafter" == result.body


@pytest.mark.conformance("C147")
def test_responses_of_django_are_sent_and_closed(signals: Any) -> None:
    from django.conf import settings

    if not settings.configured:
        settings.configure()
    closed: list[str] = []

    class Content:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"a", b"b"])

        def close(self) -> None:
            closed.append("content")

    def plain() -> Any:
        response = django.http.HttpResponse("plain", headers={"X-One": "1"})
        response.set_cookie("a", "1")
        response._resource_closers.append(lambda: closed.append("plain"))
        return response

    result = exchange(answering(plain))
    assert (b"plain", "1", "5") == (
        result.body,
        result.header("x-one"),
        result.header("content-length"),
    )
    assert "a=1; Path=/" == result.header("set-cookie")
    streamed = exchange(answering(lambda: django.http.StreamingHttpResponse(Content())))
    assert b"ab" == streamed.body
    assert ["plain", "content"] == closed
    assert ["complete", "complete"] == signals.outcomes


@pytest.mark.conformance("C148")
@pytest.mark.parametrize("trailers", [[("X-Sum", "1")], lambda: {"X-Sum": "1"}])
def test_trailers(trailers: Any) -> None:
    def response() -> Any:
        made = async_parts(b"a")()
        made.trailers = trailers
        return made

    offered = exchange(answering(response), extensions={"http.response.trailers": {}})
    assert offered.out[0]["trailers"] is True
    assert {
        "type": "http.response.trailers",
        "headers": [(b"x-sum", b"1")],
        "more_trailers": False,
    } == offered.out[-1]
    dropped = exchange(answering(response))
    assert "trailers" not in dropped.out[0]
    assert dropped.is_complete


def test_header_case_is_kept_on_demand() -> None:
    async def view(request: Any) -> Any:
        response = HttpResponse(headers={"X-Some-Name": "1"})
        response.set_cookie("a", "1")
        return response

    kept = exchange(ASGIHandler(view, config=HandlerConfig(preserve_header_case=True)))
    assert {b"X-Some-Name", b"Set-Cookie"} < {name for name, _ in kept.headers}
    lower = exchange(ASGIHandler(view))
    assert {b"x-some-name", b"set-cookie"} < {name for name, _ in lower.headers}
    assert b"set-cookie" != lower.headers[0][0]
