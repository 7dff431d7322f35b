"""Requests become the events that AWS sends."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.infra.gateway import SOURCES, ClientRequest, RequestRefused, make_event

PROBE = ClientRequest(
    "POST",
    "/capture/space%20value?repeat=one&repeat=two&literalPlus=a+b&encodedPlus=a%2Bb&empty=",
    (("User-Agent", "curl/8.7.1"), ("Content-Type", "application/json"), ("Cookie", "a=1; b=2")),
    '{"unicode": "λ"}'.encode(),
)

TARGET_TEXT = "".join(chr(code) for code in range(0x21, 0x7F))
QUERIES = st.text(TARGET_TEXT, max_size=40)


def get(target: str = "/", *headers: tuple[str, str], body: bytes = b"") -> ClientRequest:
    return ClientRequest("GET", target, headers, body)


def uploaded(event: dict[str, Any]) -> bytes:
    """The octets of the body that an event carries, whatever its form."""
    if "Records" in event:
        body = event["Records"][0]["cf"]["request"]["body"]
        return base64.b64decode(body["data"])
    flag = event["is_base64_encoded"] if "raw_path" in event else event["isBase64Encoded"]
    text = event.get("body") or ""
    return base64.b64decode(text) if flag else text.encode()


class TestEveryDoor:
    @pytest.mark.parametrize("source", SOURCES)
    def test_an_event_is_json_and_the_same_for_the_same_identity(self, source: str) -> None:
        first, second = (
            make_event(source, PROBE, request_id="id", time_ms=1_700_000_000_000) for _ in "ab"
        )
        assert first == second
        assert first == json.loads(json.dumps(first))

    @pytest.mark.parametrize("source", [name for name in SOURCES if "lattice" not in name])
    def test_each_request_has_its_own_identity(self, source: str) -> None:
        assert make_event(source, PROBE, time_ms=0) != make_event(source, PROBE, time_ms=0)

    @pytest.mark.parametrize("source", SOURCES)
    @given(body=st.binary(max_size=40), text=st.text(st.characters(codec="utf-8"), max_size=40))
    def test_any_body_arrives(self, source: str, body: bytes, text: str) -> None:
        octets = get("/", ("Content-Type", "image/png"), body=body)
        words = get("/", ("Content-Type", "text/plain"), body=text.encode())
        assert body == uploaded(make_event(source, octets))
        assert text.encode() == uploaded(make_event(source, words))

    @pytest.mark.parametrize("source", SOURCES)
    def test_host_is_the_clients_if_it_sent_one(self, source: str) -> None:
        named = json.dumps(make_event(source, get("/", ("Host", "www.example.com"))))
        assert "www.example.com" in named
        assert "api.example.com" in json.dumps(make_event(source, get(), domain="api.example.com"))

    @pytest.mark.parametrize("source", SOURCES)
    def test_header_values_may_be_any_text(self, source: str) -> None:
        assert "grüße" in json.dumps(
            make_event(source, get("/", ("X-Text", "grüße"))), ensure_ascii=False
        )

    @pytest.mark.parametrize(
        ("source", "settings", "message"),
        [
            ("websocket", {}, "expected one of rest-api"),
            ("alb", {"stage": "prod"}, "alb has no stages"),
            ("http-api", {"base_path_mapping": "shop"}, "rest-api only"),
            ("http-api", {"binary_media_types": ()}, "rest-api"),
            ("edge", {"scheme": "http"}, "on edge"),
            ("edge", {"edge_event_type": "origin-response"}, "viewer-request, origin-request"),
            (
                "rest-api",
                {"base_path_mapping": "shop", "domain": "a.execute-api.eu-west-1.amazonaws.com"},
                "custom domain",
            ),
        ],
    )
    def test_settings_that_a_door_lacks_are_refused(
        self, source: str, settings: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            make_event(source, get(), **settings)

    @pytest.mark.parametrize("target", ["", "a", "/a b", "/ä", "/a\n"])
    def test_a_target_that_cannot_be_on_the_wire_is_refused(self, target: str) -> None:
        with pytest.raises(ValueError, match="target"):
            ClientRequest("GET", target)

    @pytest.mark.parametrize(
        "source", ["rest-api", "http-api", "http-api-1", "function-url", "lattice-1", "lattice-2"]
    )
    def test_lambda_takes_six_megabytes_of_event(self, source: str) -> None:
        small, large = (get("/", body=b"\xff" * size) for size in (4_700_000, 4_800_000))
        assert 4_700_000 == len(uploaded(make_event(source, small)))
        with pytest.raises(RequestRefused, match="6291456") as caught:
            make_event(source, large)
        assert 413 == caught.value.status


class TestQueries:
    @pytest.mark.parametrize("source", ["http-api", "function-url"])
    @given(query=QUERIES)
    def test_payload_2_has_it_untouched(self, source: str, query: str) -> None:
        assert query == make_event(source, get(f"/?{query}"))["rawQueryString"]

    @given(query=QUERIES)
    def test_edge_has_it_untouched(self, query: str) -> None:
        event = make_event("edge", get(f"/x?{query}"))
        request = event["Records"][0]["cf"]["request"]
        assert (query, "/x") == (request["querystring"], request["uri"])

    @pytest.mark.parametrize(("source", "key"), [("lattice-1", "raw_path"), ("lattice-2", "path")])
    @given(query=QUERIES)
    def test_lattice_has_it_in_the_path(self, source: str, key: str, query: str) -> None:
        assert f"/x?{query}" == make_event(source, get(f"/x?{query}"))[key]

    @pytest.mark.parametrize("source", ["rest-api", "http-api-1"])
    @given(query=QUERIES)
    def test_payload_1_has_it_decoded_in_the_order_of_keys(self, source: str, query: str) -> None:
        event = make_event(source, get(f"/?{query}"))
        values = event["multiValueQueryStringParameters"] or {}
        assert sorted(values) == list(values)
        assert sorted(parse_qsl(query, keep_blank_values=True)) == sorted(
            (key, value) for key, items in values.items() for value in items
        )
        assert {key: items[-1] for key, items in values.items()} == (
            event["queryStringParameters"] or {}
        )

    def test_alb_decodes_neither_key_nor_value(self) -> None:
        request = get("/?b%5B%5D=%E9&a=x+y&b%5B%5D=%26&flag&")
        assert {"a": ["x+y"], "b%5B%5D": ["%E9", "%26"], "flag": [""]} == make_event(
            "alb-multi", request
        )["multiValueQueryStringParameters"]
        assert {"a": "x+y", "b%5B%5D": "%26", "flag": ""} == make_event("alb", request)[
            "queryStringParameters"
        ]

    def test_http_api_joins_repeats_in_its_map(self) -> None:
        event = make_event("http-api", get("/?a=1&b=x+y&a=%2B"))
        assert {"a": "1,+", "b": "x y"} == event["queryStringParameters"]

    def test_no_query_is_no_map(self) -> None:
        assert "queryStringParameters" not in make_event("http-api", get("/"))
        assert None is make_event("rest-api", get("/"))["queryStringParameters"]
        assert {} == make_event("alb", get("/"))["queryStringParameters"]


class TestPaths:
    def test_http_api_decodes_and_stops_at_a_question_mark(self) -> None:
        assert "/a/b%zz+c" == make_event("http-api", get("/a%2Fb%zz+c"))["rawPath"]
        assert "/a" == make_event("http-api", get("/a%3Fb"))["rawPath"]

    def test_function_url_keeps_escapes(self) -> None:
        event = make_event("function-url", get("/a%2Fb%20c"))
        assert "/a%2Fb%20c" == event["rawPath"]
        assert "/a/b c" == event["requestContext"]["http"]["path"]

    @pytest.mark.parametrize("source", ["rest-api", "http-api-1", "alb", "alb-multi"])
    def test_encoded_paths_stay_so(self, source: str) -> None:
        assert "/a%2Fb//c%20d" == make_event(source, get("/a%2Fb//c%20d"))["path"]

    @pytest.mark.parametrize(
        ("source", "domain", "path", "context_path"),
        [
            ("rest-api", None, "/a%20b", "/dev/a%20b"),
            ("rest-api", "api.example.com", "/a%20b", "/a%20b"),
            ("http-api-1", None, "/dev/a%20b", "/dev/a b"),
            ("http-api-1", "api.example.com", "/a%20b", "/dev/a b"),
        ],
    )
    def test_stages_of_payload_1(
        self, source: str, domain: str | None, path: str, context_path: str
    ) -> None:
        event = make_event(source, get("/a%20b"), stage="dev", domain=domain)
        assert (path, context_path, "dev") == (
            event["path"],
            event["requestContext"]["path"],
            event["requestContext"]["stage"],
        )

    @pytest.mark.parametrize("domain", [None, "api.example.com"])
    def test_http_api_has_the_stage_on_every_domain(self, domain: str | None) -> None:
        event = make_event("http-api", get("/a"), stage="dev", domain=domain)
        assert "/dev/a" == event["rawPath"] == event["requestContext"]["http"]["path"]

    @pytest.mark.parametrize("mapping", ["shop", "/shop/"])
    def test_a_base_path_mapping_is_in_raw_path(self, mapping: str) -> None:
        event = make_event("rest-api", get("/users"), base_path_mapping=mapping)
        assert ("/users", "/shop/users", "/shop/users", "api.example.com") == (
            event["path"],
            event["rawPath"],
            event["requestContext"]["path"],
            event["requestContext"]["domainName"],
        )

    def test_rest_proxy_parameter_loses_the_last_slash(self) -> None:
        event = make_event("rest-api", get("/a/b/"))
        assert ({"proxy": "a/b"}, "/a/b/") == (event["pathParameters"], event["path"])


class TestHeaders:
    @pytest.mark.parametrize("source", ["rest-api", "http-api-1"])
    def test_payload_1_keeps_spelling_and_repeats(self, source: str) -> None:
        event = make_event(source, get("/", ("X-Many", "1"), ("x-many", "2"), ("X-Many", "3")))
        assert ["1", "3"] == event["multiValueHeaders"]["X-Many"]
        assert ["2"] == event["multiValueHeaders"]["x-many"]
        assert "3" == event["headers"]["X-Many"]

    def test_rest_api_drops_what_it_does_not_forward(self) -> None:
        dropped = ("Content-Length", "Connection", "Expect", "TE", "Transfer-Encoding", "Upgrade")
        request = get("/", *((name, "1") for name in dropped), body=b"x")
        event = make_event("rest-api", request)
        assert set() == {name.lower() for name in dropped} & {
            name.lower() for name in event["headers"]
        }

    def test_rest_api_lets_the_client_override_the_method(self) -> None:
        event = make_event("rest-api", get("/", ("X-HTTP-Method-Override", "PUT")))
        assert "PUT" == event["httpMethod"] == event["requestContext"]["httpMethod"]

    @pytest.mark.parametrize("source", ["http-api", "http-api-1"])
    def test_http_apis_always_tell_the_length(self, source: str) -> None:
        headers = make_event(source, get())["headers"]
        assert "0" == {name.lower(): value for name, value in headers.items()}["content-length"]

    @pytest.mark.parametrize("source", ["function-url", "alb", "lattice-1"])
    def test_other_doors_tell_the_length_of_a_body(self, source: str) -> None:
        chunked = get("/", ("Transfer-Encoding", "chunked"), body=b"abc")
        headers = make_event(source, chunked)["headers"]
        assert "3" == headers["content-length"]
        assert "transfer-encoding" not in headers
        assert "content-length" not in make_event(source, get())["headers"]

    def test_payload_2_joins_with_a_comma(self) -> None:
        headers = (("X-Many", "1"), ("x-many", "2, 3"))
        for source in ("http-api", "function-url"):
            assert "1,2, 3" == make_event(source, get("/", *headers))["headers"]["x-many"]

    def test_cookies_of_payload_2(self) -> None:
        request = get("/", ("Cookie", "a=1; b=2"), ("cookie", "c=3"))
        http_api, url = (make_event(source, request) for source in ("http-api", "function-url"))
        assert ["a=1", "b=2", "c=3"] == http_api["cookies"] == url["cookies"]
        assert "cookie" not in http_api["headers"]
        assert "a=1; b=2; c=3" == url["headers"]["cookie"]

    def test_alb_in_single_mode_keeps_the_last_value(self) -> None:
        request = get("/", ("X-Many", "1"), ("x-many", "2"))
        assert "2" == make_event("alb", request)["headers"]["x-many"]
        assert ["1", "2"] == make_event("alb-multi", request)["multiValueHeaders"]["x-many"]

    @pytest.mark.parametrize("source", ["rest-api", "http-api", "http-api-1", "alb", "lattice-1"])
    def test_forwarded_for_grows(self, source: str) -> None:
        event = make_event(source, get("/", ("X-Forwarded-For", "192.0.2.1")))
        headers = {name.lower(): value for name, value in event["headers"].items()}
        assert "192.0.2.1, 203.0.113.7" == headers["x-forwarded-for"]

    def test_forwarded_for_is_overwritten_by_a_function_url(self) -> None:
        event = make_event("function-url", get("/", ("X-Forwarded-For", "192.0.2.1")))
        assert "203.0.113.7" == event["headers"]["x-forwarded-for"]

    def test_alb_forwards_its_listener(self) -> None:
        headers = make_event("alb", get("/", ("X-Forwarded-Proto", "gopher")))["headers"]
        assert ("https", "443") == (headers["x-forwarded-proto"], headers["x-forwarded-port"])

    def test_traces(self) -> None:
        sent = get("/", ("X-Amzn-Trace-Id", "Root=1-0-1"))
        added = make_event("http-api", get(), request_id="id", time_ms=1_744_668_836_573)
        assert added["headers"]["x-amzn-trace-id"].startswith("Root=1-67fd88a4-")
        assert "Root=1-0-1" == make_event("http-api", sent)["headers"]["x-amzn-trace-id"]
        alb = make_event("alb", sent)["headers"]["x-amzn-trace-id"]
        assert alb.startswith("Self=1-")
        assert alb.endswith(";Root=1-0-1")

    def test_lattice_adds_the_address_only(self) -> None:
        event = make_event("lattice-2", get("/", ("X-Many", "1"), ("X-Many", "2")))
        assert {"host", "x-many", "x-forwarded-for"} == set(event["headers"])
        assert ["1", "2"] == event["headers"]["x-many"]
        assert "1, 2" == make_event("lattice-1", get("/", ("a", "1"), ("A", "2")))["headers"]["a"]

    def test_edge_has_entries_in_the_clients_spelling(self) -> None:
        event = make_event("edge", get("/", ("X-Many", "1"), ("x-many", "2")))
        assert [{"key": "X-Many", "value": "1"}, {"key": "x-many", "value": "2"}] == (
            event["Records"][0]["cf"]["request"]["headers"]["x-many"]
        )

    def test_edge_forwards_to_an_origin(self) -> None:
        event = make_event("edge", get(), edge_event_type="origin-request")
        headers = event["Records"][0]["cf"]["request"]["headers"]
        assert [{"key": "X-Forwarded-For", "value": "203.0.113.7"}] == headers["x-forwarded-for"]


class TestBodies:
    @pytest.mark.parametrize("source", ["http-api", "http-api-1", "function-url", "alb"])
    @pytest.mark.parametrize(
        ("content_type", "is_base64"),
        [
            ("text/csv; charset=utf-8", False),
            ("Application/JSON", False),
            ("application/javascript", False),
            ("application/xml", False),
            ("application/x-www-form-urlencoded", True),
            ("multipart/form-data; boundary=x", True),
            ("image/png", True),
        ],
    )
    def test_by_content_type(self, source: str, content_type: str, is_base64: bool) -> None:
        event = make_event(source, get("/", ("content-type", content_type), body=b"a"))
        assert is_base64 is event["isBase64Encoded"]

    @pytest.mark.parametrize(
        ("types", "body", "is_base64"),
        [
            (None, "é", False),
            ((), "é", False),
            (("image/png",), "é", False),
            (("text/plain",), "w6k=", True),
            (("*/*",), "w6k=", True),
        ],
    )
    def test_rest_api_by_its_binary_media_types(
        self, types: tuple[str, ...] | None, body: str, is_base64: bool
    ) -> None:
        request = get("/", ("content-type", "text/plain; x=y"), body="é".encode())
        event = make_event("rest-api", request, binary_media_types=types)
        assert (body, is_base64) == (event["body"], event["isBase64Encoded"])

    def test_rest_api_without_binary_media_types_damages_bytes(self) -> None:
        event = make_event("rest-api", get("/", body=b"\xff"), binary_media_types=())
        assert ("\ufffd", False) == (event["body"], event["isBase64Encoded"])

    def test_alb_encodes_what_is_encoded(self) -> None:
        headers = (("content-type", "text/plain"), ("content-encoding", "br"))
        assert make_event("alb", get("/", *headers, body=b"a"))["isBase64Encoded"]

    def test_alb_refuses_text_that_is_not_utf8(self) -> None:
        with pytest.raises(RequestRefused) as caught:
            make_event("alb", get("/", ("content-type", "text/plain"), body=b"\xff"))
        assert 400 == caught.value.status

    def test_alb_takes_a_megabyte(self) -> None:
        assert 1_000_000 == len(uploaded(make_event("alb", get(body=b"x" * 1_000_000))))
        with pytest.raises(RequestRefused) as caught:
            make_event("alb", get(body=b"x" * 1_000_001))
        assert 413 == caught.value.status

    @pytest.mark.parametrize(
        ("event_type", "limit"), [("viewer-request", 40_000), ("origin-request", 1_000_000)]
    )
    def test_edge_truncates(self, event_type: str, limit: int) -> None:
        for size, truncated in ((limit, False), (limit + 1, True)):
            event = make_event("edge", get(body=b"x" * size), edge_event_type=event_type)
            body = event["Records"][0]["cf"]["request"]["body"]
            assert (truncated, limit) == (body["inputTruncated"], len(uploaded(event)))

    def test_no_body(self) -> None:
        assert "body" not in make_event("http-api", get())
        assert "body" not in make_event("function-url", get())
        assert None is make_event("rest-api", get())["body"]
        for source in ("alb", "lattice-1", "lattice-2"):
            assert "" == make_event(source, get())["body"]
