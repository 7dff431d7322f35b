"""Forms and uploads of a request, from sync and from async code."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from form_bodies import (
    MULTIPART,
    URLENCODED,
    open_files,
    part,
    read_async,
    read_sync,
    request_of,
    spooled,
    whole,
)
from hypothesis import given
from hypothesis import strategies as st

from penstock.handler.body import SpooledBody
from penstock.handler.exceptions import (
    BadRequest,
    MultiPartParserError,
    RawPostDataException,
    RequestDataTooBig,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from penstock.handler.multipart_library import _find_library
from penstock.handler.uploads import UploadedFile, safe_file_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from form_bodies import Read


@pytest.mark.conformance("C085")
def test_urlencoded_forms(read: Read) -> None:
    request = request_of(b"a=1&a=2&b=%C3%A9+x&c=&d", URLENCODED)
    post, files = read(request)
    assert dict(post.lists()) == {"a": ["1", "2"], "b": ["é x"], "c": [""], "d": [""]}
    assert not files
    assert request.body == b"a=1&a=2&b=%C3%A9+x&c=&d"
    with pytest.raises(AttributeError, match="immutable"):
        post["a"] = "3"


@pytest.mark.conformance("C085")
def test_other_methods_have_no_post_but_a_form(read: Read) -> None:
    request = request_of(b"a=1", URLENCODED, method="PUT")
    assert read(request) == ({}, {})
    assert request.form["a"] == "1"
    request = request_of(whole(part("a", "1"), part("f", b"x", "f.txt")), method="PUT")
    assert read(request) == ({}, {})
    assert sorted(request.form) == ["a", "f"]
    assert request.form["f"].read() == b"x"
    request.close()


@pytest.mark.conformance("C086")
def test_urlencoded_is_utf_8(read: Read) -> None:
    with pytest.raises(BadRequest, match="latin-1"):
        read(request_of(b"a=1", f"{URLENCODED}; charset=latin-1"))
    for charset in ("UTF-8", "utf8", '"utf-8"', "unknown-9"):
        assert read(request_of(b"a=1", f"{URLENCODED}; charset={charset}"))[0]["a"] == "1"
    assert read(request_of(b"a=\xe9", URLENCODED))[0]["a"] == "é"


@pytest.mark.conformance("C087")
def test_other_content_types_are_no_forms(read: Read) -> None:
    for content_type in (
        "application/json",
        "",
        "multipart/mixed; boundary=BoUnDaRy",
        "text/plain",
    ):
        request = request_of(b'{"a": 1}', content_type)
        assert read(request) == ({}, {})
        assert request.body == b'{"a": 1}'


@pytest.mark.conformance("C088", "C089")
def test_a_field_and_a_file(read: Read) -> None:
    """Without a Content-Length too, which this request does not have."""
    request = request_of(
        whole(
            part("a", "é"),
            part("f", b"line 1\nline 2", "a.txt", "Content-Type: Text/Plain; charset=koi8-r; x=y"),
            part("a", "2"),
            part("f", b"", "empty"),
        )
    )
    post, files = read(request)
    assert dict(post.lists()) == {"a": ["é", "2"]}
    file, empty = files.getlist("f")
    assert isinstance(file, UploadedFile)
    assert (file.name, file.size, file.field_name) == ("a.txt", 13, "f")
    assert (file.content_type, file.charset) == ("text/plain", "koi8-r")
    assert file.content_type_extra == {"charset": "koi8-r", "x": "y"}
    assert (empty.name, empty.size, empty.content_type, empty.charset) == ("empty", 0, "", None)
    assert not hasattr(file, "temporary_file_path")
    assert file.read(3) == b"lin"
    assert file.tell() == 3
    assert list(file) == [b"e 1\n", b"line 2"]
    assert b"".join(file.chunks(4)) == b"line 1\nline 2"
    assert next(iter(file.chunks(4))) == b"line"
    assert file.multiple_chunks(4)
    assert not file.multiple_chunks()
    assert file.open().readline() == b"line 1\n"
    assert (bool(file), len(file), repr(file)) == (True, 13, "<UploadedFile: a.txt (text/plain)>")
    with pytest.raises(RawPostDataException):
        request.body  # noqa: B018 - reading it is the test
    request.close()
    request.close()
    assert file.closed
    assert empty.closed


def test_the_async_methods_of_an_upload() -> None:
    async def main() -> None:
        for threshold in (10, 1_000_000):
            body = whole(part("f", b"x" * 1000, "a.txt"))
            request = request_of(body, file_upload_max_memory_size=threshold)
            file = (await request.aform())["f"]
            assert hasattr(file, "temporary_file_path") is (threshold == 10)
            assert await file.aread(10) == b"x" * 10
            assert await file.aseek(990) == 990
            assert await file.aread() == b"x" * 10
            await file.aclose()
            assert file.closed

    asyncio.run(main())


def test_a_body_without_a_byte_is_an_empty_form(read: Read) -> None:
    assert read(request_of(b"")) == ({}, {})
    assert read(request_of(whole())) == ({}, {})


@pytest.mark.conformance("C090")
@pytest.mark.parametrize("cut", [1, 20, 70, 200, 350, 1000, -2, -4, -14])
def test_a_truncated_form_is_refused_and_leaves_no_file(read: Read, cut: int) -> None:
    body = whole(
        part("f", b"x" * 200, "a.txt"), part("a", "1"), part("g", b"y" * 5000, "b.txt")
    ).rstrip()
    with pytest.raises(MultiPartParserError):
        read(request_of(body[:cut], file_upload_max_memory_size=100))
    assert open_files() == set()


@pytest.mark.conformance("C091")
@pytest.mark.parametrize(
    "parameters",
    [
        "",
        "; boundary=",
        '; boundary=""',
        "; boundary=" + "a" * 201,
        "; boundary=a\x07b",
        "; boundary=é",
        '; boundary="a "',
    ],
)
def test_boundaries_that_are_refused(read: Read, parameters: str) -> None:
    with pytest.raises(MultiPartParserError, match="boundary"):
        read(request_of(whole(), f"multipart/form-data{parameters}"))


@pytest.mark.conformance("C092")
def test_too_many_fields_files_and_bytes(read: Read) -> None:
    many = whole(*[part("a", "1")] * 1001)
    with pytest.raises(TooManyFieldsSent, match="1000 fields"):
        read(request_of(many))
    assert len(read(request_of(many, data_upload_max_number_fields=None))[0].getlist("a")) == 1001
    assert len(read(request_of(whole(*[part("a", "1")] * 1000)))[0].getlist("a")) == 1000
    files = [part("f", b"x" * 100, f"{number}.txt") for number in range(101)]
    with pytest.raises(TooManyFilesSent, match="100 files"):
        read(request_of(whole(*files), file_upload_max_memory_size=10))
    assert open_files() == set()
    request = request_of(whole(*files), data_upload_max_number_files=None)
    assert len(read(request)[1].getlist("f")) == 101
    request.close()
    fields = whole(part("a", "1" * 40), part("b", "2" * 40), part("f", b"x" * 500, "a"))
    with pytest.raises(RequestDataTooBig, match="85 bytes"):
        read(request_of(fields, data_upload_max_memory_size=85))
    assert read(request_of(fields, data_upload_max_memory_size=86))[0]["b"] == "2" * 40
    with pytest.raises(TooManyFieldsSent):
        read(request_of(b"a&" * 1000 + b"a", URLENCODED))
    with pytest.raises(RequestDataTooBig):
        read(request_of(b"a" * 101, URLENCODED, data_upload_max_memory_size=100))


@pytest.mark.conformance("C093")
@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("..\\..\\a\0b.txt", "ab.txt"),
        ("/etc/passwd", "passwd"),
        ("C:\\a\\b.txt", "b.txt"),
        ("a&#47;b.txt", "b.txt"),
        ("a&amp;b.txt", "a&b.txt"),
        ("é.txt", "é.txt"),
        ("a\r\nb", "ab"),
        ("a\u202etxt.exe", "atxt.exe"),
        ("x" * 300 + ".txt", "x" * 251 + ".txt"),
        ("", None),
        (".", None),
        ("..", None),
        ("a/..", None),
        ("a/", None),
        ("\0", None),
    ],
)
def test_file_names_are_made_safe(name: str, safe: str | None) -> None:
    assert safe_file_name(name) == safe


@given(st.text())
def test_no_file_name_leads_out_of_a_folder(name: str) -> None:
    safe = safe_file_name(name)
    if safe is not None:
        assert Path("/a", safe).parent == Path("/a")
        assert safe.isprintable()
        assert 0 < len(safe) <= 255
        assert safe not in {".", ".."}


@pytest.mark.conformance("C093")
def test_parts_whose_file_name_is_unsafe_are_dropped(read: Read) -> None:
    body = whole(part("f", b"1", ""), part("f", b"2", ".."), part("f", b"3", "a/b\\c.txt"))
    request = request_of(body)
    [file] = read(request)[1].getlist("f")
    assert (file.name, file.read()) == ("c.txt", b"3")
    request.close()


@pytest.mark.parametrize(
    ("disposition", "name", "filename"),
    [
        ('form-data; name="a"; filename="b%22c"', "a", 'b"c'),
        ('form-data; name="a"; filename="b\\"c"', "a", 'b"c'),
        ("form-data; name=a; filename=b", "a", "b"),
        ("form-data; name=a; filename*=utf-8''%E2%98%83.txt", "a", "☃.txt"),
        ('form-data; name="a"; filename="x"; filename*=utf-8\'\'%C3%A9', "a", "é"),
        ('form-data; name="é"; filename="☃"', "é", "☃"),
        ('form-data; filename="b"; name=" a "', "a", "b"),
    ],
)
def test_spellings_of_content_disposition(
    read: Read, disposition: str, name: str, filename: str
) -> None:
    head = f"--BoUnDaRy\r\nContent-Disposition: {disposition}\r\n\r\n"
    request = request_of(head.encode() + b"x\r\n--BoUnDaRy--")
    files = read(request)[1]
    assert {key: file.name for key, file in files.items()} == {name: filename}
    request.close()


@pytest.mark.parametrize(
    "head",
    [
        "Content-Disposition: form-data",
        'Content-Disposition: attachment; name="a"',
        "Content-Type: text/plain",
        "no header",
    ],
)
def test_parts_that_say_not_what_they_are(read: Read, head: str) -> None:
    with pytest.raises(MultiPartParserError):
        read(request_of(f"--BoUnDaRy\r\n{head}\r\n\r\nx\r\n--BoUnDaRy--".encode()))


def test_text_is_in_the_charset_of_the_request(read: Read) -> None:
    body = whole(part("é", b"\xe9"), part("b", b"\xff"))
    request = request_of(body.replace("é".encode(), b"\xe9"), f"{MULTIPART}; charset=latin-1")
    assert read(request)[0]["é"] == "é"
    assert read(request_of(body))[0]["b"] == "\ufffd"


@pytest.mark.conformance("C094")
@given(content=st.binary(max_size=2000), width=st.integers(1, 90))
def test_base64_parts_are_decoded(content: bytes, width: int) -> None:
    text = base64.b64encode(content)
    lines = b"\r\n".join(text[start : start + width] for start in range(0, len(text), width))
    coding = "Content-Transfer-Encoding: base64"
    body = whole(part("f", lines, "a.bin", coding), part("a", lines, None, coding))
    request = request_of(body, chunk_size=64)
    assert request.FILES["f"].read() == content
    assert request.FILES["f"].size == len(content)
    assert request.POST["a"] == content.decode("utf-8", "replace")
    request.close()


@pytest.mark.conformance("C094")
@pytest.mark.parametrize("data", ["a", "abcde", "@@@@", "QQ==QQ==", "Q===", "QQ==Q"])
def test_bad_base64_is_refused_in_a_file_and_kept_in_a_field(read: Read, data: str) -> None:
    coding = "Content-Transfer-Encoding: base64"
    with pytest.raises(MultiPartParserError, match="base64"):
        read(request_of(whole(part("f", data, "a.bin", coding)), file_upload_max_memory_size=0))
    assert open_files() == set()
    assert read(request_of(whole(part("a", data, None, coding))))[0]["a"] == data


@pytest.mark.conformance("C097")
def test_long_and_many_part_headers_are_refused(read: Read) -> None:
    with pytest.raises(MultiPartParserError, match="header"):
        read(request_of(whole(part("a", "1", None, "X-A: " + "b" * 5000))))
    with pytest.raises(MultiPartParserError, match="header"):
        read(request_of(b'--BoUnDaRy\r\nContent-Disposition: form-data; name="' + b"a" * 9000))
    with pytest.raises(MultiPartParserError, match="header"):
        read(request_of(whole(part("a", "1", None, *["X-A: b"] * 8))))
    assert read(request_of(whole(part("a", "1", None, "X-A: " + "b" * 4000))))[0]["a"] == "1"


@pytest.fixture
def _forgotten_multipart() -> Iterator[None]:
    saved = sys.modules.pop("multipart", None)
    path = list(sys.path)
    yield
    sys.path[:] = path
    sys.modules.pop("multipart", None)
    if saved is not None:
        sys.modules["multipart"] = saved


@pytest.mark.conformance("C098")
@pytest.mark.usefixtures("_forgotten_multipart")
def test_the_right_one_of_two_packages_with_one_import_name_is_found() -> None:
    assert importlib.util.find_spec("python_multipart") is not None
    assert hasattr(_find_library(), "PushMultipartParser")
    assert hasattr(_find_library(), "PushMultipartParser")


@pytest.mark.conformance("C098")
@pytest.mark.usefixtures("_forgotten_multipart")
def test_a_package_of_that_name_that_passes_nothing_on_is_no_obstacle(tmp_path: Path) -> None:
    """As python-multipart's was for years; also if somebody has imported it before."""
    (tmp_path / "multipart").mkdir()
    (tmp_path / "multipart" / "__init__.py").write_text("class MultipartParser: ...\n")
    sys.path.insert(0, str(tmp_path))
    assert hasattr(_find_library(), "PushMultipartParser")
    import multipart  # type: ignore[import-untyped, import-not-found, unused-ignore]

    assert not hasattr(multipart, "PushMultipartParser")
    assert hasattr(_find_library(), "PushMultipartParser")


FIELDS = st.lists(
    st.tuples(
        st.text("abé %;=", min_size=1, max_size=6).map(str.strip).filter(bool),
        st.binary(max_size=300) | st.text("\r\n-BoUnDaRy").map(str.encode),
        st.none() | st.sampled_from(["a.txt", "b", "é.pdf"]),
    ),
    max_size=5,
)


@given(FIELDS, st.integers(1, 700), st.sampled_from([0, 50, 100_000]), st.booleans())
def test_any_form_comes_out_as_it_went_in(
    fields: list[tuple[str, bytes, str | None]], chunk_size: int, threshold: int, rolled: bool
) -> None:
    """However the body is cut, in memory and on disk, sync and async."""
    fields = [one for one in fields if b"--BoUnDaRy" not in one[1] and "%" not in one[0]]
    body = whole(*[part(name, content, filename) for name, content, filename in fields])
    for read in (read_sync, read_async):
        source = spooled(body, 0) if rolled else body
        request = request_of(source, chunk_size=chunk_size, file_upload_max_memory_size=threshold)
        post, files = read(request)
        expected: dict[bool, dict[str, list[Any]]] = {True: {}, False: {}}
        for name, content, filename in fields:
            value = content.decode("utf-8", "replace") if filename is None else (filename, content)
            expected[filename is None].setdefault(name, []).append(value)
        assert dict(post.lists()) == expected[True]
        if isinstance(source, SpooledBody):
            source.close()
        assert {
            name: [(file.name, file.read()) for file in held] for name, held in files.lists()
        } == expected[False]
        request.close()
