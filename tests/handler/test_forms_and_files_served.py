"""Forms, files, conditions and compression through the whole handler, at message level."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import tracemalloc
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from asgi_calls import END, Server, exchange, http_scope, parts, run, serve

from penstock.handler import (
    ASGIHandler,
    EventStreamResponse,
    FileResponse,
    HandlerConfig,
    HttpResponse,
    JsonResponse,
    StreamingHttpResponse,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FORM = b"multipart/form-data; boundary=b"


def form_of(*parts: tuple[str, bytes, str | None]) -> bytes:
    body = b""
    for name, content, filename in parts:
        file = "" if filename is None else f'; filename="{filename}"'
        head = f'--b\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
        body += head.encode() + content + b"\r\n"
    return body + b"--b--\r\n"


def posted(app: Any, body: bytes, content_type: bytes = FORM) -> Any:
    pieces = [body[start : start + 1000] for start in range(0, len(body), 1000)] or [b""]
    headers = [(b"content-type", content_type)]
    return exchange(app, method="POST", headers=headers, messages=parts(*pieces))


def upload_files() -> list[str]:
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(descriptor.readlink()))
        except OSError:  # the one that lists them
            continue
    return [name for name in found if ".upload" in name or name.startswith("/tmp/tmp")]


def sync_view(request: Any) -> JsonResponse:
    fields = dict(request.POST.lists())
    return JsonResponse({"fields": fields, "files": described(request.FILES)})


async def async_view(request: Any) -> JsonResponse:
    await request.aform()
    return sync_view(request)


def described(files: Any) -> dict[str, Any]:
    return {name: [(file.name, file.size) for file in held] for name, held in files.lists()}


views = pytest.mark.parametrize("view", [sync_view, async_view])


@pytest.mark.conformance("C088", "C089", "C095")
@views
@pytest.mark.parametrize("limit", [100, 1_000_000])
def test_a_form_is_read_and_its_files_are_closed_after_the_response(view: Any, limit: int) -> None:
    uploads: list[Any] = []

    async def keep(request: Any) -> Any:
        response = await view(request) if view is async_view else view(request)
        uploads.extend(request.FILES.getlist("f"))
        return response

    def keep_sync(request: Any) -> Any:
        response = view(request)
        uploads.extend(request.FILES.getlist("f"))
        return response

    config = HandlerConfig(file_upload_max_memory_size=limit)
    app = ASGIHandler(keep if view is async_view else keep_sync, config=config)
    body = form_of(("a", b"1", None), ("f", b"x" * 5000, "x.bin"), ("f", b"y", "y"))
    result = posted(app, body)
    assert result.status == 200
    assert result.body == b'{"fields": {"a": ["1"]}, "files": {"f": [["x.bin", 5000], ["y", 1]]}}'
    assert [upload.closed for upload in uploads] == [True, True]
    assert upload_files() == []


@pytest.mark.conformance("C086", "C090", "C091", "C092", "C094", "C097")
@views
@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"a=1", b"application/x-www-form-urlencoded; charset=latin-1", 400),
        (form_of(("f", b"x" * 5000, "x"))[:-8], FORM, 400),
        (form_of(("f", b"x" * 5000, "x"), ("g", b"y" * 5000, "y"))[:7000], FORM, 400),
        (form_of(), b"multipart/form-data", 400),
        (form_of(), b"multipart/form-data; boundary=\xe9", 400),
        (form_of(*[("f", b"x" * 200, "x")] * 101), FORM, 400),
        (form_of(*[("a", b"1", None)] * 1001), FORM, 400),
        (form_of(("f", b"x" * 5000, "x"), ("a", b"1" * 20_000, None)), FORM, 413),
        (form_of(("f", b"x" * 5000, "x"), ("a" * 5000, b"1", None)), FORM, 400),
    ],
)
def test_bad_forms_are_refused_and_nothing_stays_open(
    view: Any, body: bytes, content_type: bytes, status: int
) -> None:
    config = HandlerConfig(file_upload_max_memory_size=100, data_upload_max_memory_size=20_000)
    result = posted(ASGIHandler(view, config=config), body, content_type)
    assert result.status == status
    assert upload_files() == []


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.css"
    path.write_bytes(bytes(range(256)) * 4)
    return path


def serving(path: Any, **settings: Any) -> ASGIHandler:
    async def view(request: Any) -> FileResponse:
        return FileResponse(path)

    return ASGIHandler(view, config=HandlerConfig(**settings))


def headers(**values: str) -> list[tuple[bytes, bytes]]:
    return [(name.replace("_", "-").encode(), value.encode()) for name, value in values.items()]


@pytest.mark.conformance("C150", "C153", "C155")
def test_files_and_parts_of_them(file: Path) -> None:
    app = serving(file)
    whole = exchange(app)
    assert (whole.status, whole.header("content-length")) == (200, "1024")
    assert whole.header("accept-ranges") == "bytes"
    assert whole.body == file.read_bytes()
    part = exchange(app, headers=headers(range="bytes=10-19"))
    assert (part.status, part.header("content-range")) == (206, "bytes 10-19/1024")
    assert (part.header("content-length"), part.body) == ("10", bytes(range(10, 20)))
    head = exchange(app, method="HEAD", headers=headers(range="bytes=10-19"))
    assert (head.status, head.headers, head.body) == (206, part.headers, b"")
    several = exchange(app, headers=headers(range="bytes=0-1,4-5"))
    assert several.status == 206
    assert several.header("content-length") == str(len(several.body))
    outside = exchange(app, headers=headers(range="bytes=2000-"))
    assert (outside.status, outside.header("content-range")) == (416, "bytes */1024")
    assert outside.body == b""
    posted = exchange(app, method="POST", headers=headers(range="bytes=10-19"))
    assert (posted.status, posted.body) == (200, file.read_bytes())


@pytest.mark.conformance("C160", "C161", "C154")
def test_files_that_the_client_has_already(file: Path) -> None:
    app = serving(file)
    etag = exchange(app).header("etag") or ""
    date = exchange(app).header("last-modified") or ""
    unchanged = exchange(app, headers=headers(if_none_match=etag))
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert unchanged.header("etag") == etag
    assert unchanged.header("content-type") is None
    assert exchange(app, headers=headers(if_modified_since=date)).status == 304
    assert exchange(app, method="HEAD", headers=headers(if_none_match="*")).status == 304
    assert exchange(app, headers=headers(if_match='"other"')).status == 412
    resumed = exchange(app, headers=headers(range="bytes=10-19", if_range=etag))
    assert resumed.status == 206
    changed = exchange(app, headers=headers(range="bytes=10-19", if_range='"other"'))
    assert (changed.status, len(changed.body)) == (200, 1024)


@pytest.mark.conformance("C156")
def test_pathsend_is_one_message_and_not_for_parts(file: Path) -> None:
    app = serving(file)
    extensions: dict[str, Any] = {"http.response.pathsend": {}}
    whole = exchange(app, extensions=extensions)
    assert [message["type"] for message in whole.out] == [
        "http.response.start",
        "http.response.pathsend",
    ]
    assert whole.out[1]["path"] == str(file)
    assert whole.header("content-length") == "1024"
    part = exchange(app, extensions=extensions, headers=headers(range="bytes=0-1"))
    assert (part.status, part.body) == (206, b"\0\1")
    compressed = exchange(
        serving(file, finalizers=("gzip",)),
        extensions=extensions,
        headers=headers(accept_encoding="gzip"),
    )
    assert gzip.decompress(compressed.body) == file.read_bytes()
    head = exchange(app, method="HEAD", extensions=extensions)
    assert [message["type"] for message in head.out] == [
        "http.response.start",
        "http.response.body",
    ]


@pytest.mark.conformance("C157")
@pytest.mark.parametrize(("asked", "offset", "count"), [(None, 0, 1024), ("bytes=5-8", 5, 4)])
def test_zerocopysend_has_offset_and_count_and_the_descriptor_is_closed(
    file: Path, asked: str | None, offset: int, count: int
) -> None:
    seen: list[Any] = []

    def on_send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.zerocopysend":
            content = os.pread(message["file"], message["count"], message["offset"])
            seen.append((content, message["file"]))

    result = exchange(
        serving(file),
        extensions={"http.response.zerocopysend": {}},
        headers=headers(range=asked) if asked else [],
        on_send=on_send,
    )
    [(content, descriptor)] = seen
    assert content == file.read_bytes()[offset : offset + count]
    message = result.out[1]
    assert (message["offset"], message["count"]) == (offset, count)
    with pytest.raises(OSError):
        os.fstat(descriptor)


@pytest.mark.conformance("C158")
def test_a_missing_file_is_a_404(tmp_path: Path) -> None:
    assert exchange(serving(tmp_path / "missing")).status == 404


class Closing(io.BytesIO):
    closes = 0

    def close(self) -> None:
        if not self.closed:
            self.closes += 1
        super().close()


@pytest.mark.conformance("C158")
@pytest.mark.parametrize("fails_at", [0, 1, 2, None])
def test_a_file_is_closed_once_when_sending_fails(fails_at: int | None) -> None:
    source = Closing(b"x" * 200_000)
    sent: list[dict[str, Any]] = []

    def on_send(message: dict[str, Any]) -> None:
        if len(sent) == fails_at:
            raise OSError("the client has gone")
        sent.append(message)

    exchange(serving(source), on_send=on_send)
    assert source.closes == 1


@pytest.mark.conformance("C159")
def test_a_large_file_is_sent_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as large:
        large.truncate(67_108_864)
    app = serving(path)
    exchange(app, method="HEAD")

    async def main() -> int:
        size = 0

        async def send(message: dict[str, Any]) -> None:
            nonlocal size
            size += len(message.get("body", b""))

        messages = [END]

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop()
            return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

        await app(http_scope(), receive, send)
        return size

    tracemalloc.start()
    try:
        assert run(main()) == 67_108_864
        assert tracemalloc.get_traced_memory()[1] < 2_097_152
    finally:
        tracemalloc.stop()


@pytest.mark.conformance("C162", "C163")
@pytest.mark.parametrize("kind", ["text", "sync", "async"])
def test_gzip_as_a_finalizer(kind: str) -> None:
    text = "to be compressed, " * 100

    async def produced() -> AsyncIterator[str]:
        for _ in range(3):
            yield text

    async def view(request: Any) -> Any:
        if kind == "text":
            return HttpResponse(text * 3, content_type="text/plain")
        stream = produced() if kind == "async" else iter([text] * 3)
        return StreamingHttpResponse(stream, content_type="text/plain")

    app = ASGIHandler(view, config=HandlerConfig(finalizers=("gzip",)))
    result = exchange(app, headers=headers(accept_encoding="gzip"))
    assert result.header("content-encoding") == "gzip"
    assert result.header("vary") == "Accept-Encoding"
    reader = zlib.decompressobj(31)
    assert reader.decompress(result.body) == (text * 3).encode()
    assert reader.eof
    assert reader.unused_data == b""
    plain = exchange(app, headers=headers(accept_encoding="gzip;q=0"))
    assert (plain.body, plain.header("content-encoding")) == ((text * 3).encode(), None)


@pytest.mark.conformance("C160", "C153")
def test_conditions_and_ranges_of_other_responses_are_opted_into() -> None:
    async def view(request: Any) -> HttpResponse:
        return HttpResponse(b"0123456789", headers={"ETag": '"a"'})

    asked = headers(range="bytes=1-2", if_range='"a"')
    assert exchange(ASGIHandler(view), headers=asked).status == 200
    app = ASGIHandler(view, config=HandlerConfig(finalizers=("conditional", "range")))
    part = exchange(app, headers=asked)
    assert (part.status, part.body, part.header("content-length")) == (206, b"12", "2")
    assert exchange(app, headers=headers(if_none_match='"a"')).status == 304


@pytest.mark.conformance("C149")
def test_an_event_stream_starts_before_its_first_event() -> None:
    async def main() -> list[Any]:
        started = asyncio.Event()

        async def events() -> AsyncIterator[str]:
            await started.wait()
            yield "first"

        async def view(request: Any) -> EventStreamResponse:
            return EventStreamResponse(events())

        def on_send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                started.set()

        result = await serve(ASGIHandler(view), http_scope(), Server(on_send=on_send))
        assert result.error is None
        return [message.get("body") for message in result.out]

    assert run(main()) == [None, b"data: first\n\n", b""]


@pytest.mark.conformance("C129")
def test_cookies_come_after_the_headers_in_the_order_of_setting() -> None:
    async def view(request: Any) -> HttpResponse:
        response = HttpResponse("x")
        for name in ("b", "a", "c"):
            response.set_cookie(name, "1", path=None)
        response["X-Last"] = "1"
        return response

    names = [(name, value) for name, value in exchange(ASGIHandler(view)).headers]
    assert names[-3:] == [(b"set-cookie", b"b=1"), (b"set-cookie", b"a=1"), (b"set-cookie", b"c=1")]
