"""VPC Lattice, both event versions, and Envoy's filter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from penstock.adapter.sources.lattice import Lattice1
from penstock.infra.gateway import ClientRequest, make_event

if TYPE_CHECKING:
    from tests.adapter.conftest import Function


def first(raw_path: str = "/", **keys: Any) -> dict[str, Any]:
    return {"raw_path": raw_path, "method": "GET", "headers": {}, "body": "", **keys}


def second(path: str = "/", **keys: Any) -> dict[str, Any]:
    context = {"serviceArn": "arn", "serviceNetworkArn": "arn"}
    return {
        "version": "2.0",
        "path": path,
        "method": "GET",
        "headers": {},
        "requestContext": context,
        **keys,
    }


MAKERS = {"lattice-1": first, "lattice-2": second}
MAPS = {"lattice-1": "query_string_parameters", "lattice-2": "queryStringParameters"}
BOTH = tuple(MAKERS)


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a%20b?x=1&x=%20+&y", ("/a b", b"/a%20b", b"x=1&x=%20+&y")),
        ("/a?b=c?d", ("/a", b"/a", b"b=c?d")),
        ("/a%3Fb?c", ("/a?b", b"/a%3Fb", b"c")),
        ("/a?", ("/a", b"/a", b"")),
        ("?a=1", ("/", b"/", b"a=1")),
        ("", ("/", b"/", b"")),
        ("/a%2541", ("/a%41", b"/a%2541", b"")),
        ("/x?q=é", ("/x", b"/x", b"q=%C3%A9")),
    ],
)
def test_the_path_carries_the_query(
    function: Function, name: str, path: str, expected: tuple[str, bytes, bytes]
) -> None:
    scope = function.read(MAKERS[name](path))
    assert expected == (scope["path"], scope["raw_path"], scope["query_string"])


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("key", MAPS.values())
def test_the_map_is_read_where_the_path_has_no_query(
    function: Function, name: str, key: str
) -> None:
    parameters = {"a": "1%20", "b": ["2", "3"], "c": None}
    scope = function.read(MAKERS[name]("/x", **{key: parameters}))
    assert scope["query_string"] == b"a=1%20&b=2&b=3&c="


@pytest.mark.parametrize("name", BOTH)
def test_the_query_in_the_path_wins(function: Function, name: str) -> None:
    scope = function.read(MAKERS[name]("/x?a=1", **{MAPS[name]: {"a": "2"}}))
    assert scope["query_string"] == b"a=1"


def test_lists_of_header_values_arrive_one_by_one(function: Function) -> None:
    function.read(second(headers={"x-many": ["one", "two"], "x-text": "three", "x-none": []}))
    assert function.values("x-many") == [b"one", b"two"]
    assert function.values("x-text") == [b"three"]
    assert function.values("x-none") == []


def test_joined_header_values_are_not_split(function: Function) -> None:
    function.read(first(headers={"x-many": "one, two"}))
    assert function.values("x-many") == [b"one, two"]


@pytest.mark.parametrize("name", BOTH)
def test_the_scheme_is_https_whatever_the_client_says(function: Function, name: str) -> None:
    headers = {"x-forwarded-proto": "http", "host": "svc.example"}
    scope = function.read(MAKERS[name](headers=headers))
    assert ("https", ("svc.example", 443)) == (scope["scheme"], scope["server"])


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("port", ["8443", "9" * 5000])
def test_a_port_that_the_client_made_up_does_no_harm(
    function: Function, name: str, port: str
) -> None:
    headers = {"x-forwarded-port": port, "host": "svc.example"}
    server = function.read(MAKERS[name](headers=headers))["server"]
    assert server == ("svc.example", 8443 if port == "8443" else 443)


@pytest.mark.parametrize("name", BOTH)
def test_the_client_is_the_last_address(function: Function, name: str) -> None:
    headers = {"x-forwarded-for": "203.0.113.66, 192.0.2.1"}
    assert function.read(MAKERS[name](headers=headers))["client"] == ("192.0.2.1", 0)
    assert function.read(MAKERS[name]())["client"] is None


@pytest.mark.parametrize(
    ("event", "body"),
    [
        (first(body="aMOp", is_base64_encoded=True), "hé".encode()),
        (first(body="aMOp", isBase64Encoded=True), "hé".encode()),
        (first(body="hé", is_base64_encoded=False), "hé".encode()),
        (second(body="aMOp", isBase64Encoded=True), "hé".encode()),
        (second(body="hé"), "hé".encode()),
        (second(body=None), b""),
    ],
)
def test_the_body_says_whether_it_is_base64(
    function: Function, event: dict[str, Any], body: bytes
) -> None:
    function.read(event)
    assert body == function.body


@pytest.mark.parametrize("name", BOTH)
def test_the_answer_is_in_camel_case(function: Function, name: str) -> None:
    headers = [(b"vary", b"a"), (b"vary", b"b"), (b"set-cookie", b"a=1")]
    expected = {
        "statusCode": 201,
        "headers": {"vary": "a, b", "set-cookie": "a=1"},
        "body": "ok",
        "isBase64Encoded": False,
    }
    event = MAKERS[name]()
    assert expected == function.answer(event, status=201, headers=headers, body=b"ok")


COOKIES = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2; Expires=Wed, 21 Oct 2015 07:28:00 GMT")]


def test_of_several_cookies_version_1_sends_the_last_and_says_so(
    function: Function, caplog: pytest.LogCaptureFixture
) -> None:
    answer = function.answer(first(), headers=COOKIES)
    assert answer["headers"] == {"set-cookie": COOKIES[1][1].decode()}
    assert "request-1: 2 set-cookie headers" in caplog.text


def test_of_several_cookies_version_2_sends_all(function: Function) -> None:
    answer = function.answer(second(), headers=COOKIES)
    assert answer["headers"] == {"set-cookie": [value.decode() for _, value in COOKIES]}


def test_envoy_gets_its_own_form(function: Function) -> None:
    sources = [Lattice1(envoy=True)]
    headers = [*COOKIES, (b"vary", b"a"), (b"vary", b"b")]
    expected = {
        "status_code": 200,
        "headers": {"vary": "a, b"},
        "cookies": [value.decode() for _, value in COOKIES],
        "body": "ok",
        "is_base64_encoded": False,
    }
    answer = function.answer(first("/x?a=1"), headers=headers, body=b"ok", sources=sources)
    assert expected == answer
    assert (function.scope["path"], function.scope["query_string"]) == ("/x", b"a=1")


def test_envoy_gets_its_own_form_of_refusals(function: Function) -> None:
    event = first(body="%", is_base64_encoded=True)
    answer = function.answer(event, sources=[Lattice1(envoy=True)])
    assert (answer["status_code"], answer["body"]) == (400, "Bad Request")


def test_other_doors_are_served_beside_envoy(function: Function) -> None:
    event = make_event("http-api", ClientRequest("GET", "/x"))
    answer = function.answer(event, sources=[Lattice1(envoy=True)])
    assert (answer["statusCode"], function.scope["path"]) == (200, "/x")
