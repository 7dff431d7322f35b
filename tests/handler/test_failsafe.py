"""Exceptions become responses: C118 to C122."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from typing import Any

import django.core.exceptions
import django.http
import django.http.multipartparser
import django.urls
import pytest
from asgi_calls import exchange

from penstock.handler import ASGIHandler, ASGIRequest, HandlerConfig, HttpResponse, path
from penstock.handler import exceptions as ours

pytestmark = pytest.mark.usefixtures("no_django")
REQUEST = "penstock.request"
SECURITY = "penstock.security"
TABLE = [
    (ours.Http404(), 404, REQUEST, logging.WARNING),
    (ours.Resolver404("/x"), 404, REQUEST, logging.WARNING),
    (ours.MethodNotAllowed(["POST", "GET"]), 405, REQUEST, logging.WARNING),
    (ours.PermissionDenied(), 403, REQUEST, logging.WARNING),
    (ours.BadRequest("no"), 400, REQUEST, logging.WARNING),
    (ours.MultiPartParserError("no"), 400, REQUEST, logging.WARNING),
    (ours.RequestDataTooBig(), 413, f"{SECURITY}.RequestDataTooBig", logging.ERROR),
    (ours.SuspiciousOperation(), 400, f"{SECURITY}.SuspiciousOperation", logging.ERROR),
    (ours.DisallowedHost(), 400, f"{SECURITY}.DisallowedHost", logging.ERROR),
    (ours.TooManyFieldsSent(), 400, f"{SECURITY}.TooManyFieldsSent", logging.ERROR),
    (ours.TooManyFilesSent(), 400, f"{SECURITY}.TooManyFilesSent", logging.ERROR),
    (ours.DisallowedRedirect(), 400, f"{SECURITY}.DisallowedRedirect", logging.ERROR),
    (ours.NotAcceptable(), 406, REQUEST, logging.WARNING),
    (ours.UnsupportedMediaType(), 415, REQUEST, logging.WARNING),
    (ours.RequestTimeout(), 408, REQUEST, logging.WARNING),
    (ours.HttpError(409, "taken", {"x-why": "name"}), 409, REQUEST, logging.WARNING),
    (ours.HttpError(503), 503, REQUEST, logging.ERROR),
    (ours.BadGateway(), 502, REQUEST, logging.ERROR),
    (RuntimeError("bug"), 500, REQUEST, logging.ERROR),
    (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), 500, REQUEST, logging.ERROR),
]
DJANGO = [
    (django.http.Http404(), 404, REQUEST, logging.WARNING),
    (django.urls.Resolver404({"path": "x"}), 404, REQUEST, logging.WARNING),
    (django.core.exceptions.PermissionDenied(), 403, REQUEST, logging.WARNING),
    (django.core.exceptions.BadRequest(), 400, REQUEST, logging.WARNING),
    (django.http.multipartparser.MultiPartParserError(), 400, REQUEST, logging.WARNING),
    (
        django.core.exceptions.RequestDataTooBig(),
        413,
        f"{SECURITY}.RequestDataTooBig",
        logging.ERROR,
    ),
    (django.core.exceptions.DisallowedHost(), 400, f"{SECURITY}.DisallowedHost", logging.ERROR),
]


def raising(error: BaseException, *, is_async: bool = True) -> Any:
    async def view(request: Any) -> HttpResponse:
        raise error

    def sync_view(request: Any) -> HttpResponse:
        raise error

    return view if is_async else sync_view


@pytest.mark.conformance("C118", "C120")
@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize(("error", "status", "logger", "level"), TABLE + DJANGO)
def test_the_table(
    signals: Any,
    caplog: pytest.LogCaptureFixture,
    error: BaseException,
    status: int,
    logger: str,
    level: int,
    is_async: bool,
) -> None:
    result = exchange(ASGIHandler(raising(error, is_async=is_async)))
    assert status == result.status
    (record,) = caplog.records
    assert (logger, level, status) == (record.name, record.levelno, record.status_code)  # type: ignore[attr-defined]
    assert (status == 500) == (record.exc_info is not None)
    assert ([error] if status == 500 else []) == [
        fields["exception"] for fields in signals.of("failed")
    ]
    assert b"bug" not in result.body


@pytest.mark.conformance("C118")
def test_what_errors_carry_reaches_the_client() -> None:
    result = exchange(ASGIHandler(raising(ours.HttpError(409, "taken", {"x-why": "name"}))))
    assert (b"taken", "name") == (result.body, result.header("x-why"))
    assert "GET, POST" == exchange(
        ASGIHandler(raising(ours.MethodNotAllowed(["POST", "GET"])))
    ).header("allow")


def test_http_error_takes_error_statuses_only() -> None:
    for status in (200, 399, 600):
        with pytest.raises(ValueError, match="expected 400 to 599"):
            ours.HttpError(status)


def test_a_response_with_an_error_status_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def gone(request: Any) -> HttpResponse:
        return HttpResponse(status=410)

    exchange(ASGIHandler(gone))
    assert [("Gone: /", logging.WARNING)] == [
        (record.getMessage(), record.levelno) for record in caplog.records
    ]


def saying(text: str) -> Any:
    async def handler(request: Any, error: BaseException) -> HttpResponse:
        return HttpResponse(f"{text} {type(error).__name__}", status=444)

    return handler


def sync_saying(text: str) -> Any:
    def handler(request: Any, error: BaseException) -> HttpResponse:
        return HttpResponse(f"{text} {type(error).__name__}", status=444)

    return handler


def broken_handler(request: Any, error: BaseException) -> HttpResponse:
    raise ValueError("the handler's own")


@pytest.mark.conformance("C119")
@pytest.mark.parametrize("make", [saying, sync_saying])
@pytest.mark.parametrize("is_async", [True, False])
def test_custom_handlers_by_class_beat_those_by_status(make: Any, is_async: bool) -> None:
    def body(error: BaseException, handlers: Any) -> bytes:
        view = raising(error, is_async=is_async)
        return exchange(ASGIHandler(view, config=HandlerConfig(error_handlers=handlers))).body

    handlers = {404: make("status"), LookupError: make("class"), 500: make("any")}
    assert b"status Http404" == body(ours.Http404(), handlers)
    assert b"class KeyError" == body(KeyError(), handlers)
    assert b"any OSError" == body(OSError(), handlers)
    assert b"class Http404" == body(ours.Http404(), {**handlers, ours.Http404: make("class")})


@pytest.mark.conformance("C119")
def test_a_failing_handler_is_a_500(signals: Any) -> None:
    config = HandlerConfig(error_handlers={404: broken_handler})
    result = exchange(ASGIHandler(raising(ours.Http404()), config=config))
    assert (500, b"500 Internal Server Error") == (result.status, result.body)
    assert ["the handler's own"] == [str(one["exception"]) for one in signals.of("failed")]
    config = HandlerConfig(error_handlers={404: broken_handler, 500: saying("last")})
    result = exchange(ASGIHandler(raising(ours.Http404()), config=config))
    assert b"last ValueError" == result.body


@pytest.mark.conformance("C119")
@pytest.mark.parametrize("is_async", [True, False])
def test_a_failing_handler_for_500_is_plain_text(is_async: bool) -> None:
    config = HandlerConfig(error_handlers={500: broken_handler})
    result = exchange(ASGIHandler(raising(RuntimeError(), is_async=is_async), config=config))
    assert (500, b"500 Internal Server Error") == (result.status, result.body)
    assert "text/plain; charset=utf-8" == result.header("content-type")


def test_a_handler_may_return_an_unrendered_response() -> None:
    class Template(HttpResponse):
        is_rendered = False

        def render(self) -> Template:
            self.content = b"rendered"
            return self

    def handler(request: Any, error: BaseException) -> HttpResponse:
        return Template()

    config = HandlerConfig(error_handlers={404: handler})
    assert b"rendered" == exchange(ASGIHandler([], config=config)).body


@pytest.mark.conformance("C120")
def test_django_is_not_imported_to_know_its_exceptions() -> None:
    program = """
import asyncio, sys
from penstock.handler import ASGIHandler
async def view(request): raise LookupError
async def receive(): return {"type": "http.request"}
async def send(message): print(message.get("status", ""))
scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
asyncio.run(ASGIHandler(view)(scope, receive, send))
print([name for name in sys.modules if name.partition(".")[0] == "django"])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ["500", "[]"] == done.stdout.split()


@pytest.mark.conformance("C121")
def test_an_error_page_may_touch_the_form_of_a_body_that_was_too_large() -> None:
    def page(request: Any, error: BaseException) -> HttpResponse:
        return HttpResponse(f"{dict(request.POST)} {dict(request.FILES)}", status=413)

    def view(request: Any) -> HttpResponse:
        return HttpResponse(str(request.POST))

    config = HandlerConfig(data_upload_max_memory_size=5, error_handlers={413: page})
    result = exchange(
        ASGIHandler(view, config=config),
        method="POST",
        body=b"a=123456",
        headers=[(b"content-type", b"application/x-www-form-urlencoded")],
    )
    assert (413, b"{} {}") == (result.status, result.body)


@pytest.mark.conformance("C122")
def test_a_path_cannot_inject_lines_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    exchange(ASGIHandler([path("x", raising(RuntimeError()))]), "/a\nERROR forged\r\x1b[31m")
    (record,) = caplog.records
    assert record.getMessage().isprintable()
    assert "\\nERROR forged\\r\\x1b[31m" in record.getMessage()


def test_debug_bodies_have_the_traceback_and_no_secrets() -> None:
    handler = ASGIHandler(raising(RuntimeError("why")), config=HandlerConfig(debug=True))
    names = [
        "Authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "x-amz-security-token",
        "x-csrftoken",
        "x-hub-signature-256",
        "x-vault-password",
    ]
    sent = [(name.encode(), b"hidden") for name in names]
    result = exchange(handler, headers=[*sent, (b"x-shown", b"shown")])
    assert 500 == result.status
    assert b"RuntimeError: why" in result.body
    assert b"x-shown: shown" in result.body
    assert b"hidden" not in result.body
    for name in names:
        assert f"{name}: ********".encode() in result.body


@pytest.mark.conformance("C118")
def test_a_failure_in_making_the_request_is_one_like_any_other(
    signals: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(ASGIRequest):
        def __init__(self, *args: Any) -> None:
            raise LookupError("of our own")

    class Handler(ASGIHandler):
        request_class = Broken

    result = exchange(Handler(raising(AssertionError())))
    assert (500, b"500 Internal Server Error", None) == (result.status, result.body, result.error)
    assert ["started", "failed", "finished"] == signals.names
    (failed,) = signals.of("failed")
    assert failed["request"] is None
    assert isinstance(failed["exception"], LookupError)
    assert "LookupError: of our own" in caplog.text


def test_a_failing_receiver_of_got_request_exception_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from penstock.handler import got_request_exception

    def receiver(**fields: Any) -> None:
        raise ValueError("receiver")

    got_request_exception.connect(receiver)
    try:
        result = exchange(ASGIHandler(raising(RuntimeError())))
    finally:
        got_request_exception.disconnect(receiver)
    assert 500 == result.status
    assert "ValueError: receiver" in caplog.text


def test_handle_uncaught_exception_is_plain_text() -> None:
    handler = ASGIHandler(raising(RuntimeError()))
    error = LookupError("x")
    response = handler.handle_uncaught_exception(None, None, (LookupError, error, None))
    assert (500, b"500 Internal Server Error") == (response.status_code, response.content)
    asyncio.run(response.aclose())


def test_an_exception_without_a_text_and_one_with_odd_headers() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise LookupError

    odd = ours.HttpError(403, headers={"x": "1"})
    odd.headers = None  # type: ignore[assignment]
    for error, status in ((Silent(), 500), (odd, 500)):
        result = exchange(ASGIHandler(raising(error)))
        assert (status, None) == (result.status, result.error)


@pytest.mark.parametrize(
    ("status", "level"), [(399, None), (400, "WARNING"), (499, "WARNING"), (500, "ERROR")]
)
def test_the_level_of_a_response_that_the_view_gives(
    status: int, level: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    async def view(request: Any) -> HttpResponse:
        return HttpResponse(status=status)

    exchange(ASGIHandler(view))
    assert ([] if level is None else [level]) == [record.levelname for record in caplog.records]


@pytest.mark.parametrize(("sent", "logged"), [("é", "\\xe9"), ("\n", "\\n"), ("\u202e", "\\u202e")])
def test_a_path_is_logged_in_ascii(
    sent: str, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    exchange(ASGIHandler(raising(ours.Http404())), f"/{sent}")
    assert [f"Not Found: /{logged}"] == [record.getMessage() for record in caplog.records]


def test_a_handler_for_500_that_fails_is_not_asked_again() -> None:
    calls = 0

    async def failing(request: Any, error: BaseException) -> HttpResponse:
        nonlocal calls
        calls += 1
        raise RuntimeError("again")

    config = HandlerConfig(error_handlers={500: failing})
    result = exchange(ASGIHandler(raising(RuntimeError("bug")), config=config))
    assert (500, b"500 Internal Server Error", 1) == (result.status, result.body, calls)


def test_an_error_page_may_ask_for_the_form_that_was_too_large() -> None:
    async def view(request: Any) -> HttpResponse:
        return HttpResponse(str(request.POST))

    def page(request: Any, error: BaseException) -> HttpResponse:
        return HttpResponse(f"{len(request.POST)} fields", status=413)

    config = HandlerConfig(
        error_handlers={ours.TooManyFieldsSent: page}, data_upload_max_number_fields=2
    )
    headers = [(b"content-type", b"application/x-www-form-urlencoded")]
    result = exchange(
        ASGIHandler(view, config=config), method="POST", body=b"a=1&b=2&c=3", headers=headers
    )
    assert (413, b"0 fields") == (result.status, result.body)


def test_an_error_page_that_is_rendered_is_not_rendered_again() -> None:
    class Page(HttpResponse):
        is_rendered = True

        def render(self) -> Any:
            raise AssertionError

    async def page(request: Any, error: BaseException) -> HttpResponse:
        return Page("page", status=404)

    config = HandlerConfig(error_handlers={404: page})
    result = exchange(ASGIHandler(raising(ours.Http404()), config=config))
    assert (404, b"page") == (result.status, result.body)
