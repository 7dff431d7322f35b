"""Response objects by themselves: status, content, charset, headers, closing, JSON, redirects."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest

from penstock.handler.base_response import HttpResponseBase, default_charset
from penstock.handler.exceptions import DisallowedRedirect
from penstock.handler.response import (
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseNotFound,
    HttpResponseNotModified,
    HttpResponsePermanentRedirect,
    HttpResponseRangeNotSatisfiable,
    HttpResponseRedirect,
    HttpResponseSeeOther,
)
from penstock.handler.signals import request_finished

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.conformance("C123")
def test_a_status_is_a_number_from_100_to_599() -> None:
    assert HttpResponse(status=HTTPStatus.CREATED).status_code == 201
    assert HttpResponse(status="204").status_code == 204
    assert HttpResponse().status_code == 200
    wrongs: tuple[Any, ...] = ("ok", object(), [], "20x")
    for wrong in wrongs:
        with pytest.raises(TypeError, match="whole number"):
            HttpResponse(status=wrong)
    for wrong in (99, 600, -1, "1000"):
        with pytest.raises(ValueError, match="100 to 599"):
            HttpResponse(status=wrong)


def test_the_reason_follows_the_status_and_may_be_set() -> None:
    response = HttpResponse(status=404)
    assert response.reason_phrase == "Not Found"
    response.status_code = 599
    assert response.reason_phrase == "Unknown Status Code"
    response.reason_phrase = "As You Like It"
    assert response.reason_phrase == "As You Like It"
    with pytest.raises(ValueError, match="control characters"):
        HttpResponse(reason="a\r\nb")


class Closing:
    """An iterable that knows that it was closed."""

    def __init__(self, *parts: object) -> None:
        self.parts = parts
        self.closed = 0

    def __iter__(self) -> Iterator[object]:
        return iter(self.parts)

    def close(self) -> None:
        self.closed += 1


@pytest.mark.conformance("C124")
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("é", "é".encode()),
        (b"\xff", b"\xff"),
        (memoryview(b"abc")[1:], b"bc"),
        (bytearray(b"abc"), b"abc"),
        (7, b"7"),
        (None, b"None"),
        (["a", b"b", 3, memoryview(b"d")], b"ab3d"),
        ((part for part in "xyz"), b"xyz"),
    ],
)
def test_content_of_every_kind_becomes_bytes(content: object, expected: bytes) -> None:
    response = HttpResponse(content)
    assert response.content == expected
    assert response.content is response.content
    assert b"".join(response) == response.getvalue() == expected
    assert response.tell() == len(expected)


@pytest.mark.conformance("C124")
def test_an_iterable_is_read_and_closed_at_once_even_if_it_fails() -> None:
    parts = Closing("a", "b")
    assert HttpResponse(parts).content == b"ab"
    assert parts.closed == 1
    failing = Closing("\ud800")
    with pytest.raises(UnicodeEncodeError):
        HttpResponse(failing)
    assert failing.closed == 1


def test_text_is_decoded_anew_after_a_change() -> None:
    response = HttpResponse("é", charset="latin-1")
    assert (response.text, response.content) == ("é", b"\xe9")
    response.write("à")
    assert response.text == "éà"
    response.content = "ü"
    assert response.text == "ü"
    response.writelines(["a", "b"])
    assert response.text == "üab"


def test_bytes_given_are_not_copied() -> None:
    content = b"x" * 100
    assert HttpResponse(content).content is content


@pytest.mark.conformance("C125")
@pytest.mark.parametrize(
    ("options", "charset", "content_type"),
    [
        ({}, "utf-8", "text/html; charset=utf-8"),
        ({"charset": "latin-1"}, "latin-1", "text/html; charset=latin-1"),
        ({"content_type": "text/plain"}, "utf-8", "text/plain"),
        ({"content_type": 'text/plain; charset="koi8-r"'}, "koi8-r", None),
        ({"content_type": "text/plain; Charset=koi8-r; x=y"}, "koi8-r", None),
        ({"content_type": "text/plain; charset=koi8-r", "charset": "ascii"}, "ascii", None),
        ({"headers": {"Content-Type": "a/b; charset=koi8-r"}}, "koi8-r", None),
        ({"content_type": 'text/plain; charset=""'}, "", None),
        ({"content_type": ""}, "utf-8", ""),
    ],
)
def test_charset_is_the_one_given_else_that_of_the_content_type(
    options: dict[str, Any], charset: str, content_type: str | None
) -> None:
    response = HttpResponse("a", **options)
    assert response.charset == charset
    assert response.content == b"a"
    assert response.text == "a"
    if content_type is not None:
        assert response["content-type"] == content_type


@pytest.mark.conformance("C125")
def test_the_default_charset_is_that_of_the_handler() -> None:
    token = default_charset.set("latin-1")
    try:
        response = HttpResponse("é")
        assert response.content == b"\xe9"
        assert response["Content-Type"] == "text/html; charset=latin-1"
        del response["Content-Type"]
        assert response.charset == "latin-1"
    finally:
        default_charset.reset(token)


@pytest.mark.conformance("C126")
def test_a_content_type_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="once"):
        HttpResponse(content_type="a/b", headers={"content-type": "c/d"})
    assert HttpResponse(headers={"CONTENT-TYPE": "c/d"})["content-type"] == "c/d"


def test_headers_through_the_response() -> None:
    response = HttpResponse(headers=[("X-A", "1")])
    response["x-a"] = "2"
    response.setdefault("X-A", "3")
    response.setdefault("X-B", "4")
    del response["x-none"]
    assert response["X-a"] == response.get("x-A") == "2"
    assert response.get("x-none", "no") == "no"
    assert "x-b" in response
    assert response.has_header("X-B")
    assert list(response.items())[0::2] == [("x-a", "2"), ("X-B", "4")]
    assert response.serialize_headers().splitlines()[-1] == b"X-B: 4"
    assert bytes(response).endswith(b"X-B: 4\r\n\r\n")


def test_the_base_class_is_no_writable_file() -> None:
    base = HttpResponseBase()
    for call in (base.tell, lambda: base.write("x"), lambda: base.writelines(["x"])):
        with pytest.raises(OSError, match="This HttpResponseBase instance"):
            call()
    base.flush()
    assert (base.readable(), base.seekable(), base.writable()) == (False, False, False)
    assert HttpResponse().writable()


class Recorder:
    """Counts request_finished while it is there."""

    def __init__(self) -> None:
        self.responses: list[Any] = []

    def __call__(self, response: Any, **kwargs: Any) -> None:
        self.responses.append(response)


@pytest.fixture
def finished() -> Iterator[list[Any]]:
    recorder = Recorder()
    request_finished.connect(recorder)
    yield recorder.responses
    request_finished.disconnect(recorder)


@pytest.mark.conformance("C131")
def test_closers_run_in_order_and_errors_are_logged(
    finished: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    response = HttpResponse()
    calls: list[str] = []
    response.add_closer(lambda: calls.append("first"))
    response.add_closer(lambda: 1 / 0)

    async def later() -> None:
        calls.append("async")

    response.add_closer(later)
    response._resource_closers.append(lambda: calls.append("last"))
    with caplog.at_level(logging.ERROR):
        response.close()
        response.close()
    assert calls == ["first", "async", "last"]
    assert response.closed
    assert [record.name for record in caplog.records] == ["penstock.request"]
    assert caplog.records[0].exc_info
    assert finished == [response]


@pytest.mark.conformance("C131")
def test_closing_from_async_code(finished: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    response = HttpResponse()
    calls: list[str] = []

    async def fails() -> None:
        calls.append("async fails")
        raise ValueError

    response.add_closer(lambda: calls.append("first"))
    response.add_closer(lambda: 1 / 0)
    response.add_closer(fails)
    response.add_closer(lambda: calls.append("last"))

    async def close_twice() -> None:
        await response.aclose()
        await response.aclose()
        response.close()

    asyncio.run(close_twice())
    assert calls == ["first", "async fails", "last"]
    assert len(caplog.records) == 2
    assert finished == [response]


@pytest.mark.conformance("C131")
def test_a_response_that_a_handler_owns_sends_no_signal(finished: list[Any]) -> None:
    for close in (HttpResponse.close, lambda response: asyncio.run(response.aclose())):
        response = HttpResponse()
        response._handler_class = None
        close(response)
    assert finished == []


def test_every_closer_runs_although_the_task_is_cancelled() -> None:
    calls: list[str] = []

    async def main() -> None:
        response = HttpResponse()
        response._handler_class = None
        waiting = asyncio.Event()

        async def waits() -> None:
            waiting.set()
            await asyncio.Event().wait()

        async def last() -> None:
            calls.append("last")

        response.add_closer(waits)
        response.add_closer(last)
        task = asyncio.create_task(response.aclose())
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert calls == ["last"]


@pytest.mark.conformance("C132")
def test_redirects_and_their_statuses() -> None:
    for kind, status, preserving in (
        (HttpResponseRedirect, 302, 307),
        (HttpResponsePermanentRedirect, 301, 308),
        (HttpResponseSeeOther, 303, 307),
    ):
        assert kind("/a").status_code == status
        assert kind("/a", preserve_request=True).status_code == preserving
    assert HttpResponseRedirect("/é?x=ü#%41").url == "/%C3%A9?x=%C3%BC#%41"


@pytest.mark.conformance("C132")
@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "\tjavascript:alert(1)",
        " \x01javascript:x",
        "java\nscript:x",
        "mailto:a@b",
    ],
)
def test_redirects_to_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(DisallowedRedirect, match="scheme"):
        HttpResponseRedirect(url)


@pytest.mark.conformance("C132")
def test_the_length_of_a_redirect_is_limited() -> None:
    class Lazy:
        def __str__(self) -> str:
            return "https://example.org/" + "a" * 16_364

    assert HttpResponseRedirect(Lazy()).url == str(Lazy())
    with pytest.raises(DisallowedRedirect, match="16385 characters"):
        HttpResponseRedirect(f"{Lazy()}a")
    assert len(HttpResponseRedirect(f"{Lazy()}a", max_length=None).url) == 16_385
    with pytest.raises(DisallowedRedirect):
        HttpResponseRedirect("/abc", max_length=3)
    for harmless in ("//other/p", "p", "?q=1", "#f", "ftp://a/b", "HTTPS://a"):
        assert HttpResponseRedirect(harmless).status_code == 302


@pytest.mark.conformance("C133")
def test_304_405_416_and_repr() -> None:
    not_modified = HttpResponseNotModified()
    assert "content-type" not in not_modified
    not_modified.content = b""
    with pytest.raises(AttributeError, match="304"):
        not_modified.content = b"x"
    with pytest.raises(AttributeError, match="304"):
        HttpResponseNotModified("x")
    not_allowed = HttpResponseNotAllowed(["GET", "POST"])
    assert not_allowed["Allow"] == "GET, POST"
    assert HttpResponseRangeNotSatisfiable(size=10)["Content-Range"] == "bytes */10"
    assert repr(not_modified) == "<HttpResponseNotModified status_code=304>"
    assert (
        repr(not_allowed)
        == '<HttpResponseNotAllowed [GET, POST] status_code=405, "text/html; charset=utf-8">'
    )
    assert (
        repr(HttpResponseRedirect("/a"))
        == '<HttpResponseRedirect status_code=302, "text/html; charset=utf-8", url="/a">'
    )
    assert (
        repr(HttpResponseNotFound(content_type="a/b"))
        == '<HttpResponseNotFound status_code=404, "a/b">'
    )
