"""The same views and messages through Django's ASGIHandler and ours: what is sent must be the same.

``DIFFERENCES`` lists where it is meant to differ, and why; a difference that has gone is an error,
too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import django.conf
import pytest
from asgi_calls import END, GONE, Result, Server, http_scope, parts, run, serve

if not django.conf.settings.configured:
    django.conf.settings.configure()

import django.core.exceptions
import django.http
import django.urls
from django.core.handlers.asgi import ASGIHandler as DjangoHandler
from django.test import override_settings

import penstock.handler as ours
from penstock.handler import ASGIHandler, path

if TYPE_CHECKING:
    from collections.abc import Callable

FORM = (b"content-type", b"application/x-www-form-urlencoded")
MULTIPART = (b"content-type", b"multipart/form-data; boundary=b")
FILE = (
    b'--b\r\nContent-Disposition: form-data; name="t"\r\n\r\ntext\r\n'
    b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\nfile\r\n--b--\r\n"
)


class TheirNames:
    """Django's names for what the views use."""

    def __getattr__(self, name: str) -> Any:
        for module in (django.http, django.core.exceptions):
            if hasattr(module, name):
                return getattr(module, name)
        raise AttributeError(name)


# The views: `lib` is penstock.handler or Django.


def text(lib: Any, request: Any) -> Any:
    return lib.HttpResponse("hello, é", status=201, headers={"X-One": "1"})


def cookies(lib: Any, request: Any) -> Any:
    response = lib.HttpResponse(str(sorted(request.COOKIES.items())))
    response.set_cookie("a", "1", max_age=10, expires="x", path="/p", secure=True, samesite="lax")
    response.set_cookie("b", 'quoted "value"; é')
    response.delete_cookie("c")
    return response


def query(lib: Any, request: Any) -> Any:
    return lib.HttpResponse(f"{sorted(request.GET.lists())} {request.META['QUERY_STRING']}")


def environment(lib: Any, request: Any) -> Any:
    meta = {key: value for key, value in request.META.items() if key not in EXTRA_META}
    return lib.HttpResponse(f"{sorted(meta.items())} {request.method} {request.path}")


EXTRA_META = {"SERVER_PROTOCOL", "wsgi.url_scheme", "CONTENT_LENGTH"}


def addresses(lib: Any, request: Any) -> Any:
    return lib.HttpResponse(
        f"{request.get_host()} {request.get_port()} {request.get_full_path()} {request.path_info}"
        f" {request.build_absolute_uri()} {request.build_absolute_uri('../x?y=é#z')}"
    )


def body(lib: Any, request: Any) -> Any:
    return lib.HttpResponse(request.body + request.read())


def form(lib: Any, request: Any) -> Any:
    files = [(name, one.name, one.size, one.content_type) for name, one in request.FILES.items()]
    return lib.HttpResponse(f"{sorted(request.POST.lists())} {files}")


def stream(lib: Any, request: Any) -> Any:
    return lib.StreamingHttpResponse(iter([b"a", "b", b"", b"c"]))


def json(lib: Any, request: Any) -> Any:
    return lib.JsonResponse({"a": [1, 2.5, None, True, "é"]})


def redirect(lib: Any, request: Any) -> Any:
    return lib.HttpResponseRedirect("/é?a=b c")


def gone(lib: Any, request: Any) -> Any:
    return lib.HttpResponseGone("gone")


def not_allowed(lib: Any, request: Any) -> Any:
    return lib.HttpResponseNotAllowed(["GET", "POST"])


def no_content(lib: Any, request: Any) -> Any:
    return lib.HttpResponse("content", status=204)


def not_found(lib: Any, request: Any) -> Any:
    raise lib.Http404


def forbidden(lib: Any, request: Any) -> Any:
    raise lib.PermissionDenied


def suspicious(lib: Any, request: Any) -> Any:
    raise lib.SuspiciousOperation


def bug(lib: Any, request: Any) -> Any:
    raise LookupError


VIEWS: list[Callable[[Any, Any], Any]] = [
    text, cookies, query, environment, addresses, body, form, stream, json, redirect, gone,
    not_allowed, no_content, not_found, forbidden, suspicious, bug,
]  # fmt: skip


@dataclass(frozen=True)
class Case:
    target: str
    method: str = "GET"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    messages: tuple[Any, ...] = (END,)
    scope: tuple[tuple[str, Any], ...] = ()


def post(target: str, *bodies: bytes, headers: Any = (), length: bool = True) -> Case:
    size = (b"content-length", str(len(b"".join(bodies))).encode())
    sent = (*headers, size) if length else tuple(headers)
    return Case(target, "POST", sent, tuple(parts(*bodies)))


CASES = {
    "text": Case("/text"),
    "head": Case("/text", "HEAD"),
    "cookies": Case("/cookies", headers=((b"cookie", b'a=1; b="q\\"x"; c'),)),
    "utf-8 cookies": Case("/cookies", headers=((b"cookie", "a=é".encode()),)),
    "two cookie headers": Case("/cookies", headers=((b"cookie", b"a=1"), (b"cookie", b"b=2"))),
    "query": Case("/query?a=1&a=2&b=&c&d=%C3%A9;x"),
    "query not utf-8": Case("/query", scope=(("query_string", b"\xff"),)),
    "environment": Case(
        "/environment?q=1", headers=((b"host", b"h"), (b"x-a", b"1"), (b"x-a", b"2"))
    ),
    "underscore": Case("/environment", headers=((b"x_a", b"1"),)),
    "no client, no server": Case("/environment", scope=(("client", None), ("server", None))),
    "unix socket": Case("/environment", scope=(("server", ("/run/app.sock", None)),)),
    "header in mixed case": Case("/environment", headers=((b"Content-Type", b"text/plain"),)),
    "addresses": Case("/addresses?q=é%20x", headers=((b"host", b"example.com:8000"),)),
    "root path": Case("/stage/addresses", scope=(("root_path", "/stage"),)),
    "bad host": Case("/addresses", headers=((b"host", b"a b"),)),
    "body": post("/body", b"abc", b"", b"def"),
    "body read in full": post("/body", b"x" * 100),
    "form": post("/form", b"a=1&a=2&b=%C3%A9+x", headers=(FORM,)),
    "form not utf-8": post("/form", b"a=%E9", headers=(FORM,)),
    "form in latin-1": post("/form", b"a=1", headers=((FORM[0], FORM[1] + b"; charset=latin-1"),)),
    "json is no form": post("/form", b"{}", headers=((b"content-type", b"application/json"),)),
    "multipart": post("/form", FILE, headers=(MULTIPART,)),
    "multipart without length": post("/form", FILE, headers=(MULTIPART,), length=False),
    "multipart cut short": post("/form", FILE[:-8], headers=(MULTIPART,)),
    "multipart without boundary": post(
        "/form", FILE, headers=((b"content-type", b"multipart/form-data"),)
    ),
    "put": Case("/form", "PUT", (FORM,), tuple(parts(b"a=1"))),
    "stream": Case("/stream"),
    "json": Case("/json"),
    "redirect": Case("/redirect"),
    "gone": Case("/gone"),
    "not allowed": Case("/not_allowed"),
    "no content": Case("/no_content"),
    "not found": Case("/not_found"),
    "no route": Case("/nowhere"),
    "forbidden": Case("/forbidden"),
    "suspicious": Case("/suspicious"),
    "bug": Case("/bug"),
    "gone before the body": Case("/body", "POST", (), (GONE,)),
    "gone in the body": Case("/body", "POST", (), (parts(b"a", b"b")[0], GONE)),
    "websocket": Case("/text", scope=(("type", "lifespan-of-another-kind"),)),
}  # fmt: skip

# By case: which parts differ (status, headers, body, messages), and why.
DIFFERENCES: dict[str, tuple[set[str], str]] = {
    "head": ({"body", "messages"}, "RFC 9110 section 9.3.2: an answer to HEAD has no content"),
    "utf-8 cookies": ({"body"}, "cookies are read as UTF-8 where they can be"),
    "unix socket": ({"body"}, "SERVER_PORT is empty, not the text None"),
    "header in mixed case": ({"body"}, "names are compared without regard to case"),
    "multipart without length": ({"body"}, "a form without a content length is parsed"),
    "multipart cut short": (
        {"status", "headers", "body"},
        "a form that is cut short is an error, not empty",
    ),
    "stream": ({"messages"}, "no message for an empty part; the last one has all its keys"),
    "no content": ({"headers", "body"}, "RFC 9110 section 15.3.5: 204 has no content"),
    "not found": ({"headers", "body"}, "error pages are plain text"),
    "no route": ({"headers", "body"}, "error pages are plain text"),
    "forbidden": ({"headers", "body"}, "error pages are plain text"),
    "suspicious": ({"headers", "body"}, "error pages are plain text"),
    "bad host": ({"headers", "body"}, "error pages are plain text"),
    "bug": ({"headers", "body"}, "error pages are plain text"),
    "query not utf-8": ({"headers"}, "error pages are plain text"),
    "form in latin-1": ({"headers", "body"}, "error pages are plain text"),
    "multipart without boundary": ({"headers", "body"}, "error pages are plain text"),
}
# Releases of Django before 6 joined repeated cookie headers with a comma.
if django.VERSION < (6, 0):
    DIFFERENCES["two cookie headers"] = ({"body"}, "RFC 9113 section 8.2.3: joined with '; '")


def facts(result: Result) -> dict[str, Any]:
    """What a client and a server see; error types, not their texts."""
    error = None if result.error is None else type(result.error).__name__
    if not result.out:
        return {"error": error, "out": []}
    pairs = [(name.lower(), value) for name, value in result.headers]
    # Django's leaves it to a middleware.
    headers = sorted(pair for pair in pairs if pair[0] != b"content-length")
    return {
        "error": error,
        "status": result.status,
        "headers": headers,
        "body": result.body,
        "messages": [
            (one["type"], one.get("body", None), one.get("more_body", None))
            for one in result.out
            if one["type"] == "http.response.body"
        ],
    }


urlpatterns: list[Any] = []


def their_view(view: Any) -> Any:
    return lambda request: view(TheirNames(), request)


def our_view(view: Any) -> Any:
    return lambda request: view(ours, request)


urlpatterns += [django.urls.path(view.__name__, their_view(view)) for view in VIEWS]
OURS = [path(view.__name__, our_view(view)) for view in VIEWS]


def both(case: Case) -> tuple[dict[str, Any], dict[str, Any]]:
    def scope() -> dict[str, Any]:
        return http_scope(case.target, case.method, headers=list(case.headers), **dict(case.scope))

    settings = override_settings(
        ROOT_URLCONF=__name__,
        MIDDLEWARE=[],
        ALLOWED_HOSTS=["*"],
        DEBUG=False,
        FORCE_SCRIPT_NAME=None,
    )
    with settings:
        theirs = run(serve(DjangoHandler(), scope(), Server(case.messages)))
    mine = run(serve(ASGIHandler(OURS), scope(), Server(case.messages)))
    return facts(mine), facts(theirs)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume synchronous iterators")
def test_the_same_is_sent_but_for_what_is_listed(name: str) -> None:
    mine, theirs = both(CASES[name])
    expected, _ = DIFFERENCES.get(name, (set(), ""))
    keys = mine.keys() | theirs.keys()
    found = {key for key in keys if mine.get(key) != theirs.get(key)}
    # A body that differs makes its messages differ.
    assert expected | ({"messages"} if "body" in expected else set()) == found, (mine, theirs)


def test_every_difference_has_a_case_and_a_reason() -> None:
    assert set(DIFFERENCES) <= set(CASES)
    assert all(reason for parts, reason in DIFFERENCES.values())
