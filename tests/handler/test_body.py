"""Request bodies: C070 to C084."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
from typing import Any

import pytest
from asgi_calls import END, GONE, Server, exchange, http_scope, parts, run, serve
from hypothesis import given
from hypothesis import strategies as st

from penstock.handler import (
    ASGIHandler,
    HandlerConfig,
    HttpResponse,
    JsonResponse,
    RawPostDataException,
    RequestAborted,
    SynchronousOnlyOperation,
    UnreadablePostError,
    path,
)
from penstock.handler.request import ASGIRequest

pytestmark = pytest.mark.usefixtures("no_django")
FORM = [(b"content-type", b"application/x-www-form-urlencoded")]
MULTIPART = [(b"content-type", b"multipart/form-data; boundary=b")]
MULTIPART_BODY = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n'


async def echo(request: Any) -> HttpResponse:
    return HttpResponse(await request.abody())


@pytest.mark.conformance("C070")
@pytest.mark.parametrize("count", [1, 2, 100])
@pytest.mark.parametrize("threshold", [0, 150, 10_000])
def test_a_body_in_parts_is_their_concatenation(count: int, threshold: int) -> None:
    pieces = [bytes([number % 256]) * 3 for number in range(count)]
    handler = ASGIHandler(echo, config=HandlerConfig(file_upload_max_memory_size=threshold))
    result = exchange(handler, method="POST", messages=parts(*pieces))
    assert b"".join(pieces) == result.body


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=8), st.integers(0, 60))
@pytest.mark.conformance("C070")
def test_any_parts_and_any_threshold(pieces: list[bytes], threshold: int) -> None:
    handler = ASGIHandler(echo, config=HandlerConfig(file_upload_max_memory_size=threshold))
    assert b"".join(pieces) == exchange(handler, method="POST", messages=parts(*pieces)).body


@pytest.mark.conformance("C071")
def test_keys_that_are_missing() -> None:
    messages = [{"type": "http.request", "more_body": True}, {"type": "http.request"}]
    assert b"" == exchange(ASGIHandler(echo), method="POST", messages=messages).body


@pytest.mark.conformance("C072")
def test_the_spool_threshold() -> None:
    seen: list[Any] = []

    async def view(request: Any) -> HttpResponse:
        seen.append(request._source)
        return HttpResponse()

    handler = ASGIHandler(view, config=HandlerConfig(file_upload_max_memory_size=10))
    exchange(handler, method="POST", messages=parts(b"x" * 5, b"y" * 5))
    exchange(handler, method="POST", messages=parts(b"x" * 5, b"y" * 6))
    assert [False, True] == [source.rolled for source in seen]
    assert [True, True] == [source.closed for source in seen]
    gc.collect()


@pytest.mark.conformance("C073")
def test_a_small_body_needs_no_temporary_file() -> None:
    program = """
import asyncio, sys
from penstock.handler import ASGIHandler, HttpResponse
async def view(request): return HttpResponse(request.body)
async def receive(): return {"type": "http.request", "body": b"small"}
async def send(message): pass
scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b""}
asyncio.run(ASGIHandler(view)(scope, receive, send))
print(sorted({"tempfile", "multipart", "email", "http.client", "mimetypes"} & sys.modules.keys()))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ("[]\n", "") == (done.stdout, done.stderr)


@pytest.mark.conformance("C074")
def test_a_body_on_disk_is_written_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    writers: set[int] = set()
    write = os.write

    def watched(descriptor: int, data: Any) -> int:
        if len(data) > 1:  # a loop wakes itself up with single bytes
            writers.add(threading.get_ident())
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", watched)
    handler = ASGIHandler(echo, config=HandlerConfig(file_upload_max_memory_size=10))
    result = exchange(handler, method="POST", messages=parts(*[b"x" * 20] * 5))
    assert b"x" * 100 == result.body
    assert writers
    assert threading.get_ident() not in writers


@pytest.mark.conformance("C075")
@pytest.mark.parametrize("declared", [True, False])
def test_too_large_a_body_is_a_413_only_where_it_is_read(declared: bool) -> None:
    async def ignores(request: Any) -> HttpResponse:
        return HttpResponse("fine")

    def reads(request: Any) -> HttpResponse:
        return HttpResponse(request.body)

    config = HandlerConfig(data_upload_max_memory_size=10)
    sent: list[Any] = [(b"content-length", b"11")] if declared else []
    body = b"x" * 11
    for view, status in ((ignores, 200), (reads, 413), (echo, 413)):
        handler = ASGIHandler(view, config=config)
        assert status == exchange(handler, method="POST", body=body, headers=sent).status
    assert 200 == exchange(ASGIHandler(reads, config=config), method="POST", body=b"x" * 10).status


@pytest.mark.conformance("C076")
def test_max_body_size_ends_the_receiving() -> None:
    handler = ASGIHandler(echo, config=HandlerConfig(max_body_size=15))
    result = exchange(handler, method="POST", messages=parts(*[b"x" * 10] * 10))
    assert (413, 2) == (result.status, result.received)
    assert result.is_complete


def made(body: bytes, headers: Any = ()) -> ASGIRequest:
    return ASGIRequest(http_scope(method="POST", headers=list(headers)), body)


@pytest.mark.conformance("C077")
def test_orders_of_reading() -> None:
    request = made(b"abc")
    assert (b"abc", b"abc", b"") == (request.body, request.read(), request.read())
    request = made(b"abc")
    assert b"a" == request.read(1)
    with pytest.raises(RawPostDataException):
        _ = request.body
    request = made(b"a=1", FORM)
    assert (b"a=1", "1") == (request.body, request.POST["a"])
    request = made(b"a=1", FORM)
    assert ("1", b"a=1") == (request.POST["a"], request.body)
    request = made(MULTIPART_BODY, MULTIPART)
    assert "1" == request.POST["a"]
    with pytest.raises(RawPostDataException):
        _ = request.body
    request = made(MULTIPART_BODY, MULTIPART)
    assert (MULTIPART_BODY, "1") == (request.body, request.POST["a"])
    request = made(b"a=1", FORM)
    request.read(1)
    assert ({}, {}) == (dict(request.POST), dict(request.FILES))


@pytest.mark.conformance("C078")
def test_file_semantics() -> None:
    text = b"one\ntwo\nthree"
    assert [b"one\n", b"two\n", b"three"] == list(made(text)) == made(text).readlines()
    request = made(text)
    assert (b"one\n", b"tw", b"o\nthr") == (
        request.readline(),
        request.readline(2),
        request.read(5),
    )


@pytest.mark.conformance("C079")
@pytest.mark.parametrize("attribute", ["body", "POST", "FILES"])
@pytest.mark.parametrize("headers", [FORM, MULTIPART])
def test_a_stream_that_fails(attribute: str, headers: Any) -> None:
    class Broken:
        size = 5

        def read(self, size: int = -1) -> bytes:
            raise OSError("disk")

    request = ASGIRequest(http_scope(method="POST", headers=headers), Broken())
    with pytest.raises(UnreadablePostError, match="disk"):
        getattr(request, attribute)


@pytest.mark.conformance("C080")
def test_a_slow_sender_is_a_408(signals: Any) -> None:
    handler = ASGIHandler(echo, config=HandlerConfig(body_receive_timeout=0.01))
    for messages in ([], parts(b"a", b"b")[:1]):
        result = exchange(handler, method="POST", messages=messages)
        assert 408 == result.status
        assert result.error is None
    assert ["complete", "complete"] == signals.outcomes


@pytest.mark.conformance("C081")
def test_a_length_that_was_not_sent_is_filled_in() -> None:
    async def view(request: Any) -> HttpResponse:
        return HttpResponse(request.META.get("CONTENT_LENGTH", "none"))

    handler = ASGIHandler(view)
    assert b"6" == exchange(handler, method="POST", messages=parts(b"abc", b"def")).body
    assert b"3" == exchange(handler, method="POST", body=b"abc").body
    assert b"none" == exchange(handler).body


STREAM = HandlerConfig(body_mode="stream")


@pytest.mark.conformance("C082")
def test_a_streamed_body_arrives_while_the_view_runs(signals: Any) -> None:
    async def main() -> Any:
        server = Server(parts(b"one", b"two", b"three")[:1])
        seen: list[bytes] = []

        async def view(request: Any) -> HttpResponse:
            assert ["started"] == signals.names
            async for part in request.astream():
                seen.append(part)
                if len(seen) < 3:
                    server.add(parts(b"one", b"two", b"three")[len(seen)])
            return HttpResponse(b",".join(seen))

        return await serve(ASGIHandler(view, config=STREAM), http_scope(method="POST"), server)

    assert b"one,two,three" == run(main()).body


@pytest.mark.conformance("C082")
def test_a_disconnect_reaches_the_reader(signals: Any) -> None:
    seen: list[str] = []

    async def view(request: Any) -> HttpResponse:
        try:
            await request.abody()
        except RequestAborted:
            seen.append("aborted")
            raise
        raise AssertionError

    messages = [*parts(b"a", b"b")[:1], GONE]
    result = exchange(ASGIHandler(view, config=STREAM), method="POST", messages=messages)
    assert (["aborted"], [], None) == (seen, result.out, result.error)
    assert ["disconnect"] == signals.outcomes
    assert [] == signals.of("failed")


def test_one_route_may_stream_alone() -> None:
    async def main() -> None:
        async def streamed(request: Any) -> HttpResponse:
            server.add(END)
            return HttpResponse(await request.abody())

        handler = ASGIHandler([path("spool", echo), path("stream", streamed, stream_body=True)])
        server = Server(parts(b"one", b"")[:1])
        result = await serve(handler, http_scope("/stream", "POST"), server)
        assert b"one" == result.body
        server = Server(parts(b"one", b"two"))
        assert b"onetwo" == (await serve(handler, http_scope("/spool", "POST"), server)).body

    run(main())


@pytest.mark.conformance("C083")
def test_a_sync_view_reads_a_streamed_body() -> None:
    def view(request: Any) -> HttpResponse:
        first = request.read(2)
        line = request.readline()
        return HttpResponse(b"|".join([first, line, request.read()]))

    messages = parts(b"a", b"bc", b"d\ne", b"f")
    result = exchange(ASGIHandler(view, config=STREAM), method="POST", messages=messages)
    assert b"ab|cd\n|ef" == result.body


@pytest.mark.conformance("C083")
def test_sync_reading_on_the_loop_is_refused(signals: Any) -> None:
    async def view(request: Any) -> HttpResponse:
        with pytest.raises(SynchronousOnlyOperation):
            request.read()
        return HttpResponse(await request.aread())

    result = exchange(
        ASGIHandler(view, config=STREAM), method="POST", messages=parts(b"abc", b"def")
    )
    assert b"abcdef" == result.body


def test_a_streamed_body_that_nobody_reads() -> None:
    async def view(request: Any) -> HttpResponse:
        return HttpResponse("x")

    result = exchange(ASGIHandler(view, config=STREAM), method="POST", messages=parts(b"a", b"b"))
    assert (200, 1) == (result.status, result.received)


def test_a_streamed_body_obeys_max_body_size() -> None:
    config = HandlerConfig(body_mode="stream", max_body_size=3)
    result = exchange(
        ASGIHandler(echo, config=config), method="POST", messages=parts(b"ab", b"cd", b"ef")
    )
    assert (413, 2) == (result.status, result.received)


def test_a_disconnect_after_a_streamed_body_is_noticed(signals: Any) -> None:
    async def view(request: Any) -> HttpResponse:
        await request.abody()
        await asyncio.Event().wait()
        raise AssertionError

    messages = [*parts(b"a", b"b"), GONE]
    result = exchange(ASGIHandler(view, config=STREAM), method="POST", messages=messages)
    assert [] == result.out
    assert ["disconnect"] == signals.outcomes


@pytest.mark.conformance("C084")
@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_a_400(body: bytes) -> None:
    async def view(request: Any) -> JsonResponse:
        return JsonResponse(await request.ajson(), safe=False)

    handler = ASGIHandler(view)
    assert 400 == exchange(handler, method="POST", body=body).status
    assert b'{"a": 1}' == exchange(handler, method="POST", body=b'{"a":1}').body
