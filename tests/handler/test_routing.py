"""Routes: C183 and C184."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from typing import Any

import pytest
from asgi_calls import exchange
from hypothesis import given
from hypothesis import strategies as st

from penstock.handler import (
    ASGIHandler,
    HandlerConfig,
    HttpResponse,
    ImproperlyConfigured,
    MethodNotAllowed,
    NoReverseMatch,
    Resolver404,
    Router,
    include,
    mount,
    path,
    register_converter,
    websocket,
)
from penstock.handler.converters import CONVERTERS

pytestmark = pytest.mark.conformance("C183")
ID = uuid.UUID("12345678-1234-1234-1234-123456789abc")


async def show(request: Any, **kwargs: Any) -> HttpResponse:
    return HttpResponse(f"{request.method} {kwargs}")


@pytest.mark.parametrize(
    ("pattern", "target", "expected"),
    [
        ("<name>", "/a-b", {"name": "a-b"}),
        ("<str:name>/x", "/é/x", {"name": "é"}),
        ("<int:number>", "/042", {"number": 42}),
        ("<float:number>", "/1.5", {"number": 1.5}),
        ("<float:number>", "/3", {"number": 3.0}),
        ("<slug:name>", "/a_b-1", {"name": "a_b-1"}),
        ("<path:rest>", "/a/b/c", {"rest": "a/b/c"}),
        ("<uuid:id>", f"/{ID}", {"id": ID}),
        ("<date:day>", "/2026-11-24", {"day": dt.date(2026, 11, 24)}),
        ("a/<int:x>/b/<int:y>/", "/a/1/b/2/", {"x": 1, "y": 2}),
        ("", "/", {}),
        ("a/b/", "/a/b/", {}),
        ("a.b", "/a.b", {}),
    ],
)
def test_converters(pattern: str, target: str, expected: Any) -> None:
    router = Router([path(pattern, show, name="it")])
    match = router.resolve(target)
    assert expected == match.kwargs
    back = router.reverse("it", **match.kwargs)
    assert expected == router.resolve(back.replace("%C3%A9", "é")).kwargs


@pytest.mark.parametrize(
    ("pattern", "target"),
    [
        ("<int:number>", "/-1"),
        ("<int:number>", "/²"),
        ("<name>", "/a/b"),
        ("<name>", "/"),
        ("<date:day>", "/2026-02-30"),
        ("<uuid:id>", "/12345678-1234-1234-1234-123456789ABC"),
        ("a.b", "/axb"),
        ("a", "/a/"),
        ("a", "/a\n"),
        ("<int:number>", "/1\n"),
    ],
)
def test_what_does_not_match(pattern: str, target: str) -> None:
    with pytest.raises(Resolver404) as caught:
        Router([path(pattern, show)]).resolve(target)
    assert target == caught.value.path


def test_the_first_match_of_the_list_wins() -> None:
    async def other(request: Any, **kwargs: Any) -> HttpResponse:
        return HttpResponse("other")

    routes = [path("<int:n>", other), path("<path:p>", show), path("a/b", other), path("1", show)]
    router = Router(routes)
    assert [other, show, show] == [router.resolve(target).func for target in ("/1", "/x", "/a/b")]


@given(
    st.lists(
        st.sampled_from(["a", "b", "a/b", "a/", "<x>", "a/<x>", "<x>/b", "<path:p>", "a/<int:n>"]),
        max_size=8,
    ),
    st.text("ab1/", max_size=6),
)
def test_the_index_finds_what_a_linear_search_finds(patterns: list[str], target: str) -> None:
    routes = [path(pattern, show) for pattern in patterns]
    router = Router(routes)
    linear = next((route for route in routes if route.match(target) is not None), None)
    try:
        found = router.resolve("/" + target).route
    except Resolver404:
        found = None
    assert linear is found


def test_a_converter_that_refuses_lets_the_search_go_on() -> None:
    class Even:
        regex = "[0-9]+"

        def to_python(self, value: str) -> int:
            if int(value) % 2:
                raise ValueError
            return int(value)

        def to_url(self, value: Any) -> str:
            return str(value)

    register_converter(Even, "even")
    try:
        router = Router([path("<even:n>", show), path("<n>", show)])
        assert {"n": 2} == router.resolve("/2").kwargs
        assert {"n": "3"} == router.resolve("/3").kwargs
        with pytest.raises(ImproperlyConfigured, match="exists already"):
            register_converter(Even, "even")
    finally:
        del CONVERTERS["even"]


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("/a", "leading slash"),
        ("<nothing:x>", "no converter"),
        ("<int: x>", "whitespace"),
        ("<1x>", "no name"),
        ("<x>/<x>", "stands twice"),
        ("<:x>", "no converter"),
    ],
)
def test_bad_routes_are_refused_at_construction(pattern: str, problem: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=problem):
        ASGIHandler([path(pattern, show)])


def test_other_mistakes_are_refused_at_construction() -> None:
    with pytest.raises(ImproperlyConfigured, match="both called 'n'"):
        ASGIHandler([path("a", show, name="n"), path("b", show, name="n")])
    Router([path("a", show, name="n"), path("b/<x>", show, name="n")])
    for make in (
        lambda: path("a", 42),  # type: ignore[arg-type]
        lambda: path("a", show, methods="GET"),
        lambda: path("a", show, methods=[]),
        lambda: websocket("a", 42),  # type: ignore[arg-type]
        lambda: mount("a", 42),
        lambda: mount("a/<x>", show),
        lambda: ASGIHandler([42]),
        lambda: ASGIHandler(42),
    ):
        with pytest.raises(ImproperlyConfigured):
            make()


def test_methods() -> None:
    handler = ASGIHandler(
        [
            path("one", show, methods=["get"]),
            path("one", show, methods=["POST"]),
            path("two", show, methods=["GET", "OPTIONS", "HEAD"]),
            path("any", show),
        ]
    )
    refused = exchange(handler, "/one", "DELETE")
    assert (405, "GET, HEAD, OPTIONS, POST") == (refused.status, refused.header("allow"))
    options = exchange(handler, "/one", "OPTIONS")
    assert (204, "GET, HEAD, OPTIONS, POST", b"") == (
        options.status,
        options.header("allow"),
        options.body,
    )
    head = exchange(handler, "/one", "HEAD")
    assert (200, b"", "7") == (head.status, head.body, head.header("content-length"))
    assert b"POST {}" == exchange(handler, "/one", "POST").body
    assert b"OPTIONS {}" == exchange(handler, "/two", "OPTIONS").body
    assert b"BREW {}" == exchange(handler, "/any", "BREW").body
    assert 404 == exchange(handler, "/none", "OPTIONS").status


def test_an_explicit_head_view_wins() -> None:
    async def head(request: Any) -> HttpResponse:
        return HttpResponse(headers={"X-Own": "head"})

    handler = ASGIHandler([path("", show, methods=["GET"]), path("", head, methods=["HEAD"])])
    assert "head" == exchange(handler, method="HEAD").header("x-own")
    with pytest.raises(MethodNotAllowed):
        Router([path("", show, methods=["GET"])]).resolve("/", "POST")


def test_reverse() -> None:
    router = Router(
        [
            path("a/<int:x>/", show, name="n"),
            path("a/<int:x>/<y>", show, name="n"),
            *include("sub/<slug:s>/", [path("é/<z>", show, name="deep")], namespace="ns"),
        ]
    )
    assert "/a/1/" == router.reverse("n", x=1)
    assert "/stage/a/1/b%3Fc%20d" == router.reverse("n", "/stage/", x=1, y="b?c d")
    assert "/sub/s/%C3%A9/z" == router.reverse("ns:deep", s="s", z="z")
    for name, arguments in (
        ("none", {}),
        ("n", {}),
        ("n", {"x": "no number"}),
        ("n", {"x": 1, "extra": 2}),
        ("n", {"x": 1, "y": "a/b"}),
    ):
        with pytest.raises(NoReverseMatch):
            router.reverse(name, **arguments)


def test_include_takes_the_arguments_of_its_prefix() -> None:
    handler = ASGIHandler(
        [include("<int:a>/", [path("<b>", show), include("x/", [path("y", show)])])]
    )
    assert b"GET {'a': 1, 'b': 'q'}" == exchange(handler, "/1/q").body
    assert b"GET {'a': 1}" == exchange(handler, "/1/x/y").body


async def child(scope: Any, receive: Any, send: Any) -> None:
    text = f"{scope['type']} {scope['root_path']} {scope['path']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text})


def test_mounts() -> None:
    entered: list[str] = []

    def middleware(get_response: Any) -> Any:
        async def layer(request: Any) -> Any:
            entered.append(request.path)
            return await get_response(request)

        return layer

    middleware.async_capable = True  # type: ignore[attr-defined]
    handler = ASGIHandler(
        [path("sub/own", show), mount("sub", child), mount("/other/deep/", child)],
        middleware=[middleware],
    )
    assert (
        b"http /stage/sub /stage/sub/x"
        == exchange(handler, "/stage/sub/x", root_path="/stage").body
    )
    assert b"http /sub /sub" == exchange(handler, "/sub").body
    assert b"http /other/deep /other/deep/" == exchange(handler, "/other/deep/").body
    assert [] == entered
    assert b"GET {}" == exchange(handler, "/sub/own").body
    assert 404 == exchange(handler, "/subway").status
    assert ["/sub/own", "/subway"] == entered


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_mount_behind_the_middleware(method: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        headers = [(b"x-child", scope["root_path"].encode()), (b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": b"child ", "more_body": True})
        await send({"type": "http.response.body", "body": body})

    def middleware(get_response: Any) -> Any:
        async def layer(request: Any) -> Any:
            response = await get_response(request)
            response["X-Layer"] = "1"
            return response

        return layer

    middleware.async_capable = True  # type: ignore[attr-defined]
    handler = ASGIHandler(
        [mount("sub", app, through_middleware=True), path("<path:p>", show)],
        middleware=[middleware],
    )
    result = exchange(handler, "/sub/x", method, body=b"body" if method == "POST" else b"")
    assert (201, "1", "/sub", "text/plain") == (
        result.status,
        result.header("x-layer"),
        result.header("x-child"),
        result.header("content-type"),
    )
    assert (b"child body" if method == "POST" else b"child ") == result.body
    assert result.is_complete
    assert b"GET {'p': 'other'}" == exchange(handler, "/other").body


def test_a_mounted_application_that_fails() -> None:
    async def before(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        pass

    async def halfway(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        raise LookupError

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        while True:
            await send({"type": "http.response.body", "body": b"part", "more_body": True})

    def inside(app: Any) -> ASGIHandler:
        return ASGIHandler([mount("", app, through_middleware=True)])

    assert 500 == exchange(inside(before)).status
    assert 500 == exchange(inside(silent)).status
    result = exchange(inside(halfway))
    assert isinstance(result.error, LookupError)
    assert not result.is_complete
    assert 200 == exchange(inside(endless), method="HEAD").status
    gone = [{"type": "http.request"}, {"type": "http.disconnect"}]
    assert (
        exchange(inside(endless), messages=gone, on_send=lambda _: asyncio.sleep(0)).error is None
    )


def test_redirects_to_the_slash() -> None:
    config = HandlerConfig(redirect_slashes=True)
    handler = ASGIHandler([path("a/", show), path("b", show)], config=config)
    result = exchange(handler, "/a?q=1")
    assert (301, "/a/?q=1") == (result.status, result.header("location"))
    result = exchange(handler, "/a", "POST")
    assert 308 == result.status
    assert 404 == exchange(handler, "/b/").status
    assert 404 == exchange(ASGIHandler([path("a/", show)]), "/a").status
    evil = ASGIHandler([path("<path:p>/", show)], config=config)
    assert "/%2Fevil.example/" == exchange(evil, "//evil.example").header("location")


def test_a_router_of_another_library() -> None:
    class Other:
        def resolve(self, path: str) -> Any:
            return show, (), {"seen": path}

    assert b"GET {'seen': '/x'}" == exchange(ASGIHandler(Other()), "/x").body


@pytest.mark.conformance("C184")
def test_the_last_of_200_routes_is_found_without_trying_the_others() -> None:
    tried: list[str] = []
    routes = [path(f"api/v1/things{number}/<int:id>", show) for number in range(200)]
    for route in routes:
        original = route.match

        def match(path: str, original: Any = original, route: Any = route) -> Any:
            tried.append(route.pattern)
            return original(path)

        route.match = match  # type: ignore[method-assign]
    assert {"id": 7} == Router(routes).resolve("/api/v1/things199/7").kwargs
    assert ["api/v1/things199/<int:id>"] == tried
