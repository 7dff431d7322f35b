"""What a scope becomes: C033 to C069."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from asgi_calls import exchange, http_scope

from penstock.handler import (
    ASGIHandler,
    ASGIRequest,
    DisallowedHost,
    HandlerConfig,
    HttpResponse,
    path,
    reverse,
)


def request(path: str = "/", method: str = "GET", body: Any = b"", **fields: Any) -> ASGIRequest:
    config = fields.pop("config", HandlerConfig())
    return ASGIRequest(http_scope(path, method, **fields), body, config)


def headers(**values: str) -> list[tuple[bytes, bytes]]:
    return [
        (name.replace("_", "-").encode(), text.encode("utf-8")) for name, text in values.items()
    ]


@pytest.mark.conformance("C033")
def test_the_method_is_upper_case() -> None:
    assert "PATCH" == request(method="patch").method
    assert "PATCH" == request(method="patch").META["REQUEST_METHOD"]


@pytest.mark.conformance("C034", "C035")
@pytest.mark.parametrize(
    ("root", "target", "info"),
    [
        ("/api", "/api/x", "/x"),
        ("/api", "/apix", "/apix"),
        ("/api", "/api", "/"),
        ("/api", "/api/", "/"),
        ("/api", "/other", "/other"),
        ("/api/", "/api/x", "/x"),
        ("", "/x", "/x"),
        ("/", "/x", "/x"),
    ],
)
def test_the_script_name_is_taken_off_at_a_slash_only(root: str, target: str, info: str) -> None:
    made = request(target, root_path=root)
    assert (target, root, info) == (made.path, made.script_name, made.path_info)
    assert (root, info) == (made.META["SCRIPT_NAME"], made.META["PATH_INFO"])


@pytest.mark.conformance("C036")
def test_force_script_name_beats_root_path() -> None:
    made = request("/b/x", root_path="/a", config=HandlerConfig(force_script_name="/b"))
    assert ("/b", "/x") == (made.script_name, made.path_info)


@pytest.mark.conformance("C037")
def test_servers_without_an_address() -> None:
    nowhere = request(server=None).META
    assert ("unknown", "0") == (nowhere["SERVER_NAME"], nowhere["SERVER_PORT"])
    socket = request(server=("/run/app.sock", None)).META
    assert ("/run/app.sock", "") == (socket["SERVER_NAME"], socket["SERVER_PORT"])


@pytest.mark.conformance("C038")
def test_clients_with_and_without_an_address() -> None:
    assert not [name for name in request(client=None).META if name.startswith("REMOTE_")]
    meta = request(client=("192.0.2.1", 5)).META
    assert ("192.0.2.1", "192.0.2.1", 5) == (
        meta["REMOTE_ADDR"],
        meta["REMOTE_HOST"],
        meta["REMOTE_PORT"],
    )


@pytest.mark.conformance("C039")
def test_header_names_in_any_case() -> None:
    made = request(
        headers=[(b"Content-Type", b"text/plain"), (b"X-One", b"1"), (b"CONTENT-LENGTH", b"0")]
    )
    assert "text/plain" == made.META["CONTENT_TYPE"] == made.content_type
    assert ("1", "0") == (made.META["HTTP_X_ONE"], made.META["CONTENT_LENGTH"])


@pytest.mark.conformance("C040")
def test_names_with_an_underscore_are_dropped() -> None:
    made = request(headers=[(b"x_user", b"forged"), (b"x-user", b"real")])
    assert "real" == made.META["HTTP_X_USER"] == made.headers["x-user"]


@pytest.mark.parametrize(
    ("target", "location", "expected"),
    [
        pytest.param("//a/b", None, "http://h//a/b", marks=pytest.mark.conformance("C041")),
        pytest.param("/x", "/p", "http://h/p", marks=pytest.mark.conformance("C042")),
        pytest.param("/a/b", "p", "http://h/a/p", marks=pytest.mark.conformance("C043")),
        pytest.param("/a/b", "../p", "http://h/p", marks=pytest.mark.conformance("C043")),
        pytest.param("/a/b", "?q=1", "http://h/a/b?q=1", marks=pytest.mark.conformance("C043")),
        pytest.param("/a/b", "#f", "http://h/a/b#f", marks=pytest.mark.conformance("C043")),
        pytest.param("/a", "//o/p", "http://o/p", marks=pytest.mark.conformance("C044")),
        pytest.param(
            "/a", "https://o/é", "https://o/%C3%A9", marks=pytest.mark.conformance("C045")
        ),
        pytest.param("/x", "/a/../b", "http://h/b", marks=pytest.mark.conformance("C046")),
        pytest.param("/x", "http://[", "http://h/http://%5B", id="no url"),
    ],
)
def test_absolute_uris(target: str, location: str | None, expected: str) -> None:
    made = request(target, headers=[(b"host", b"h")])
    assert expected == made.build_absolute_uri(location)


@pytest.mark.conformance("C047")
def test_a_lazy_location_is_made_text() -> None:
    class Lazy:
        def __str__(self) -> str:
            return "/lazy"

    assert "http://h/lazy" == request(headers=[(b"host", b"h")]).build_absolute_uri(Lazy())


@pytest.mark.conformance("C048")
def test_ports_in_the_host() -> None:
    assert "http://h:8000/" == request(headers=[(b"host", b"h:8000")]).build_absolute_uri()
    assert "http://testserver/" == request().build_absolute_uri()
    assert "http://s:81/" == request(server=("s", 81)).build_absolute_uri()


@pytest.mark.conformance("C049")
def test_the_scheme_of_the_scope() -> None:
    made = request(scheme="https", server=("s", 443))
    assert "https://s/" == made.build_absolute_uri()
    assert made.is_secure()


@pytest.mark.conformance("C050")
def test_two_cookie_headers_are_both_read() -> None:
    made = request(headers=[(b"cookie", b"a=1; "), (b"cookie", b"b=2")])
    assert {"a": "1", "b": "2"} == made.COOKIES
    assert "a=1; b=2" == made.META["HTTP_COOKIE"]
    assert {"a": "1", "b": "2"} == made.COOKIES


@pytest.mark.conformance("C051")
def test_cookies_of_several_encodings() -> None:
    raw = "a=é; ".encode() + b"b=\xe9; c=plain"
    assert {"a": "é", "b": "é", "c": "plain"} == request(headers=[(b"cookie", raw)]).COOKIES


@pytest.mark.conformance("C052")
def test_odd_cookies() -> None:
    made = request(headers=[(b"cookie", b'alone; a=1; a=2; q="x\\"y"')])
    assert {"": "alone", "a": "2", "q": 'x"y'} == made.COOKIES


async def echo_length(request: Any) -> HttpResponse:
    return HttpResponse(request.META.get("CONTENT_LENGTH", "none"))


@pytest.mark.conformance("C053")
@pytest.mark.parametrize(
    ("lengths", "status"),
    [([b"3", b"3"], 200), ([b"3", b"4"], 400), ([b"abc"], 400), ([b"-1"], 400), ([b"1" * 30], 400)],
)
def test_content_lengths_must_agree(lengths: list[bytes], status: int) -> None:
    result = exchange(
        ASGIHandler(echo_length),
        method="POST",
        body=b"abc",
        headers=[(b"content-length", length) for length in lengths],
    )
    assert status == result.status
    assert (b"3" if status == 200 else b"") == result.body


@pytest.mark.conformance("C054")
def test_headers_are_found_by_either_name() -> None:
    made = request(headers=[(b"x-a", b"1"), (b"X-A", b"2")])
    assert "1,2" == made.headers["x_a"] == made.headers["X-A"]
    assert ["1", "2"] == made.headers.getlist("x-a")


@pytest.mark.conformance("C055")
def test_a_query_that_is_not_utf_8_is_a_400(signals: Any) -> None:
    called: list[str] = []

    async def view(request: Any) -> HttpResponse:
        called.append("view")
        return HttpResponse()

    result = exchange(ASGIHandler(view), query_string=b"\xff")
    assert (400, b"", []) == (result.status, result.body, called)
    assert ["started", "finished"] == signals.names
    assert signals.of("finished")[0]["request"] is None


@pytest.mark.conformance("C056")
def test_a_query_as_text() -> None:
    assert "1" == request(query_string="a=1").GET["a"]


@pytest.mark.conformance("C057")
def test_queries() -> None:
    query = request("/?a=1&a=2&b=&c&d=x;y").GET
    assert ["1", "2"] == query.getlist("a")
    assert ("", "", "x;y") == (query["b"], query["c"], query["d"])


@pytest.mark.conformance("C058")
def test_another_encoding_reads_the_query_and_the_form_again() -> None:
    made = request(
        method="POST",
        query_string=b"a=%e9",
        body=b"a=%e9",
        headers=[(b"content-type", b"application/x-www-form-urlencoded")],
    )
    assert "\N{REPLACEMENT CHARACTER}" == made.GET["a"]
    before = made.POST["a"]
    made.encoding = "latin-1"
    assert ("é", "é") == (made.GET["a"], made.POST["a"])
    assert "é" != before


@pytest.mark.conformance("C059")
def test_an_unknown_charset_is_none() -> None:
    assert request(headers=headers(content_type="text/plain; charset=nonsense")).encoding is None
    made = request(headers=headers(content_type="text/plain; charset=ISO-8859-1"))
    assert "iso-8859-1" == (made.encoding or "").lower()


@pytest.mark.conformance("C060")
def test_too_many_fields_in_a_query() -> None:
    async def view(request: Any) -> HttpResponse:
        return HttpResponse(str(len(request.GET)))

    handler = ASGIHandler(view)
    assert 200 == exchange(handler, "/?" + "&".join(["a=1"] * 1000)).status
    assert 400 == exchange(handler, "/?" + "&".join(["a=1"] * 1001)).status


@pytest.mark.conformance("C061")
def test_the_scheme_of_a_trusted_proxy() -> None:
    config = HandlerConfig(secure_proxy_ssl_header=("HTTP_X_FORWARDED_PROTO", "https"))
    forwarded = [(b"x-forwarded-proto", b"https, http")]
    assert "https" == request(headers=forwarded, config=config).scheme
    plain = [(b"x-forwarded-proto", b"http")]
    assert "http" == request(headers=plain, scheme="https", config=config).scheme
    assert "https" == request(scheme="https", config=config).scheme
    assert "http" == request(headers=forwarded).scheme


@pytest.mark.conformance("C062")
def test_the_host_of_a_trusted_proxy() -> None:
    sent = [(b"host", b"own"), (b"x-forwarded-host", b"public"), (b"x-forwarded-port", b"8443")]
    trusting = HandlerConfig(use_x_forwarded_host=True, use_x_forwarded_port=True)
    assert ("own", "80") == (request(headers=sent).get_host(), request(headers=sent).get_port())
    made = request(headers=sent, config=trusting)
    assert ("public", "8443") == (made.get_host(), made.get_port())


@pytest.mark.conformance("C063")
@pytest.mark.parametrize(
    "host",
    ["a b", "a@b", "a/b", "a:port", "a..b..:80x", "", "[::1", "a\n", "é", "a:1:2", "x..", "."],
)
def test_malformed_hosts_are_a_400(host: str) -> None:
    async def view(request: Any) -> HttpResponse:
        return HttpResponse(request.get_host())

    made = [(b"host", host.encode("latin-1"))]
    with pytest.raises(DisallowedHost):
        request(headers=made).get_host()
    assert 400 == exchange(ASGIHandler(view), headers=made).status


def test_a_repeated_host_is_a_400() -> None:
    with pytest.raises(DisallowedHost):
        request(headers=[(b"host", b"a"), (b"host", b"b")]).get_host()


@pytest.mark.conformance("C064")
@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("[2001:db8::1]:8000", "[2001:db8::1]"),
        ("example.com.", "example.com"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("EXAMPLE.com", "example.com"),
        ("a.x.y", ".x.y"),
        ("x.y:1", ".x.y"),
    ],
)
def test_allowed_hosts(host: str, allowed: str) -> None:
    config = HandlerConfig(allowed_hosts=(allowed,))
    assert host == request(headers=[(b"host", host.encode())], config=config).get_host()
    for other in ("other.example", "evil" + allowed.strip("."), "x.y.evil"):
        with pytest.raises(DisallowedHost):
            request(headers=[(b"host", other.encode())], config=config).get_host()


@pytest.mark.conformance("C065")
def test_full_paths_are_quoted() -> None:
    made = request(path="/é ", query_string="q=ä b".encode())
    made.path = made.path_info = "/é ?#%;"
    assert "/%C3%A9%20%3F%23%25%3B?q=%C3%A4%20b" == made.get_full_path()
    assert "/%C3%A9%20%3F%23%25%3B/?q=%C3%A4%20b" == made.get_full_path_info(
        force_append_slash=True
    )


@pytest.mark.conformance("C066")
def test_accepted_types() -> None:
    made = request(
        headers=headers(
            accept="text/*;q=0.5, text/html, image/png;q=0, application/json;q=nonsense, */*;q=0.1"
        )
    )
    names = [str(one).partition(";")[0] for one in made.accepted_types]
    assert ["text/html", "application/json", "text/*", "*/*"] == names
    assert made.accepts("text/plain")
    assert "text/html" == made.get_preferred_type(["text/plain", "text/html"])
    assert not request(headers=headers(accept="text/html")).accepts("image/png")


@pytest.mark.conformance("C067")
def test_copies() -> None:
    made = request(headers=headers(cookie="a=1"))
    made.session = {"list": [1]}  # type: ignore[attr-defined]
    made.COOKIES["b"] = "2"
    deep: Any = copy.deepcopy(made)
    deep.session["list"].append(2)
    deep.COOKIES["c"] = "3"
    assert {"list": [1]} == made.session  # type: ignore[attr-defined]
    assert {"a": "1", "b": "2"} == made.COOKIES
    assert deep.scope is made.scope
    assert copy.copy(made).session is made.session  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(made)


@pytest.mark.conformance("C068")
def test_meta_may_be_changed() -> None:
    made = request(headers=headers(host="old"))
    made.META["HTTP_HOST"] = "new"
    made.META["QUERY_STRING"] = "a=1"
    assert "new" == made.get_host()
    assert "1" == made.GET["a"]
    assert "/?a=1" == made.get_full_path()


@pytest.mark.conformance("C069")
def test_the_protocol_of_the_scope() -> None:
    meta = request(http_version="2", scheme="https").META
    assert ("HTTP/2", "https") == (meta["SERVER_PROTOCOL"], meta["wsgi.url_scheme"])


def test_attributes_that_only_the_scope_knows() -> None:
    made = request(
        raw_path=b"/a%2Fb",
        state={"pool": 1},
        **{"aws.event": {"e": 1}, "aws.context": "context"},  # type: ignore[arg-type]
    )
    assert (b"/a%2Fb", {"pool": 1}) == (made.raw_path, made.state)
    made.state["own"] = 2
    assert {"pool": 1} == made.scope["state"]
    assert ({"e": 1}, "context", "1.1") == (made.aws_event, made.aws_context, made.http_version)
    assert "<ASGIRequest: GET '/'>" == repr(request())


def test_url_for_and_reverse_know_the_script_name() -> None:
    async def view(request: Any, number: int) -> HttpResponse:
        target = f"{request.url_for('item', number=number + 1)} {reverse('item', number=0)}"
        return HttpResponse(f"{target} {request.path_params}")

    handler = ASGIHandler([path("items/<int:number>", view, name="item")])
    result = exchange(handler, "/stage/items/1", root_path="/stage", headers=headers(host="h"))
    assert b"http://h/stage/items/2 /stage/items/0 {'number': 1}" == result.body


def test_early_hints_and_push_are_sent_where_offered() -> None:
    answers: list[bool] = []

    async def view(request: Any) -> HttpResponse:
        answers.append(await request.send_early_hints(["</a.css>; rel=preload"]))
        answers.append(await request.push("/a.css"))
        return HttpResponse("x")

    offered: dict[str, Any] = {"http.response.early_hint": {}, "http.response.push": {}}
    sent = [(b"accept", b"*/*"), (b"cookie", b"a=1")]
    result = exchange(ASGIHandler(view), extensions=offered, headers=sent)
    assert [
        {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]},
        {"type": "http.response.push", "path": "/a.css", "headers": [(b"accept", b"*/*")]},
    ] == result.out[:2]
    assert 2 == len(exchange(ASGIHandler(view)).out)
    assert [True, True, False, False] == answers


def test_a_server_without_a_port_is_a_host_without_one() -> None:
    """``server`` holds None for the port of a Unix socket (ASGI HTTP, connection scope)."""
    request = ASGIRequest(http_scope(server=("testserver", None)), b"")
    assert ("testserver", "") == (request.get_host(), request.get_port())
