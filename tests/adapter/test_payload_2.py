"""HTTP APIs and Function URLs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from penstock.infra.gateway import ClientRequest, make_event, read_answer

if TYPE_CHECKING:
    from tests.adapter.conftest import Function

API = "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com"
BOTH = ("http-api", "function-url")


def api(raw_path: str = "/", **facts: Any) -> dict[str, Any]:
    """An HTTP API's event; facts of the context go by name, ``event`` has other keys."""
    keys = facts.pop("event", {})
    http = {"method": "GET", "path": raw_path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"}
    context = {"domainName": API, "stage": "$default", "http": http, **facts}
    return {"version": "2.0", "rawPath": raw_path, "requestContext": context, **keys}


def url(raw_path: str = "/", **facts: Any) -> dict[str, Any]:
    return api(raw_path, domainName="abc.lambda-url.eu-west-1.on.aws", **facts)


MAKERS = {"http-api": api, "function-url": url}


@pytest.mark.parametrize(
    ("raw_path", "raw"),
    [
        ("/a%41", b"/a%2541"),
        ("/a%2Fb", b"/a%252Fb"),
        ("/a b", b"/a%20b"),
        ("/café", b"/caf%C3%A9"),
        ("/a+b:c@d", b"/a+b:c@d"),
        ("/a?b#c", b"/a%3Fb%23c"),
        ("/a//b", b"/a//b"),
        ("/a\x00b", b"/a%00b"),
        ("/%", b"/%25"),
    ],
)
def test_the_path_of_an_http_api_is_decoded_already(
    function: Function, raw_path: str, raw: bytes
) -> None:
    scope = function.read(api(raw_path))
    assert (raw_path, raw) == (scope["path"], scope["raw_path"])


@pytest.mark.parametrize(
    ("raw_path", "path"),
    [
        ("/a%2541", "/a%41"),
        ("/a%2Fb", "/a/b"),
        ("/a%20b", "/a b"),
        ("/a+b", "/a+b"),
        ("/caf%C3%A9", "/café"),
        ("/%FF", "/\N{REPLACEMENT CHARACTER}"),
        ("/%zz", "/%zz"),
        ("/%00", "/\x00"),
    ],
)
def test_the_path_of_a_function_url_is_decoded_once(
    function: Function, raw_path: str, path: str
) -> None:
    scope = function.read(url(raw_path))
    assert (path, raw_path.encode()) == (scope["path"], scope["raw_path"])


@pytest.mark.parametrize(
    ("facts", "path", "expected"),
    [
        ({"stage": "beta"}, "/beta/foo", ("/beta/foo", "/beta", b"/beta/foo")),
        ({"stage": "beta"}, "/beta", ("/beta/", "/beta", b"/beta")),
        ({"stage": "beta"}, "/beta/", ("/beta/", "/beta", b"/beta/")),
        ({"stage": "beta"}, "/betamax", ("/betamax", "", b"/betamax")),
        ({"stage": "beta"}, "/foo", ("/foo", "", b"/foo")),
        ({"stage": "beta", "domainName": "api.example"}, "/beta/foo", ("/foo", "", b"/foo")),
        ({"stage": "beta", "domainName": "api.example"}, "/beta", ("/", "", b"/")),
        ({"stage": "beta", "domainName": "api.example"}, "/beta/beta", ("/beta", "", b"/beta")),
        ({"stage": "production", "domainName": "a.b"}, "/production/", ("/", "", b"/")),
        ({"stage": "$default"}, "/$default/x", ("/$default/x", "", b"/$default/x")),
        ({"stage": None}, "/x", ("/x", "", b"/x")),
        ({"stage": 5, "domainName": []}, "/5/x", ("/5/x", "", b"/5/x")),
    ],
)
def test_a_named_stage_is_the_root_path_or_gone(
    function: Function, facts: dict[str, Any], path: str, expected: tuple[str, str, bytes]
) -> None:
    scope = function.read(api(path, **facts))
    assert expected == (scope["path"], scope["root_path"], scope["raw_path"])


def test_a_function_url_has_no_stage(function: Function) -> None:
    scope = function.read(url("/beta/foo", stage="beta"))
    assert ("/beta/foo", "") == (scope["path"], scope["root_path"])


def test_an_api_mapping_key_has_to_be_configured(function: Function) -> None:
    event = api("/v1/foo", domainName="api.example", stage="production")
    scope = function.read(event, base_path="/v1")
    assert ("/v1/foo", "/v1") == (scope["path"], scope["root_path"])


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("a=1&a=2&b=%20+%2B", b"a=1&a=2&b=%20+%2B"),
        ("flag", b"flag"),
        ("a=1,2", b"a=1,2"),
        ("?a=1", b"?a=1"),  # a client may write ??a=1, and may mean it
        ("", b""),
        ("q=é", b"q=%C3%A9"),
        ("q=a b", b"q=a%20b"),
    ],
)
def test_the_query_is_untouched(function: Function, name: str, query: str, expected: bytes) -> None:
    event = MAKERS[name](event={"rawQueryString": query, "queryStringParameters": {"a": "map"}})
    assert expected == function.read(event)["query_string"]


@pytest.mark.parametrize("name", BOTH)
def test_the_map_is_read_where_there_is_no_query(function: Function, name: str) -> None:
    parameters = {"a b": "1&2", "null": None}
    event = MAKERS[name](event={"queryStringParameters": parameters, "rawQueryString": None})
    assert function.read(event)["query_string"] == b"a%20b=1%262&null="


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("missing", [None, "", [], {}, "absent"])
def test_templates_write_anything_for_nothing(
    function: Function, name: str, missing: object
) -> None:
    keys = ("cookies", "headers", "queryStringParameters", "body", "pathParameters")
    extra = {} if missing == "absent" else dict.fromkeys(keys, missing)
    scope = function.read(MAKERS[name](event=extra))
    assert (scope["headers"], scope["query_string"], function.body) == ([], b"", b"")


@pytest.mark.parametrize("name", BOTH)
def test_cookies_come_from_their_list_alone(function: Function, name: str) -> None:
    headers = {"Cookie": "a=1; b=2", "x-a": "1"}
    function.read(MAKERS[name](event={"cookies": ["a=1", "b=2,3"], "headers": headers}))
    assert function.values("cookie") == [b"a=1; b=2,3"]
    assert function.values("x-a") == [b"1"]


@pytest.mark.parametrize("name", BOTH)
def test_cookies_of_hand_made_events_may_be_in_the_headers(function: Function, name: str) -> None:
    function.read(MAKERS[name](event={"headers": {"cookie": "a=1"}}))
    assert function.values("cookie") == [b"a=1"]


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", ("192.0.2.1", 0)),
        ("2001:db8::1", ("2001:db8::1", 0)),
        ("IP", ("IP", 0)),
        ("192.168.0.1/32", ("192.168.0.1/32", 0)),
        ("", None),
        (None, None),
        (5, None),
    ],
)
def test_the_client_is_the_source_address(
    function: Function, name: str, address: object, client: object
) -> None:
    http = {"method": "GET", "sourceIp": address}
    event = MAKERS[name](http=http, event={"headers": {"x-forwarded-for": "203.0.113.66"}})
    assert client == function.read(event)["client"]


@pytest.mark.parametrize(
    ("protocol", "version"),
    [
        ("HTTP/1.1", "1.1"),
        ("HTTP/1.0", "1.0"),
        ("HTTP/2.0", "2"),
        ("HTTP/2", "2"),
        ("", "1.1"),
        (None, "1.1"),
        (["HTTP/1.1"], "1.1"),
        ("gopher", "1.1"),
    ],
)
def test_the_http_version_is_that_of_the_gateway(
    function: Function, protocol: object, version: str
) -> None:
    event = api(http={"method": "GET", "protocol": protocol})
    assert version == function.read(event)["http_version"]


@pytest.mark.parametrize(
    ("headers", "server"),
    [
        ({"host": "shop.example"}, ("shop.example", 443)),
        ({"host": "shop.example:8443"}, ("shop.example", 8443)),
        ({"host": "[2001:db8::1]"}, ("2001:db8::1", 443)),
        ({"host": "[2001:db8::1]:81"}, ("2001:db8::1", 81)),
        ({"host": "a", "x-forwarded-port": "8080"}, ("a", 8080)),
        ({"host": "a", "x-forwarded-port": "443, 80"}, ("a", 443)),
        ({"host": "a:x", "x-forwarded-port": "y"}, ("a", 443)),
        ({"host": "a:99999"}, ("a", 443)),
        ({"host": "a:" + "9" * 5000}, ("a", 443)),
        ({"host": "a", "x-forwarded-port": "9" * 5000}, ("a", 443)),
        ({"host": "a:\u0663"}, ("a", 443)),
        ({"host": ""}, (API, 443)),
        ({}, (API, 443)),
    ],
)
def test_the_server_is_the_host_or_the_domain(
    function: Function, headers: dict[str, str], server: tuple[str, int]
) -> None:
    assert server == function.read(api(event={"headers": headers}))["server"]


def test_without_host_and_domain_there_is_no_server(function: Function) -> None:
    assert function.read(api(domainName=None))["server"] is None


@pytest.mark.parametrize(
    ("domain", "proto", "scheme"),
    [
        (API, "http", "https"),
        ("api.example", "http", "https"),
        ("localhost", "http", "http"),
        ("localhost:3000", "http", "http"),
        ("127.0.0.1:3000", "http", "http"),
        ("localhost", "https", "https"),
        ("localhost", "", "https"),
        ("localhost.example", "http", "https"),
    ],
)
def test_the_scheme_is_https_but_under_sam_local(
    function: Function, domain: str, proto: str, scheme: str
) -> None:
    event = api(domainName=domain, event={"headers": {"x-forwarded-proto": proto}})
    assert scheme == function.read(event)["scheme"]


@pytest.mark.parametrize("name", BOTH)
def test_the_answer_has_one_map_and_a_list_of_cookies(function: Function, name: str) -> None:
    headers = [(b"set-cookie", b"a=1"), (b"vary", b"a"), (b"vary", b"b"), (b"set-cookie", b"b=2")]
    answer = function.answer(MAKERS[name](), status=201, headers=headers, body=b"ok")
    expected = {
        "statusCode": 201,
        "headers": {"vary": "a, b"},
        "cookies": ["a=1", "b=2"],
        "body": "ok",
        "isBase64Encoded": False,
    }
    assert expected == answer


@pytest.mark.parametrize("name", BOTH)
def test_no_content_type_is_sent_where_the_application_has_none(
    function: Function, name: str
) -> None:
    event = make_event(name, ClientRequest("GET", "/"))
    answer = function.answer(event, body=b"ok")
    assert answer["headers"] == {}
    defaults = {"http-api": "text/plain; charset=utf-8", "function-url": "application/json"}
    assert [defaults[name]] == read_answer(name, answer).values("content-type")
