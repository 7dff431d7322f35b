"""Failures at odd places: there is a response all the same, it is one, and all is closed once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from asgi_calls import exchange

from penstock.handler import (
    ASGIHandler,
    BadHeaderError,
    ExpectingNoResponse,
    FileResponse,
    HandlerConfig,
    HttpError,
    HttpResponse,
    MiddlewareMixin,
    StreamingHttpResponse,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_django")


@pytest.mark.parametrize(
    "error",
    [
        HttpError(409, "x", {"x-why": "a\r\nset-cookie: b"}),
        HttpError(409, "x", {"not a name": "a"}),
        HttpError(409, "\ud800"),
    ],
)
@pytest.mark.parametrize("by", ["view", "error handler"])
def test_an_exception_whose_response_cannot_be_sent_is_a_500_at_its_layer(
    error: Exception, by: str, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[int] = []

    def layer(get_response: Any) -> Any:
        async def middleware(request: Any) -> Any:
            response = await get_response(request)
            seen.append(response.status_code)
            return response

        return middleware

    layer.async_capable = True  # type: ignore[attr-defined]

    async def view(request: Any) -> HttpResponse:
        raise error if by == "view" else LookupError

    def page(request: Any, failure: BaseException) -> HttpResponse:
        raise error

    config = HandlerConfig(error_handlers={500: page} if by == "error handler" else {})
    result = exchange(ASGIHandler(view, middleware=[layer], config=config))
    assert (500, b"500 Internal Server Error") == (result.status, result.body)
    assert [500] == seen
    assert "could not be made" in caplog.text


@pytest.mark.parametrize("status", ["200", None])
def test_a_status_that_is_none_is_a_500(status: Any) -> None:
    async def view(request: Any) -> HttpResponse:
        response = HttpResponse("x")
        response.status_code = status
        return response

    result = exchange(ASGIHandler(view))
    assert (500, None) == (result.status, result.error)


@pytest.mark.conformance("C013")
def test_middleware_that_raises_cancelled_error_itself_is_a_failure(signals: Any) -> None:
    class Layer(MiddlewareMixin):
        def process_request(self, request: Any) -> None:
            raise asyncio.CancelledError

    async def view(request: Any) -> HttpResponse:
        raise AssertionError

    result = exchange(ASGIHandler(view, middleware=[Layer]))
    assert (500, None) == (result.status, result.error)
    assert ["complete"] == signals.outcomes


class Foreign:
    """The least that a response of another library has."""

    status_code = 200
    streaming = False
    content = b"foreign"

    def __init__(self) -> None:
        self.cookies: dict[str, Any] = {}
        self.headers: dict[str, str] = {}
        self.closed_times = 0

    def items(self) -> Any:
        return [("X-Foreign", "1")]

    def close(self) -> None:
        self.closed_times += 1


@pytest.mark.conformance("C147")
@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_foreign_response_is_closed_once(is_replaced: bool) -> None:
    foreign = Foreign()

    async def view(request: Any) -> Foreign:
        return foreign

    def replace(request: Any, response: Any) -> HttpResponse:
        return HttpResponse("own")

    config = HandlerConfig(finalizers=(replace,) if is_replaced else ())
    result = exchange(ASGIHandler(view, config=config))
    assert (200, b"own" if is_replaced else b"foreign") == (result.status, result.body)
    assert 1 == foreign.closed_times


class AnswersItself(ASGIHandler):
    """Sends the response by means of its own."""

    answers = True

    async def send_response(self, response: Any, send: Any, request: Any = None) -> None:
        if self.answers and response.status_code == 200:
            await super().send_response(response, send, request)
        if response.status_code == 200:
            raise ExpectingNoResponse


def test_expecting_no_response_is_silent_where_there_was_one(
    signals: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def view(request: Any) -> HttpResponse:
        return HttpResponse("x")

    result = exchange(AnswersItself(view))
    assert (b"x", True, None) == (result.body, result.is_complete, result.error)
    assert ["complete"] == signals.outcomes
    assert "" == caplog.text


def test_a_file_with_trailers_is_not_handed_over(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")

    async def view(request: Any) -> FileResponse:
        response = FileResponse(tmp_path / "file")
        response.trailers = [("x-sum", "7")]
        return response

    extensions: Any = {"http.response.pathsend": {}, "http.response.trailers": {}}
    result = exchange(ASGIHandler(view), extensions=extensions)
    assert b"content" == result.body
    assert result.out[0]["trailers"] is True
    assert [(b"x-sum", b"7")] == result.out[-1]["headers"]


@pytest.mark.conformance("C153")
def test_ranges_that_only_touch_stay_apart(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")

    async def view(request: Any) -> FileResponse:
        return FileResponse(tmp_path / "file")

    result = exchange(ASGIHandler(view), headers=[(b"range", b"bytes=0-1,2-3,6-8,7-9")])
    assert 206 == result.status
    ranges = [line for line in result.body.split(b"\r\n") if line.startswith(b"Content-Range")]
    assert [b"0-1/10", b"2-3/10", b"6-9/10"] == [line.rpartition(b" ")[2] for line in ranges]


def test_hints_cannot_carry_other_headers() -> None:
    async def view(request: Any) -> HttpResponse:
        with pytest.raises(BadHeaderError):
            await request.send_early_hints(["</a>; rel=preload\r\nset-cookie: a=b"])
        return HttpResponse("x")

    result = exchange(ASGIHandler(view), extensions={"http.response.early_hint": {}})
    assert (b"x", 2) == (result.body, len(result.out))


def test_nor_can_the_attributes_of_a_cookie() -> None:
    class Lazy:
        def __str__(self) -> str:
            return "/\r\nset-cookie: a=b"

    with pytest.raises(ValueError, match="control character"):
        HttpResponse().set_cookie("a", "b", path=Lazy())  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [LookupError, asyncio.CancelledError])
@pytest.mark.parametrize("where", ["page", "its stream"])
def test_an_error_page_that_fails_in_whatever_way(
    where: str, kind: type[BaseException], signals: Any
) -> None:
    async def page(request: Any, error: BaseException) -> StreamingHttpResponse:
        if where == "page":
            raise kind

        async def content() -> AsyncIterator[bytes]:
            raise kind
            yield b""

        return StreamingHttpResponse(content())

    async def view(request: Any) -> HttpResponse:
        raise ValueError

    result = exchange(ASGIHandler(view, config=HandlerConfig(error_handlers={500: page})))
    assert (500, True, None) == (result.status, result.is_complete, result.error)
    assert b"500 Internal Server Error" == result.body
    assert ["complete"] == signals.outcomes


@pytest.mark.conformance("C185")
def test_a_second_start_does_not_reach_the_server(signals: Any) -> None:
    class Twice(ASGIHandler):
        async def send_response(self, response: Any, send: Any, request: Any = None) -> None:
            start = {"type": "http.response.start", "status": 200, "headers": []}
            await send(start)
            await send(start)

    async def view(request: Any) -> HttpResponse:
        return HttpResponse()

    result = exchange(Twice(view))
    assert ["http.response.start"] == [message["type"] for message in result.out]
    assert isinstance(result.error, RuntimeError)
    assert ["error"] == signals.outcomes


def test_an_error_page_that_fails_after_its_start_is_cut_short(signals: Any) -> None:
    error = LookupError("the page")

    async def page(request: Any, _: BaseException) -> StreamingHttpResponse:
        async def content() -> AsyncIterator[bytes]:
            yield b"part"
            raise error

        return StreamingHttpResponse(content())

    async def view(request: Any) -> StreamingHttpResponse:
        async def content() -> AsyncIterator[bytes]:
            raise ValueError
            yield b""

        return StreamingHttpResponse(content())

    result = exchange(ASGIHandler(view, config=HandlerConfig(error_handlers={500: page})))
    assert (b"part", False, error) == (result.body, result.is_complete, result.error)
    assert ["error"] == signals.outcomes
