"""Forms that a client made to do harm: heads, cuts, numbers of parts, and a disk that gets full."""

from __future__ import annotations

import asyncio
import gc
import sys
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from asgi_calls import exchange, parts
from hypothesis import given
from hypothesis import strategies as st
from multipart import MultipartError, PushMultipartParser  # type: ignore[import-untyped]

from penstock.handler import ASGIHandler, HandlerConfig, HttpResponse
from penstock.handler.body import SpooledBody
from penstock.handler.exceptions import (
    MultiPartParserError,
    RequestDataTooBig,
    StopUpload,
    TooManyFilesSent,
)
from penstock.handler.receiving import StreamBody
from penstock.handler.request import ASGIRequest
from penstock.handler.upload_handlers import FileUploadHandler

if TYPE_CHECKING:
    from collections.abc import Iterator

DELIMITER = b"\r\n--xYz"
MULTIPART = "multipart/form-data; boundary=xYz"


def request_of(body: Any, content_type: str = MULTIPART, **settings: Any) -> ASGIRequest:
    headers = [(b"content-type", content_type.encode("latin-1"))]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    return ASGIRequest(scope, body, HandlerConfig(**settings))


def spooled(body: bytes) -> SpooledBody:
    async def feed() -> SpooledBody:
        spool = SpooledBody(0)
        await spool.feed(body)
        await spool.finish()
        return spool

    return asyncio.run(feed())


def part(disposition: str | bytes, content: bytes = b"x", *headers: str) -> bytes:
    if isinstance(disposition, str):
        disposition = disposition.encode()
    head = b"Content-Disposition: form-data" + disposition
    lines = [head, *(header.encode() for header in headers), b"", content]
    return b"--xYz\r\n" + b"\r\n".join(lines) + b"\r\n"


def whole(*some: bytes) -> bytes:
    return b"".join(some) + b"--xYz--\r\n"


def seen(request: ASGIRequest) -> Any:
    try:
        post, files = request.POST, request.FILES
        found = {
            name: [(file.name, file.read(), file.size) for file in held]
            for name, held in files.lists()
        }
        return dict(post.lists()), found
    except MultiPartParserError:
        return "refused"
    finally:
        request.close()


def reference(body: bytes) -> Any:
    """The same by the library alone, of the whole body at once."""
    if not body:
        return {}, {}
    fields: dict[str, list[str]] = {}
    files: dict[str, list[Any]] = {}
    content = b""
    current: Any = None
    try:
        with PushMultipartParser(b"xYz") as parser:
            for event in parser.parse(body):
                if event is None and current.filename is None:
                    fields.setdefault(current.name, []).append(content.decode("utf-8", "replace"))
                elif event is None:
                    files.setdefault(current.name, []).append(
                        (current.filename, content, len(content))
                    )
                elif isinstance(event, bytes | bytearray):
                    content += event
                else:
                    current, content = event, b""
    except MultipartError:
        return "refused"
    return fields, files


# What a body is made of by somebody who knows how it is read.
FRAGMENTS = st.sampled_from(
    [
        DELIMITER,
        DELIMITER + b"\r\n",
        DELIMITER + b"--",
        DELIMITER + b"--\r\n",
        DELIMITER[:-1],
        DELIMITER + b"-",
        DELIMITER + b"\r",
        DELIMITER[2:] + b"\r\n",
        b"\r",
        b"\n",
        b"\r\n",
        b"\r\n\r\n",
        b"\r\r\n--xY",
        b"--",
        b"\0" * 70,
        b"x" * 200,
    ]
)
HEADS = st.sampled_from(
    [
        b'Content-Disposition: form-data; name="f"; filename="a"\r\n\r\n',
        b'Content-Disposition: form-data; name="g"; filename="b"\r\nContent-Length: 200\r\n\r\n',
        b'Content-Disposition: form-data; name="a"\r\n\r\n',
        b"Content-Disposition: attachment\r\n\r\n",
        b"no header\r\n",
    ]
)
HOSTILE = st.lists(FRAGMENTS | HEADS | st.binary(max_size=20), max_size=10).map(b"".join)
LIKELY = st.lists(
    st.tuples(HEADS, st.lists(FRAGMENTS, max_size=4).map(b"".join)), min_size=1, max_size=4
).map(
    lambda pairs: (
        b"".join(b"--xYz\r\n" + head + content + b"\r\n" for head, content in pairs)
        + b"--xYz--\r\n"
    )
)


@given(
    HOSTILE | LIKELY,
    st.integers(1, 60) | st.just(65_536),
    st.sampled_from([0, 40, 100_000]),
    st.booleans(),
)
def test_hostile_bodies_mean_what_the_library_says(
    body: bytes, chunk_size: int, threshold: int, on_disk: bool
) -> None:
    """Wherever the pieces end, in memory, in a window on the body's file, and in one of its own."""
    source = spooled(body) if on_disk and body else body
    settings: dict[str, Any] = {"chunk_size": chunk_size, "file_upload_max_memory_size": threshold}
    assert seen(request_of(source, **settings)) == reference(body)
    if isinstance(source, SpooledBody):
        source.close()


@pytest.mark.conformance("C090")
@pytest.mark.parametrize("on_disk", [False, True])
def test_a_form_may_be_cut_and_its_last_piece_may_end_anywhere(*, on_disk: bool) -> None:
    content = b"x" * 30 + DELIMITER[:-1] + b"\r"
    body = whole(part('; name="f"; filename="a"', content))
    for end in range(1, len(body) + 1):
        for chunk_size in (1, 7, end - 1 or 1, end):
            source: Any = spooled(body[:end]) if on_disk else body[:end]
            settings: dict[str, Any] = {"chunk_size": chunk_size, "file_upload_max_memory_size": 0}
            result = seen(request_of(source, **settings))
            is_whole = end >= len(body) - 2  # all but the last line break
            expected = ({}, {"f": [("a", content, len(content))]}) if is_whole else "refused"
            assert result == expected, (end, chunk_size)
            if isinstance(source, SpooledBody):
                source.close()


@pytest.mark.parametrize(
    ("disposition", "name", "filename"),
    [
        # Browsers: the WHATWG HTML standard, multipart/form-data encoding algorithm.
        ('; name="a%22b%0D%0Ac"; filename="d%22e.txt"', 'a"b\r\nc', 'd"e.txt'),
        # Older ones, and curl: backslashes.
        (r'; name="a\"b"; filename="c\"d.txt"', 'a"b', 'c"d.txt'),
        (r'; name="a"; filename="C:\dir\file.txt"', "a", "file.txt"),
        (r'; name="a"; filename="b\\c.txt"', "a", "c.txt"),
        ('; name="a"; filename="x; filename=y.txt"', "a", "x; filename=y.txt"),
        ('; name="a"; filename="b.txt"; name="c"', None, None),
        # RFC 8187, which RFC 7578 forbids here and clients send.
        ("; name=a; filename*=UTF-8'en'%e2%82%ac.txt", "a", "€.txt"),
        ("; name=a; filename*=iso-8859-1''%e9.txt", "a", "é.txt"),
        ("; name=a; filename*=utf-8''..%2F..%2Fetc%2Fpasswd", "a", "passwd"),
        ("; name=a; filename*=utf-8''%00%0a%e2%80%ae.exe", "a", ".exe"),
        ("; name=a; filename*=nonsense''%41; filename=b", None, None),
        ("; name=a; filename*=utf-8''%ff; filename=b", None, None),
        ("; name*=utf-8''%61; filename=b", "a", "b"),
        # What is not shown, or shown in another order, is no part of a name.
        ('; name="a"; filename="a\u202etxt.exe"', "a", "atxt.exe"),
        ('; name="a"; filename="\u2066a\u2069\ufeff\u200b.txt"', "a", "a.txt"),
        ('; name="a"; filename="a\0/../b\0.txt"', "a", "b.txt"),
        ('; name="a"; filename="' + "ü" * 900 + '.txt"', "a", "ü" * 251 + ".txt"),
    ],
)
def test_names_in_heads(disposition: str, name: str | None, filename: str | None) -> None:
    request = request_of(whole(part(disposition)), file_upload_max_memory_size=0)
    try:
        found = [(key, file.name) for key, file in request.FILES.items()]
    except MultiPartParserError:
        found = []
    if name is not None:
        assert found == [(name, filename)]
    for _, safe in found:  # whatever is made of the others, it is safe
        assert safe.isprintable()
        assert not set(safe) & set("/\\")
    request.close()


@pytest.mark.parametrize(
    ("filename", "suffix"),
    [
        ("a.tar.gz", ".upload.gz"),
        ("a.$(rm -rf ~)", ".upload"),
        ("a.;b", ".upload"),
        ("a.ü", ".upload"),
        ("a." + "b" * 31, ".upload." + "b" * 31),
        ("a." + "b" * 32, ".upload"),
        (".profile", ".upload"),
        ("a.", ".upload"),
        ("a", ".upload"),
    ],
)
def test_paths_have_only_plain_extensions(filename: str, suffix: str) -> None:
    body = whole(part(f'; name="f"; filename="{filename}"', b"x" * 10))
    request = request_of(body, file_upload_max_memory_size=0)
    path = Path(request.FILES["f"].temporary_file_path())
    assert path.name.endswith(suffix)
    assert path.name.count(".") == suffix.count(".")
    request.close()


def test_a_charset_field_is_a_field_like_any_other() -> None:
    """RFC 7578, 4.6: the charset of a form is the request's; a client's word is not followed."""
    body = whole(part('; name="_charset_"', b"utf-7"), part('; name="a"', b"+AGE- \xc3\xa9"))
    assert seen(request_of(body)) == ({"_charset_": ["utf-7"], "a": ["+AGE- é"]}, {})


@pytest.mark.parametrize("length", ["-1", "+1", "1_0", "\u0661", "1e1", "9" * 4_000, "1, 1", ""])
def test_lengths_of_parts_that_are_none(length: str) -> None:
    head = f"Content-Length: {length}"
    request = request_of(whole(part('; name="f"; filename="a"', b"x", head)))
    assert seen(request) == "refused"


@pytest.mark.parametrize("declared", [0, 2, 10**18])
def test_a_part_is_as_long_as_it_says(declared: int) -> None:
    file = part('; name="f"; filename="a"', b"x", f"Content-Length: {declared}")
    assert seen(request_of(whole(file))) == "refused"


@pytest.mark.parametrize("length", [b"abc", b"-5", b"1_0", b"\xb2", b"9" * 5_000, b"", b"+3"])
@pytest.mark.parametrize("awaits", [False, True])
def test_a_content_length_that_is_none_breaks_no_form(length: bytes, *, awaits: bool) -> None:
    async def view(request: Any) -> HttpResponse:
        if awaits:
            await request.aform()
        return HttpResponse(str(dict(request.POST.lists())))

    headers = [(b"content-type", MULTIPART.encode()), (b"content-length", length)]
    body = whole(part('; name="a"'))
    result = exchange(ASGIHandler(view), method="POST", headers=headers, body=body)
    assert (result.status, result.body) in {(200, b"{'a': ['x']}"), (400, result.body)}


@pytest.mark.conformance("C092")
def test_empty_parts_count() -> None:
    nameless = part('; name="f"; filename=""', b"")
    with pytest.raises(TooManyFilesSent):
        request_of(whole(*[nameless] * 101)).POST  # noqa: B018
    unnamed = part('; name=""', b"")
    assert seen(request_of(whole(*[unnamed] * 1_000))) == ({"": [""] * 1_000}, {})
    with pytest.raises(RequestDataTooBig):
        request_of(whole(*[unnamed] * 60), data_upload_max_memory_size=100).POST  # noqa: B018


@pytest.mark.parametrize("on_disk", [False, True])
def test_memory_is_bounded_whatever_is_in_the_body(*, on_disk: bool) -> None:
    """Also where each piece ends with what may begin a delimiter, and for base64 with spaces."""
    piece = b"\r" * 1_000 if on_disk else b" a" * 500
    coding = () if on_disk else ("Content-Transfer-Encoding: base64",)
    body = whole(part('; name="f"; filename="a"', piece * 4_000, *coding))
    request = request_of(spooled(body), file_upload_max_memory_size=100_000)
    tracemalloc.start()
    try:
        request.FILES  # noqa: B018 - reading it is the test
        assert tracemalloc.get_traced_memory()[1] < 900_000
    finally:
        tracemalloc.stop()
        request.close()
        request._stream.close()


@pytest.fixture
def small_files() -> Iterator[None]:
    """A file may have 100,000 bytes: the same error from a write as of a disk that is full."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("mode", ["spool", "stream"])
@pytest.mark.parametrize("awaits", [False, True])
@pytest.mark.parametrize("size", [99_000, 100_050, 150_000, 700_000])
def test_a_full_disk_is_a_500_and_leaves_no_file(
    tmp_path: Path, mode: Any, size: int, *, awaits: bool
) -> None:
    def view(request: Any) -> HttpResponse:
        return HttpResponse(str(request.FILES["g"].size))

    async def async_view(request: Any) -> HttpResponse:
        await request.aform()
        return view(request)

    body = whole(
        part('; name="f"; filename="a"', b"y" * 2_000),
        part('; name="g"; filename="b"', b"x" * size),
    )
    config = HandlerConfig(
        body_mode=mode, file_upload_max_memory_size=1_000, file_upload_temp_dir=str(tmp_path)
    )
    app = ASGIHandler(async_view if awaits else view, config=config)
    pieces = [body[start : start + 30_000] for start in range(0, len(body), 30_000)]
    headers = [(b"content-type", MULTIPART.encode())]
    result = exchange(app, method="POST", headers=headers, messages=parts(*pieces))
    fits = size + (2_000 if mode == "spool" else 0) < 100_000
    assert result.status == (200 if fits else 500)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("small_files")
def test_no_room_for_a_path_of_its_own_is_an_error_and_the_upload_stays(tmp_path: Path) -> None:
    content = b"x" * 90_000
    body = whole(part('; name="f"; filename="a"', content))
    source = spooled(body)
    settings: dict[str, Any] = {
        "file_upload_max_memory_size": 1_000,
        "file_upload_temp_dir": str(tmp_path),
    }
    request = request_of(source, **settings)
    file = request.FILES["f"]
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            file.temporary_file_path()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
    assert b"".join(file.chunks()) == content
    request.close()
    source.close()


def streamed(*pieces: bytes, **settings: Any) -> tuple[Any, list[bytes]]:
    """A request whose body arrives while it is read, and the pieces that were not asked for yet."""
    waiting = list(pieces)

    async def receive() -> dict[str, Any]:
        body = waiting.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    config = HandlerConfig(**settings)
    stream = StreamBody(receive, config, on_end=lambda: None, on_abort=lambda: None)
    headers = [(b"content-type", MULTIPART.encode())]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    return ASGIRequest(scope, stream, config), waiting


def test_a_form_that_fails_ends_the_iteration_over_the_body() -> None:
    """Python would give the generator to the event loop, to end it in a task of its own."""
    left: list[Any] = []

    async def main() -> None:
        sys.set_asyncgen_hooks(finalizer=left.append)
        request, waiting = streamed(b"--xYz\r\nno head\r\n\r\n", b"x", b"x")
        with pytest.raises(MultiPartParserError):
            await request.aform()
        assert waiting == [b"x", b"x"]

    asyncio.run(main())
    gc.collect()
    assert left == []


@pytest.mark.conformance("C096")
@pytest.mark.parametrize("reset", [False, True])
def test_a_handler_that_stops_a_streamed_form_decides_about_the_rest(*, reset: bool) -> None:
    class Stops(FileUploadHandler):
        def new_file(self, *args: Any, **kwargs: Any) -> None:
            raise StopUpload(connection_reset=reset)

    async def main() -> None:
        head = part('; name="f"; filename="a"', b"x" * 100)
        request, waiting = streamed(head, *[b"x" * 600_000] * 9)
        request.upload_handlers = [Stops()]
        assert not await request.aform()
        assert bool(waiting) is reset

    asyncio.run(main())
