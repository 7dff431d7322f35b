"""Lambda@Edge: requests of CloudFront that the function answers itself."""

from __future__ import annotations

import base64
import logging
from typing import TYPE_CHECKING, Any

import pytest

from penstock.infra.gateway import ClientRequest, make_event, read_answer

if TYPE_CHECKING:
    from tests.adapter.conftest import Function

REFUSED = [
    "connection",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "trailer",
    "upgrade",
    "x-accel-buffering",
    "x-accel-charset",
    "x-accel-limit-rate",
    "x-accel-redirect",
    "x-amz-cf-id",
    "x-amz-cf-anything",
    "x-amzn-auth",
    "x-amzn-cf-billing",
    "x-amzn-cf-id",
    "x-amzn-cf-xff",
    "x-amzn-errortype",
    "x-amzn-fle-profile",
    "x-amzn-header-count",
    "x-amzn-header-order",
    "x-amzn-lambda-integration-tag",
    "x-amzn-requestid",
    "x-cache",
    "x-edge-location",
    "x-forwarded-proto",
    "x-real-ip",
    "content-length",
    "host",
    "transfer-encoding",
    "via",
    "accept-encoding",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
]


def edge(uri: str = "/", **request: Any) -> dict[str, Any]:
    config = request.pop("config", {"distributionDomainName": "d1.cloudfront.net"})
    defaults = {"method": "GET", "uri": uri, "headers": {}, "clientIp": "192.0.2.1"}
    return {"Records": [{"cf": {"config": config, "request": {**defaults, **request}}}]}


def with_headers(**headers: str) -> dict[str, Any]:
    return edge(
        headers={
            name.replace("_", "-"): [{"key": name, "value": value}]
            for name, value in headers.items()
        }
    )


def test_the_uri_is_decoded_once(function: Function) -> None:
    scope = function.read(edge("/a%20b/%2541"))
    assert ("/a b/%41", b"/a%20b/%2541") == (scope["path"], scope["raw_path"])


@pytest.mark.parametrize(
    ("query", "expected"),
    [("a=1&a=2&b=%20+", b"a=1&a=2&b=%20+"), ("", b""), (None, b""), ("é", b"%C3%A9")],
)
def test_the_query_is_untouched(function: Function, query: object, expected: bytes) -> None:
    assert expected == function.read(edge(querystring=query))["query_string"]


def test_the_query_may_be_missing(function: Function) -> None:
    assert function.read(edge())["query_string"] == b""


def test_every_entry_of_a_header_arrives(function: Function) -> None:
    entries = [{"key": "X-Forwarded-For", "value": value} for value in ("a, b", "c")]
    function.read(edge(headers={"x-forwarded-for": entries}))
    assert function.values("x-forwarded-for") == [b"a, b", b"c"]


def test_entries_that_are_none_are_left_out(function: Function) -> None:
    headers = {"x-a": [{"value": "1"}, None, "x", {"key": "X-A"}], "x-b": "1", "x-c": None}
    assert function.read(edge(headers=headers))["headers"] == [(b"x-a", b"1")]


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_the_client_is_the_viewer(function: Function, address: str) -> None:
    assert function.read(edge(clientIp=address))["client"] == (address, 0)


@pytest.mark.parametrize("address", [None, "", 7])
def test_the_client_may_be_unknown(function: Function, address: object) -> None:
    assert function.read(edge(clientIp=address))["client"] is None


@pytest.mark.parametrize(
    ("kind", "header", "scheme"),
    [
        ("origin-request", ("CloudFront-Forwarded-Proto", "http"), "http"),
        ("origin-request", ("CloudFront-Forwarded-Proto", "https"), "https"),
        ("origin-request", ("X-Forwarded-Proto", "http"), "https"),
        # CloudFront adds the header later: here it is a viewer's own.
        ("viewer-request", ("CloudFront-Forwarded-Proto", "http"), "https"),
    ],
)
def test_the_scheme_is_what_cloudfront_says(
    function: Function, kind: str, header: tuple[str, str], scheme: str
) -> None:
    event = make_event("edge", ClientRequest("GET", "/", (header,)), edge_event_type=kind)
    assert scheme == function.read(event)["scheme"]


def test_the_server_is_the_host_or_the_distribution(function: Function) -> None:
    assert function.read(with_headers(host="www.example"))["server"] == ("www.example", 443)
    assert function.read(edge())["server"] == ("d1.cloudfront.net", 443)
    assert function.read(edge(config=None))["server"] is None


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"encoding": "base64", "data": "aMOpbGxv"}, "héllo".encode()),
        ({"encoding": "text", "data": "héllo"}, "héllo".encode()),
        ({"encoding": "base64", "data": ""}, b""),
        ({"data": None}, b""),
        (None, b""),
        ("", b""),
    ],
)
def test_a_body_is_decoded(function: Function, content: object, expected: bytes) -> None:
    function.read(edge(method="POST", body=content))
    assert expected == function.body


def test_a_body_that_cloudfront_cut_off_is_refused(
    function: Function, caplog: pytest.LogCaptureFixture
) -> None:
    event = make_event("edge", ClientRequest("POST", "/", body=b"x" * 50_000))
    got = read_answer("edge", function.answer(event, status=200))
    assert (413, b"Content Too Large") == (got.status, got.body)
    assert function.scope == {}
    assert "Records[0].cf.request.body" in caplog.text


def test_the_answer_of_text(function: Function) -> None:
    headers = [(b"Content-Type", b"text/plain"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    expected = {
        "status": "201",
        "statusDescription": "Created",
        "headers": {
            "content-type": [{"key": "content-type", "value": "text/plain"}],
            "set-cookie": [
                {"key": "set-cookie", "value": "a=1"},
                {"key": "set-cookie", "value": "b=2"},
            ],
        },
        "body": "ok",
        "bodyEncoding": "text",
    }
    assert expected == function.answer(edge(), status=201, headers=headers, body=b"ok")


def test_the_answer_of_bytes(function: Function) -> None:
    answer = function.answer(edge(), headers=[(b"content-type", b"image/png")], body=b"\x89PNG")
    assert ("base64", b"\x89PNG") == (answer["bodyEncoding"], base64.b64decode(answer["body"]))


@pytest.mark.parametrize("status", [200, 204, 304])
def test_an_empty_body_has_no_key(function: Function, status: int) -> None:
    answer = function.answer(edge(), status=status)
    assert set(answer) == {"status", "statusDescription", "headers"}


@pytest.mark.parametrize("status", [100, 101, 103, 199])
def test_a_status_that_cloudfront_does_not_take_is_an_error_of_the_application(
    function: Function, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    answer = function.answer(edge(), status=status, headers=[(b"x-secret", b"1")])
    assert ("500", []) == (answer["status"], read_answer("edge", answer).values("x-secret"))
    [record] = caplog.records
    text = f"request-1: expected a status from 200 to 599, which CloudFront takes, got {status}"
    assert text in record.getMessage()


@pytest.mark.parametrize("name", REFUSED)
def test_a_header_that_cloudfront_refuses_is_left_out(function: Function, name: str) -> None:
    headers = [(name.title().encode(), b"x"), (b"x-kept", b"1")]
    answer = function.answer(edge(), headers=headers, body=b"ok")
    assert [("x-kept", "1")] == [
        pair for pair in read_answer("edge", answer).headers if pair[0] != "content-length"
    ]


def test_what_is_left_out_is_logged_for_who_wonders(
    function: Function, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "penstock")
    function.answer(edge(), headers=[(b"via", b"x"), (b"x-kept", b"1")])
    [message] = [record.getMessage() for record in caplog.records if "left out" in record.message]
    assert "via" in message


@pytest.mark.parametrize(
    ("kind", "limit"), [("viewer-request", 40_000), ("origin-request", 1_000_000)]
)
def test_the_limit_depends_on_the_kind_of_event(function: Function, kind: str, limit: int) -> None:
    event = make_event("edge", ClientRequest("GET", "/"), edge_event_type=kind)
    fits = function.answer(event, body=b"x" * (limit - 500))
    assert read_answer("edge", fits, edge_event_type=kind).status == 200
    exceeds = function.answer(event, body=b"x" * (limit + 1))
    assert read_answer("edge", exceeds, edge_event_type=kind).status == 502


def test_an_origin_request_is_served(function: Function) -> None:
    request = ClientRequest("GET", "/x", (("Host", "www.example"),))
    event = make_event("edge", request, edge_event_type="origin-request")
    assert function.read(event)["client"] == ("203.0.113.7", 0)
