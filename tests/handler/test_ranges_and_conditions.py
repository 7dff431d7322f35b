"""Ranges and conditional requests on responses; werkzeug is the reference for the headers."""

from __future__ import annotations

import asyncio
import email
import io
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.http import is_resource_modified, parse_range_header

from penstock.handler.conditional import check_preconditions, conditional
from penstock.handler.dates import http_date
from penstock.handler.files import FileResponse
from penstock.handler.headers import RequestHeaders
from penstock.handler.ranges import apply_range, parse_range
from penstock.handler.response import HttpResponse
from penstock.handler.streaming import StreamingHttpResponse

CONTENT = bytes(range(256)) * 4
THEN = 1_700_000_000


def asked(method: str = "GET", **headers: str) -> Any:
    raw = [
        (name.replace("_", "-").encode(), value.encode("latin-1"))
        for name, value in headers.items()
    ]
    return SimpleNamespace(method=method, headers=RequestHeaders(raw))


def whole(kind: str = "buffer", **headers: str) -> Any:
    response: Any
    if kind == "buffer":
        response = HttpResponse(CONTENT, content_type="a/b")
    else:
        file = io.BytesIO(b"skipped" + CONTENT)
        file.seek(7)
        response = FileResponse(file, content_type="a/b")
    for name, value in headers.items():
        response[name.replace("_", "-")] = value
    return response


def body(response: Any) -> bytes:
    """What is sent: of files, as async and as sync code reads it."""
    if not response.streaming:
        return bytes(response.content)

    async def read() -> bytes:
        return b"".join([part async for part in response])

    content = asyncio.run(read())
    assert response.getvalue() == content
    return content


@pytest.mark.conformance("C153")
@pytest.mark.parametrize("kind", ["buffer", "file"])
@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-", 5, 1024),
        ("bytes=-3", 1021, 1024),
        ("bytes=0-99999", 0, 1024),
        ("bytes=-99999", 0, 1024),
        ("Bytes = 1-2 ,", 1, 3),
        ("bytes=0-4,3-7", 0, 8),
        ("bytes=1023-", 1023, 1024),
        ("bytes=99999-,4-5", 4, 6),
    ],
)
def test_one_range(kind: str, header: str, start: int, stop: int) -> None:
    response = apply_range(asked(range=header), whole(kind))
    assert response.status_code == 206
    assert response["Content-Range"] == f"bytes {start}-{stop - 1}/1024"
    assert response["Content-Length"] == str(stop - start)
    assert response["Content-Type"] == "a/b"
    assert body(response) == CONTENT[start:stop]


@pytest.mark.conformance("C153")
@pytest.mark.parametrize("kind", ["buffer", "file"])
@pytest.mark.parametrize(
    "header",
    [
        "bytes=3-1",
        "bytes=-",
        "bytes=",
        "bytes",
        "bytes=a-b",
        "bytes=1",
        "bytes=1-2-3",
        "bytes=0-1,x",
        "bytes=+1-2",
        "bytes=1 - 2",
        "bytes=٣-4".encode().decode("latin-1"),
        "lines=1-2",
        "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 34, 2)),
        "bytes=" + "1" * 5000 + "-",
    ],
)
def test_ranges_that_are_ignored(kind: str, header: str) -> None:
    response = whole(kind)
    assert apply_range(asked(range=header), response) is response
    assert response.status_code == 200
    assert response["Accept-Ranges"] == "bytes"
    assert body(response) == CONTENT


@pytest.mark.conformance("C153")
@pytest.mark.parametrize("kind", ["buffer", "file"])
@pytest.mark.parametrize(
    "header", ["bytes=99999-", "bytes=1024-1025", "bytes=-0", "bytes=-0,2000-"]
)
def test_ranges_that_cannot_be_satisfied(kind: str, header: str) -> None:
    full = whole(kind)
    response = apply_range(asked(range=header), full)
    assert (response.status_code, response.content) == (416, b"")
    assert response["Content-Range"] == "bytes */1024"
    assert "content-type" not in response
    response.close()
    if kind == "file":
        assert full._file.file.closed


@pytest.mark.conformance("C153")
@pytest.mark.parametrize("kind", ["buffer", "file"])
def test_several_ranges_are_parts_of_a_multipart(kind: str) -> None:
    response = apply_range(asked(range="bytes=500-509, 0-1,505-511,-1"), whole(kind))
    assert response.status_code == 206
    content = body(response)
    assert response["Content-Length"] == str(len(content))
    assert "content-range" not in response
    head = f"Content-Type: {response['Content-Type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + content)
    assert message.get_content_type() == "multipart/byteranges"
    parts: Any = message.get_payload()
    assert [part["Content-Range"] for part in parts] == [
        "bytes 500-511/1024",
        "bytes 0-1/1024",
        "bytes 1023-1023/1024",
    ]
    assert [part["Content-Type"] for part in parts] == ["a/b"] * 3
    for piece in (CONTENT[500:512], CONTENT[:2], CONTENT[-1:]):
        assert b"\r\n\r\n" + piece + b"\r\n--" in content


@pytest.mark.conformance("C155")
def test_ranges_are_for_reading_whole_responses_of_known_length() -> None:
    head = apply_range(asked("HEAD", range="bytes=0-1"), whole("file"))
    assert (head.status_code, head["Content-Range"]) == (206, "bytes 0-1/1024")
    for method in ("POST", "PUT", "DELETE"):
        response = apply_range(asked(method, range="bytes=0-1"), whole())
        assert response.status_code == 200
        assert "accept-ranges" not in response
    for refusing in (
        StreamingHttpResponse([b"abc"]),
        HttpResponse(b"abc", status=201),
        HttpResponse(b"abc", headers={"Accept-Ranges": "none"}),
        HttpResponse(b"abc", headers={"Content-Range": "bytes 0-2/3"}),
    ):
        assert apply_range(asked(range="bytes=0-1"), refusing) is refusing
        assert "content-range" not in refusing or refusing["content-range"] == "bytes 0-2/3"
        assert refusing.status_code != 206


@pytest.mark.conformance("C154")
@pytest.mark.parametrize(
    ("condition", "applies"),
    [
        ('"a"', True),
        ('"b"', False),
        ('W/"a"', False),
        (http_date(THEN), True),
        (http_date(THEN + 1), False),
        (http_date(THEN - 1), False),
        ("nonsense", False),
        ("", False),
    ],
)
def test_if_range(condition: str, *, applies: bool) -> None:
    response = whole(ETag='"a"', Last_Modified=http_date(THEN))
    apply_range(asked(range="bytes=0-1", if_range=condition), response)
    assert (response.status_code == 206) is applies


@pytest.mark.conformance("C154")
def test_a_weak_validator_never_holds_for_a_range() -> None:
    response = whole(ETag='W/"a"')
    apply_range(asked(range="bytes=0-1", if_range='W/"a"'), response)
    assert response.status_code == 200
    response = whole()
    apply_range(asked(range="bytes=0-1", if_range=http_date(THEN)), response)
    assert response.status_code == 200


range_headers = st.lists(
    st.tuples(st.none() | st.integers(0, 40), st.none() | st.integers(0, 40)).filter(
        lambda pair: pair != (None, None)
    ),
    min_size=1,
    max_size=4,
)


@given(range_headers, st.integers(1, 30))
def test_ranges_are_those_that_werkzeug_reads(
    specs: list[tuple[int | None, int | None]], size: int
) -> None:
    texts = [f"{'' if a is None else a}-{'' if b is None else b}" for a, b in specs]
    header = "bytes=" + ",".join(texts)
    ours = parse_range(header, size)
    theirs = parse_range_header(header)
    if theirs is None or ours is None:
        # werkzeug also refuses ranges that overlap, are unordered, or follow an open one.
        assert ours is None or len(specs) > 1 or "-0" in texts
        return
    wanted: set[int] = set()
    for start, stop in theirs.ranges:
        first = max(0, size + start) if start < 0 else start
        wanted |= set(range(first, min(size, size if stop is None else stop)))
    assert {position for start, stop in ours for position in range(start, stop)} == wanted
    assert sum(stop - start for start, stop in ours) == len(wanted)


@given(st.text(st.sampled_from("bytes=0123456789-, "), max_size=40), st.integers(0, 1000))
def test_whatever_the_header_the_ranges_lie_within(header: str, size: int) -> None:
    for start, stop in parse_range(header, size) or []:
        assert 0 <= start < stop <= size


ETAGS = ['"a"', 'W/"a"', '"b"', 'W/"b"', '"a,b"', ""]
conditions = st.fixed_dictionaries(
    {},
    optional={
        "if_none_match": st.lists(st.sampled_from(ETAGS[:5]), min_size=1, max_size=3).map(
            ", ".join
        ),
        "if_modified_since": st.integers(THEN - 2, THEN + 2).map(http_date),
    },
)


@pytest.mark.conformance("C160")
@given(conditions, st.sampled_from(ETAGS), st.booleans())
def test_304_is_what_werkzeug_calls_not_modified(
    headers: dict[str, str], etag: str, dated: bool
) -> None:
    if not etag:  # the date counts then, for werkzeug; not for RFC 9110 section 13.2.2
        headers.pop("if_none_match", None)
    last_modified = THEN if dated else None
    environ = {"REQUEST_METHOD": "GET"}
    environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    modified = is_resource_modified(
        environ, etag=etag or None, last_modified=http_date(THEN) if dated else None
    )
    status = check_preconditions(asked(**headers), etag or None, last_modified)
    assert status == (None if modified else 304)


@pytest.mark.conformance("C160")
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
@pytest.mark.parametrize(
    ("headers", "outcome"),
    [
        ({}, "go on"),
        ({"if_none_match": '"a"'}, "unchanged"),
        ({"if_none_match": 'W/"a"'}, "unchanged"),
        ({"if_none_match": '"x", W/"a"'}, "unchanged"),
        ({"if_none_match": "*"}, "unchanged"),
        ({"if_none_match": '"x"'}, "go on"),
        ({"if_none_match": "a"}, "go on"),
        ({"if_match": '"a"'}, "go on"),
        ({"if_match": "*"}, "go on"),
        ({"if_match": 'W/"a"'}, "failed"),
        ({"if_match": '"x", "y"'}, "failed"),
        ({"if_unmodified_since": http_date(THEN - 1)}, "failed"),
        ({"if_unmodified_since": http_date(THEN)}, "go on"),
        ({"if_unmodified_since": "nonsense"}, "go on"),
        ({"if_match": '"a"', "if_unmodified_since": http_date(THEN - 1)}, "go on"),
        ({"if_match": '"a"', "if_none_match": '"a"'}, "unchanged"),
        ({"if_none_match": '"x"', "if_modified_since": http_date(THEN)}, "go on"),
        ({"if_modified_since": http_date(THEN)}, "read only"),
        ({"if_modified_since": http_date(THEN + 9)}, "read only"),
        ({"if_modified_since": http_date(THEN - 1)}, "go on"),
        ({"if_modified_since": "nonsense"}, "go on"),
    ],
)
def test_conditions_and_their_precedence(
    method: str, headers: dict[str, str], outcome: str
) -> None:
    response = whole(ETag='"a"', Last_Modified=http_date(THEN))
    result = conditional(asked(method, **headers), response)
    reading = method in {"GET", "HEAD"}
    expected = {
        "go on": 200,
        "failed": 412,
        "unchanged": 304 if reading else 412,
        "read only": 304 if reading else 200,
    }[outcome]
    assert result.status_code == expected
    assert (result is response) is (expected == 200)
    assert result.content == (CONTENT if expected == 200 else b"")


@pytest.mark.conformance("C160")
def test_only_success_is_conditional() -> None:
    for status in (301, 404, 500):
        response = HttpResponse("a", status=status, headers={"ETag": '"a"'})
        assert conditional(asked(if_none_match='"a"'), response) is response
    created = HttpResponse("a", status=201, headers={"ETag": '"a"'})
    assert conditional(asked("PUT", if_none_match="*"), created) is created
    unknown = HttpResponse("a")
    assert conditional(asked("PUT", if_match='"a"'), unknown) is unknown
    assert conditional(asked(if_match='"a"'), HttpResponse("a")).status_code == 412
    options = HttpResponse("a", headers={"ETag": '"a"'})
    assert conditional(asked("OPTIONS", if_none_match='"a"'), options) is options


@pytest.mark.conformance("C161")
def test_304_leaves_out_what_describes_the_representation() -> None:
    file = io.BytesIO(CONTENT)
    response = FileResponse(file, filename="a.txt")
    kept = {
        "Cache-Control": "max-age=1",
        "Content-Location": "/a",
        "Date": http_date(THEN),
        "ETag": '"a"',
        "Expires": http_date(THEN),
        "Vary": "Accept",
        "Access-Control-Allow-Origin": "*",
        "X-Request-ID": "1",
    }
    dropped = {
        "Last-Modified": http_date(THEN),
        "Content-Encoding": "gzip",
        "Content-Language": "en",
        "Accept-Ranges": "bytes",
    }
    for name, value in {**kept, **dropped}.items():
        response[name] = value
    response.set_cookie("c", "1", path=None)
    closed = []
    response.add_closer(lambda: closed.append("closed"))
    result = conditional(asked(if_none_match='"a"'), response)
    assert dict(result.items()) == kept
    assert result.cookies.raw() == [b"c=1"]
    result.close()
    assert closed == ["closed"]
    assert file.closed


def test_last_modified_stays_where_there_is_no_etag() -> None:
    response = whole(Last_Modified=http_date(THEN))
    result = conditional(asked(if_modified_since=http_date(THEN)), response)
    assert dict(result.items()) == {"Last-Modified": http_date(THEN)}
