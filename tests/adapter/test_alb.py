"""Application Load Balancers, with multi-value headers off and on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from penstock.infra.gateway import ClientRequest, make_event, read_answer

if TYPE_CHECKING:
    from tests.adapter.conftest import Function

BOTH = ("alb", "alb-multi")


def alb(path: str = "/", **keys: Any) -> dict[str, Any]:
    defaults = {"headers": {"host": "lb.example"}, "body": "", "isBase64Encoded": False}
    context = {"elb": {"targetGroupArn": "arn"}}
    return {"requestContext": context, "httpMethod": "GET", "path": path, **defaults, **keys}


def forwarded(value: str) -> dict[str, Any]:
    return alb(headers={"x-forwarded-for": value})


@pytest.mark.parametrize(
    ("keys", "query"),
    [
        ({"queryStringParameters": {"a": "x%2By", "b": "%E9"}}, b"a=x%2By&b=%E9"),
        ({"queryStringParameters": {"a+b": "1", "a%20b": "2"}}, b"a+b=1&a%20b=2"),
        ({"queryStringParameters": {"a%5B%5D": "1"}}, b"a%5B%5D=1"),
        ({"queryStringParameters": {"a[]": "1", "q": "{}|"}}, b"a[]=1&q={}|"),
        ({"queryStringParameters": {"flag": ""}}, b"flag="),
        ({"queryStringParameters": {"flag": None}}, b"flag="),
        ({"queryStringParameters": {"q": "a%26b%3Dc"}}, b"q=a%26b%3Dc"),
        ({"queryStringParameters": {"q": "é "}}, b"q=%C3%A9%20"),
        ({"multiValueQueryStringParameters": {"p[]": ["1", "2"]}}, b"p[]=1&p[]=2"),
        (
            {
                "multiValueQueryStringParameters": {"a": ["1", "2"]},
                "queryStringParameters": {"a": "2", "b": "3"},
            },
            b"a=1&a=2&b=3",
        ),
        ({"queryStringParameters": {}}, b""),
        ({"queryStringParameters": None}, b""),
        ({"queryStringParameters": ""}, b""),
        ({"multiValueQueryStringParameters": "None"}, b""),
        ({}, b""),
    ],
)
def test_the_query_is_joined_and_nothing_else(
    function: Function, keys: dict[str, Any], query: bytes
) -> None:
    assert query == function.read(alb(**keys))["query_string"]


@pytest.mark.parametrize("name", BOTH)
def test_the_path_is_decoded_once(function: Function, name: str) -> None:
    scope = function.read(make_event(name, ClientRequest("GET", "/a%2541/%2F/%E9")))
    assert scope["path"] == "/a%41///\N{REPLACEMENT CHARACTER}"
    assert scope["raw_path"] == b"/a%2541/%2F/%E9"


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("192.0.2.1", ("192.0.2.1", 0)),
        ("203.0.113.66, 192.0.2.1", ("192.0.2.1", 0)),
        ("203.0.113.66,192.0.2.1:5678", ("192.0.2.1", 5678)),
        ("2001:db8::1", ("2001:db8::1", 0)),
        ("[2001:db8::1]:5678", ("2001:db8::1", 5678)),
        ("[2001:db8::1]", ("2001:db8::1", 0)),
        ("unknown", ("unknown", 0)),
        ("192.0.2.1:x", ("192.0.2.1", 0)),
        ("192.0.2.1:" + "9" * 5000, ("192.0.2.1", 0)),
        ("192.0.2.1, ", None),
        ("", None),
        (",", None),
    ],
)
def test_the_client_is_what_the_balancer_saw(
    function: Function, value: str, client: tuple[str, int] | None
) -> None:
    assert client == function.read(forwarded(value))["client"]


def test_several_lines_of_forwarded_addresses_end_with_the_balancers_own(
    function: Function,
) -> None:
    lines = ["203.0.113.66", "203.0.113.67, 192.0.2.1"]
    event = alb(multiValueHeaders={"x-forwarded-for": lines})
    assert function.read(event)["client"] == ("192.0.2.1", 0)
    clients = [function.read(event, trusted_hops=hops)["client"] for hops in (2, 3, 4)]
    assert clients == [("203.0.113.67", 0), ("203.0.113.66", 0), None]


@pytest.mark.parametrize(("hops", "host"), [(1, "c"), (2, "b"), (3, "a")])
def test_trusted_hops_are_counted_from_the_right(function: Function, hops: int, host: str) -> None:
    assert function.read(forwarded("a, b, c"), trusted_hops=hops)["client"] == (host, 0)


@pytest.mark.parametrize(
    ("proto", "scheme", "port"),
    [
        ("http", "http", 80),
        ("https", "https", 443),
        ("https, http", "http", 80),
        ("http, https", "https", 443),
        ("", "https", 443),
        ("gopher", "https", 443),
    ],
)
def test_the_scheme_is_the_listeners(
    function: Function, proto: str, scheme: str, port: int
) -> None:
    headers = {"host": "lb.example", "x-forwarded-proto": proto}
    scope = function.read(alb(headers=headers))
    assert (scheme, ("lb.example", port)) == (scope["scheme"], scope["server"])


@pytest.mark.parametrize(
    "headers",
    [
        {"headers": {"user-agent": "ELB-HealthChecker/2.0"}},
        {"headers": None, "multiValueHeaders": {"user-agent": ["ELB-HealthChecker/2.0"]}},
        {"headers": {}},
        {"headers": None},
        {"headers": None, "multiValueHeaders": {}},
        {"headers": None, "queryStringParameters": {}, "body": None},
    ],
)
def test_a_health_check_is_served(function: Function, headers: dict[str, Any]) -> None:
    event = alb("/health", **headers)
    scope = function.read(event)
    assert (None, None, "https") == (scope["client"], scope["server"], scope["scheme"])
    assert scope["path"] == "/health"
    name = scope["extensions"]["penstock"]["event_source"]
    assert read_answer(name, function.answer(event, status=204)).status == 204


def test_the_path_of_an_event_may_be_empty(function: Function) -> None:
    assert function.read(alb(""))["path"] == "/"


def test_the_answer_of_single_values(function: Function) -> None:
    headers = [(b"vary", b"a"), (b"x-number", b"1"), (b"vary", b"b")]
    expected = {
        "statusCode": 200,
        "statusDescription": "200 OK",
        "headers": {"vary": "a, b", "x-number": "1"},
        "body": "ok",
        "isBase64Encoded": False,
    }
    assert expected == function.answer(alb(), headers=headers, body=b"ok")


def test_the_answer_of_multiple_values(function: Function) -> None:
    headers = [(b"vary", b"a"), (b"set-cookie", b"a=1"), (b"vary", b"b"), (b"set-cookie", b"b=2")]
    event = alb(headers=None, multiValueHeaders={})
    expected = {
        "statusCode": 200,
        "statusDescription": "200 OK",
        "multiValueHeaders": {"vary": ["a", "b"], "set-cookie": ["a=1", "b=2"]},
        "body": "ok",
        "isBase64Encoded": False,
    }
    assert expected == function.answer(event, headers=headers, body=b"ok")


@pytest.mark.parametrize(("status", "text"), [(404, "404 Not Found"), (599, "599 Unknown")])
def test_the_status_is_described(function: Function, status: int, text: str) -> None:
    assert text == function.answer(alb(), status=status)["statusDescription"]


@pytest.mark.parametrize("count", [2, 9, 40])
def test_many_cookies_leave_under_as_many_spellings(function: Function, count: int) -> None:
    cookies = [b"c%d=1" % number for number in range(count)]
    answer = function.answer(alb(), headers=[(b"set-cookie", cookie) for cookie in cookies])
    assert count == len(answer["headers"])
    assert {name.lower() for name in answer["headers"]} == {"set-cookie"}
    got = read_answer("alb", answer).values("set-cookie")
    assert [cookie.decode() for cookie in cookies] == got


def test_who_has_to_spell_cookies_is_warned_once(
    function: Function, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.adapter.sources.alb._warned_of_cookies", False)
    several = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    for headers in (several[:1], several, several):
        function.answer(alb(), headers=headers)
    [record] = caplog.records
    assert "lambda.multi_value_headers.enabled" in record.getMessage()


def test_other_repeated_headers_keep_their_spelling(function: Function) -> None:
    headers = [(b"link", b"a"), (b"link", b"b"), (b"1", b"a"), (b"1", b"b")]
    assert function.answer(alb(), headers=headers)["headers"] == {"link": "a, b", "1": "a, b"}


@pytest.mark.parametrize("name", BOTH)
def test_a_base_path_works_behind_a_balancer(function: Function, name: str) -> None:
    event = make_event(name, ClientRequest("GET", "/api/users"))
    scope = function.read(event, base_path="/api")
    assert ("/api/users", "/api") == (scope["path"], scope["root_path"])
