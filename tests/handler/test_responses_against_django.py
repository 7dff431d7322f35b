"""The same constructor calls, here and in Django: the same status, headers and content.

``INTENDED`` is the whole list of where they differ on purpose.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import django.conf
import django.http
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.handler import base_response, files, json_response, response, streaming

if TYPE_CHECKING:
    from collections.abc import Callable

if not django.conf.settings.configured:
    django.conf.settings.configure()

INTENDED = {
    "nul": "NUL in a header is refused",
    "nan": "NaN and Infinity are no JSON",
    "cookie": "a cookie set again forgets the attributes that it had",
    "cookie-attribute": "a ';' or control character in a cookie's attribute is refused",
    "header-token": "a header name is a token",
}

OURS: dict[str, Any] = {
    name: getattr(module, name)
    for module in (base_response, response, json_response, streaming, files)
    for name in dir(module)
    if isinstance(getattr(module, name), type) and hasattr(django.http, name)
}


def facts(module: Any, build: Callable[[Any], Any]) -> Any:
    """What a client would get of the response, or the kind of error."""
    try:
        built = build(module)
        return (
            built.status_code,
            [(name.lower(), value) for name, value in built.items()],
            [cookie.OutputString() for cookie in built.cookies.values()],
            built.getvalue(),
            built.reason_phrase,
            repr(built),
        )
    except Exception as error:
        kinds = (TypeError, ValueError, AttributeError)
        builtin = [kind.__name__ for kind in kinds if isinstance(error, kind)]
        return builtin[0] if builtin else type(error).__name__


class Ours:
    """Stands for ``django.http``."""

    def __getattr__(self, name: str) -> Any:
        return OURS[name]


def cookies(http: Any) -> Any:
    built = http.HttpResponse()
    built.set_cookie("a", "b c", path="/x", domain="d", secure=True, httponly=True, samesite="Lax")
    built.set_cookie("b", "é", path=None)
    built.set_cookie("c", expires="Thu, 01 Jan 2026 00:00:00 GMT")
    built.delete_cookie("__Host-d")
    return built


def changed(http: Any) -> Any:
    built = http.HttpResponse("a", status=201)
    built["X-B"] = "1"
    built["Content-Type"] = "text/plain"
    built.write("é")
    built.writelines(["1", b"2"])
    del built["x-b"]
    built.setdefault("X-C", "3")
    return built


def file(
    content: bytes, *, at: int = 0, name: str | None = None, **options: Any
) -> Callable[[Any], Any]:
    def build(http: Any) -> Any:
        opened = io.BytesIO(content)
        if name is not None:
            opened.name = name
        opened.seek(at)
        return http.FileResponse(opened, **options)

    return build


CASES: dict[str, Callable[[Any], Any]] = {
    "empty": lambda http: http.HttpResponse(),
    "text": lambda http: http.HttpResponse("é", content_type="text/plain"),
    "charset": lambda http: http.HttpResponse("é", charset="latin-1"),
    "charset of the type": lambda http: http.HttpResponse("é", content_type="a/b; charset=latin-1"),
    "headers": lambda http: http.HttpResponse(headers={"X-A": 1, "Content-Type": "a/b"}),
    "word": lambda http: http.HttpResponse(headers={"X-A": "snow ☃ man", "X-B": "é", "X-C": "☃"}),
    "twice": lambda http: http.HttpResponse(content_type="a/b", headers={"Content-Type": "a/b"}),
    "crlf": lambda http: http.HttpResponse(headers={"X-A": "a\r\nb"}),
    "status": lambda http: http.HttpResponse(status="404", reason="Gone Fishing"),
    "bad status": lambda http: http.HttpResponse(status="x"),
    "small status": lambda http: http.HttpResponse(status=99),
    "changed": changed,
    "cookies": cookies,
    "samesite": lambda http: http.HttpResponse().set_cookie("a", samesite="x"),
    "list": lambda http: http.HttpResponse(["a", b"b", 3]),
    "number": lambda http: http.HttpResponse(3),
    "redirect": lambda http: http.HttpResponseRedirect("/é ü?a=b#c"),
    "redirect 308": lambda http: http.HttpResponsePermanentRedirect("/a", preserve_request=True),
    "javascript": lambda http: http.HttpResponseRedirect("javascript:x"),
    "long": lambda http: http.HttpResponseRedirect("/" * 16_384),
    "too long": lambda http: http.HttpResponseRedirect("/" * 16_385),
    "hidden javascript": lambda http: http.HttpResponseRedirect("\x01JavaScript:x"),
    "304": lambda http: http.HttpResponseNotModified(),
    "304 content": lambda http: http.HttpResponseNotModified("x"),
    "405": lambda http: http.HttpResponseNotAllowed(["GET", "HEAD"], "no"),
    "400": lambda http: http.HttpResponseBadRequest("a"),
    "403": lambda http: http.HttpResponseForbidden("a"),
    "404": lambda http: http.HttpResponseNotFound("a"),
    "410": lambda http: http.HttpResponseGone("a"),
    "500": lambda http: http.HttpResponseServerError("a"),
    "json": lambda http: http.JsonResponse({"a": [1, 2.5, None, "é"]}),
    "json list": lambda http: http.JsonResponse([1]),
    "json unsafe": lambda http: http.JsonResponse([1], safe=False, status=201),
    "json params": lambda http: http.JsonResponse(
        {"b": 1, "a": 2}, json_dumps_params={"indent": 1}
    ),
    "stream": lambda http: http.StreamingHttpResponse(["a", b"b", 3]),
    "stream content": lambda http: http.StreamingHttpResponse(["a"]).content,
    "file": file(b"abc", name="/tmp/a.txt"),
    "file from 1": file(b"abc", at=1, filename="x/y.tar.gz"),
    "attachment": file(b"abc", filename='a"b\\c.css', as_attachment=True),
    "named in Greek": file(b"abc", filename="ω.pdf", as_attachment=True),
    "nameless": file(b"abc"),
    "nameless attachment": file(b"abc", as_attachment=True),
    "typed": file(b"abc", filename="a.css", content_type="x/y"),
    "control": file(b"abc", filename="a\x01b.json"),
}


@pytest.mark.parametrize("name", CASES)
def test_same_calls_same_response(name: str) -> None:
    assert facts(Ours(), CASES[name]) == facts(django.http, CASES[name])


@given(
    st.text(max_size=10),
    st.sampled_from([None, "latin-1", "utf-16", "ascii"]),
    st.none() | st.sampled_from(["text/plain", 'a/b; charset="koi8-r"', "a/b; charset=ascii"]),
    st.dictionaries(
        st.sampled_from(["X-A", "x-a", "Location"]),
        st.text(
            st.characters(
                codec="utf-8", exclude_characters="\0\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
            )
        ),
    ),
)
def test_any_text_charset_and_header(
    text: str, charset: str | None, content_type: str | None, headers: dict[str, str]
) -> None:
    def build(http: Any) -> Any:
        return http.HttpResponse(text, content_type, charset=charset, headers=headers)

    assert facts(Ours(), build) == facts(django.http, build)


@pytest.mark.parametrize(
    ("difference", "build"),
    [
        ("nul", lambda http: http.HttpResponse(headers={"a": "\0"})),
        ("nan", lambda http: http.JsonResponse({"a": float("nan")})),
        ("cookie-attribute", lambda http: http.HttpResponse().set_cookie("a", path="/;b=c")),
        ("header-token", lambda http: http.HttpResponse(headers={"a b": "c"})),
    ],
)
def test_intended_differences_are_refusals(difference: str, build: Callable[[Any], Any]) -> None:
    assert INTENDED[difference]
    ours, theirs = facts(Ours(), build), facts(django.http, build)
    assert isinstance(ours, str)
    assert ours != theirs


def test_a_cookie_set_again_starts_afresh() -> None:
    def build(http: Any) -> Any:
        built = http.HttpResponse()
        built.set_cookie("a", "1", path=None, secure=True)
        built.set_cookie("a", "2", path=None)
        return built

    assert INTENDED["cookie"]
    assert facts(Ours(), build)[2] == ["a=2"]
    assert facts(django.http, build)[2] == ["a=2; Secure"]
