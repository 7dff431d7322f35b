"""What functions return becomes what clients see, or AWS's refusal."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.infra.gateway import SOURCES, ClientResponse, MalformedAnswer, read_answer

FAILURES = {
    "rest-api": 502,
    "http-api": 500,
    "http-api-1": 500,
    "function-url": 502,
    "alb": 502,
    "alb-multi": 502,
    "edge": 502,
    "lattice-1": 500,
    "lattice-2": 500,
}
MULTI = ("rest-api", "http-api-1", "alb-multi")
ENVELOPES = tuple(source for source in SOURCES if source != "edge")


def make_answer(
    source: str,
    *,
    status: int = 200,
    headers: tuple[tuple[str, str], ...] = (("content-type", "text/plain"),),
    body: bytes = b"hello",
    is_base64: bool = False,
) -> dict[str, Any]:
    """The plainest good answer of a source, each header name once but for ``MULTI``."""
    text = base64.b64encode(body).decode() if is_base64 else body.decode()
    if source == "edge":
        return {
            "status": str(status),
            "headers": {name: [{"key": name, "value": value}] for name, value in headers},
            "body": text,
            "bodyEncoding": "base64" if is_base64 else "text",
        }
    answer: dict[str, Any] = {"statusCode": status, "body": text, "isBase64Encoded": is_base64}
    if source.startswith("alb"):
        answer["statusDescription"] = f"{status} OK"
    if source in MULTI:
        lists: dict[str, list[str]] = {}
        for name, value in headers:
            lists.setdefault(name, []).append(value)
        answer["multiValueHeaders"] = lists
    else:
        answer["headers"] = dict(headers)
    return answer


def refused(source: str, answer: object, **settings: Any) -> str:
    """The reason of a refusal, which must have the door's own status."""
    with pytest.raises(MalformedAnswer) as caught:
        read_answer(source, answer, **settings)
    assert FAILURES[source] == caught.value.status
    return caught.value.reason


class TestEveryDoor:
    @pytest.mark.parametrize("source", SOURCES)
    def test_a_good_answer_is_what_the_client_sees(self, source: str) -> None:
        expected = ClientResponse(
            200, [("content-type", "text/plain"), ("content-length", "5")], b"hello"
        )
        assert expected == read_answer(source, make_answer(source))

    @pytest.mark.parametrize("source", SOURCES)
    @given(body=st.binary(max_size=60))
    def test_any_body_survives_base64(self, source: str, body: bytes) -> None:
        answer = make_answer(source, body=body, is_base64=True)
        assert body == read_answer(source, answer).body

    @pytest.mark.parametrize("source", SOURCES)
    @given(body=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
    def test_any_text_survives(self, source: str, body: str) -> None:
        answer = make_answer(source, body=body.encode())
        assert body.encode() == read_answer(source, answer).body

    @pytest.mark.parametrize(
        ("source", "content_type"),
        [
            ("rest-api", ["application/json"]),
            ("http-api", ["text/plain; charset=utf-8"]),
            ("http-api-1", ["text/plain; charset=utf-8"]),
            ("function-url", ["application/json"]),
            ("alb", []),
            ("alb-multi", []),
            ("edge", []),
            ("lattice-1", []),
            ("lattice-2", []),
        ],
    )
    def test_default_content_type(self, source: str, content_type: list[str]) -> None:
        response = read_answer(source, make_answer(source, headers=()))
        assert content_type == response.values("content-type")

    @pytest.mark.parametrize("source", SOURCES)
    @pytest.mark.parametrize("answer", [None, [], "text", 1, {}])
    def test_no_envelope_is_refused(self, source: str, answer: object) -> None:
        assert "expected" in refused(source, answer)

    @pytest.mark.parametrize("source", SOURCES)
    def test_keys_that_the_door_does_not_know_are_refused(self, source: str) -> None:
        assert "got extra" in refused(source, {**make_answer(source), "extra": 1})

    @pytest.mark.parametrize("source", SOURCES)
    @pytest.mark.parametrize("value", [b"bytes", {1}, object(), float("nan"), "\ud800"])
    def test_what_json_cannot_hold_is_refused(self, source: str, value: object) -> None:
        assert "JSON can hold" in refused(source, {**make_answer(source), "body": value})

    @pytest.mark.parametrize("source", SOURCES)
    @pytest.mark.parametrize("value", ["a\rb", "a\nb", "a\0b"])
    def test_line_breaks_in_values_are_refused(self, source: str, value: str) -> None:
        assert "CR, LF" in refused(source, make_answer(source, headers=(("x-a", value),)))

    @pytest.mark.parametrize("source", SOURCES)
    @pytest.mark.parametrize("name", ["X-A", "x a", "x:a", ""])
    def test_names_are_lower_case_tokens(self, source: str, name: str) -> None:
        assert "header" in refused(source, make_answer(source, headers=((name, "1"),)))

    @pytest.mark.parametrize("source", SOURCES)
    @pytest.mark.parametrize(
        "name",
        ["connection", "keep-alive", "transfer-encoding", "upgrade", "trailer", "content-length"],
    )
    def test_framing_is_the_doors(self, source: str, name: str) -> None:
        assert name in refused(source, make_answer(source, headers=((name, "5"),)))

    @pytest.mark.parametrize("source", SOURCES)
    def test_base64_that_is_none_is_refused(self, source: str) -> None:
        answer = {**make_answer(source, is_base64=True), "body": "not base64!"}
        assert "base64" in refused(source, answer)

    @pytest.mark.parametrize("source", SOURCES)
    @pytest.mark.parametrize("body", [None, 1, ["a"]])
    def test_bodies_are_text(self, source: str, body: object) -> None:
        assert "body" in refused(source, {**make_answer(source), "body": body})

    @pytest.mark.parametrize("source", SOURCES)
    @pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
    def test_no_body_where_http_forbids_it(self, source: str, method: str, status: int) -> None:
        bad = make_answer(source, status=status)
        assert "no body" in refused(source, bad, method=method)
        good = make_answer(source, status=status, body=b"")
        if source == "edge":
            del good["body"]
        response = read_answer(source, good, method=method)
        assert (b"", []) == (response.body, response.values("content-length"))

    @pytest.mark.parametrize("source", ENVELOPES)
    def test_the_length_that_a_head_would_have(self, source: str) -> None:
        answer = make_answer(source, headers=(("content-length", "5"),), body=b"")
        assert ["5"] == read_answer(source, answer, method="HEAD").values("content-length")

    @pytest.mark.parametrize("source", ENVELOPES)
    @pytest.mark.parametrize("status", ["200", 0, 99, 600, 200.5, True, None])
    def test_statuses_are_numbers(self, source: str, status: object) -> None:
        assert "statusCode" in refused(source, {**make_answer(source), "statusCode": status})

    @pytest.mark.parametrize("source", ENVELOPES)
    @pytest.mark.parametrize("key", ["statusCode", "body", "isBase64Encoded"])
    def test_the_envelope_is_whole(self, source: str, key: str) -> None:
        answer = make_answer(source)
        del answer[key]
        assert key in refused(source, answer)

    @pytest.mark.parametrize("source", ENVELOPES)
    def test_the_flag_is_a_bool(self, source: str) -> None:
        assert "true or false" in refused(source, {**make_answer(source), "isBase64Encoded": "no"})

    @pytest.mark.parametrize("source", ENVELOPES)
    @pytest.mark.parametrize("value", [1, True, None, {}])
    def test_values_are_strings(self, source: str, value: object) -> None:
        if source in MULTI:
            many = {**make_answer(source), "multiValueHeaders": {"x-a": [value]}}
            assert "x-a" in refused(source, many)
        else:
            assert "x-a" in refused(source, {**make_answer(source), "headers": {"x-a": value}})

    @pytest.mark.parametrize("source", ENVELOPES)
    def test_a_null_map_is_refused(self, source: str) -> None:
        key = "multiValueHeaders" if source in MULTI else "headers"
        assert key in refused(source, {**make_answer(source), key: None})

    @pytest.mark.parametrize(
        ("source", "limit"),
        [
            *((source, 6_291_556) for source in ENVELOPES if not source.startswith("alb")),
            ("alb", 1_000_000),
            ("alb-multi", 1_000_000),
            ("edge", 40_000),
        ],
    )
    def test_limits_count_the_json(self, source: str, limit: int) -> None:
        # A quotation mark is two bytes of JSON.
        assert f"{limit} bytes" in refused(source, make_answer(source, body=b'"' * (limit // 2)))
        fitting = make_answer(source, body=b'"' * (limit // 2 - 200))
        assert limit // 2 - 200 == len(read_answer(source, fitting).body)

    def test_unknown_names_are_refused(self) -> None:
        with pytest.raises(ValueError, match="rest-api"):
            read_answer("websocket", {})
        with pytest.raises(ValueError, match="origin-request"):
            read_answer("edge", {}, edge_event_type="origin-response")


class TestPayload1:
    @pytest.mark.parametrize("source", ["rest-api", "http-api-1"])
    def test_both_maps(self, source: str) -> None:
        answer = make_answer(source, headers=(("set-cookie", "a=1"), ("set-cookie", "b=2")))
        response = read_answer(source, {**answer, "headers": {"x-a": "1"}})
        assert ["a=1", "b=2"] == response.values("set-cookie")
        assert ["1"] == response.values("x-a")

    @pytest.mark.parametrize("source", ["rest-api", "http-api-1"])
    def test_one_name_in_both_maps_is_refused(self, source: str) -> None:
        answer = {**make_answer(source), "headers": {"content-type": "text/plain"}}
        assert "content-type" in refused(source, answer)

    @pytest.mark.parametrize("source", ["rest-api", "http-api-1"])
    @pytest.mark.parametrize("key", ["cookies", "statusDescription"])
    def test_keys_of_other_doors_are_refused(self, source: str, key: str) -> None:
        assert key in refused(source, {**make_answer(source), key: []})

    @pytest.mark.parametrize("source", MULTI)
    def test_one_content_type(self, source: str) -> None:
        twice = (("content-type", "text/plain"), ("content-type", "text/html"))
        assert "content-type" in refused(source, make_answer(source, headers=twice))

    @pytest.mark.parametrize("source", MULTI)
    def test_a_value_that_is_no_list_is_refused(self, source: str) -> None:
        answer = {**make_answer(source), "multiValueHeaders": {"x-a": "1"}}
        assert "list" in refused(source, answer)

    def test_rest_api_renames_and_drops(self) -> None:
        headers = (("www-authenticate", "Basic"), ("server", "x"), ("host", "example.com"))
        response = read_answer("rest-api", make_answer("rest-api", headers=headers))
        assert [
            ("x-amzn-remapped-www-authenticate", "Basic"),
            ("x-amzn-remapped-server", "x"),
            ("content-type", "application/json"),
            ("content-length", "5"),
        ] == response.headers

    @pytest.mark.parametrize(
        ("types", "accept", "body"),
        [
            (None, "", b"hello"),
            (("*/*",), "", b"hello"),
            (("image/png",), "image/png;q=1, */*", b"hello"),
            (("image/png",), "text/html, image/png", b"aGVsbG8="),
            ((), "*/*", b"aGVsbG8="),
        ],
    )
    def test_rest_api_decodes_for_its_binary_media_types(
        self, types: tuple[str, ...] | None, accept: str, body: bytes
    ) -> None:
        answer = make_answer("rest-api", is_base64=True)
        response = read_answer("rest-api", answer, binary_media_types=types, accept=accept)
        assert (body, [str(len(body))]) == (response.body, response.values("content-length"))


class TestPayload2:
    @pytest.mark.parametrize("source", ["http-api", "function-url"])
    def test_cookies_are_repeated_headers(self, source: str) -> None:
        answer = {**make_answer(source), "cookies": ["a=1; Path=/", "b=2"]}
        assert ["a=1; Path=/", "b=2"] == read_answer(source, answer).values("set-cookie")

    @pytest.mark.parametrize("source", ["http-api", "function-url"])
    @pytest.mark.parametrize("cookies", [None, "a=1", [1], {}])
    def test_cookies_are_a_list_of_text(self, source: str, cookies: object) -> None:
        assert "cookies" in refused(source, {**make_answer(source), "cookies": cookies})

    @pytest.mark.parametrize("source", ["http-api", "function-url"])
    def test_cookies_cannot_split_the_response(self, source: str) -> None:
        assert "CR, LF" in refused(source, {**make_answer(source), "cookies": ["a=1\r\nx: y"]})

    @pytest.mark.parametrize("source", ["http-api", "function-url"])
    def test_cookies_in_headers_are_refused(self, source: str) -> None:
        answer = make_answer(source, headers=(("set-cookie", "a=1, b=2"),))
        assert "cookies only" in refused(source, answer)

    @pytest.mark.parametrize("source", ["http-api", "function-url"])
    def test_the_map_that_is_not_read_is_refused(self, source: str) -> None:
        answer = {**make_answer(source), "multiValueHeaders": {}}
        assert "multiValueHeaders" in refused(source, answer)


class TestBalancers:
    @pytest.mark.parametrize(
        ("source", "other"), [("alb", "multiValueHeaders"), ("alb-multi", "headers")]
    )
    def test_the_map_of_the_other_mode_is_refused(self, source: str, other: str) -> None:
        assert other in refused(source, {**make_answer(source), other: {}})

    @pytest.mark.parametrize("source", ["alb", "alb-multi"])
    @pytest.mark.parametrize("description", [None, "OK", "404 Not Found", 200])
    def test_the_description_names_the_status(self, source: str, description: object) -> None:
        answer = {**make_answer(source), "statusDescription": description}
        assert "statusDescription" in refused(source, answer)

    def test_alb_without_lists_has_cookies_in_several_spellings(self) -> None:
        answer = make_answer("alb", headers=(("set-cookie", "a=1"), ("Set-cookie", "b=2")))
        assert ["a=1", "b=2"] == read_answer("alb", answer).values("set-cookie")

    def test_alb_with_lists_has_cookies_in_one(self) -> None:
        answer = make_answer("alb-multi", headers=(("set-cookie", "a=1"), ("set-cookie", "b=2")))
        assert ["a=1", "b=2"] == read_answer("alb-multi", answer).values("set-cookie")
        assert "lower-case" in refused(
            "alb-multi", make_answer("alb-multi", headers=(("Set-cookie", "b=2"),))
        )

    def test_lattice_2_takes_lists(self) -> None:
        answer = make_answer("lattice-2")
        answer["headers"] = {"set-cookie": ["a=1", "b=2"], "x-a": "1"}
        response = read_answer("lattice-2", answer)
        assert ["a=1", "b=2"] == response.values("set-cookie")
        assert ["1"] == response.values("x-a")
        assert "set-cookie" in refused("lattice-1", answer)


class TestEdge:
    @pytest.mark.parametrize("status", [200, "199", "600", "20", "2000", "abc", None])
    def test_statuses_are_strings(self, status: object) -> None:
        assert "status" in refused("edge", {**make_answer("edge"), "status": status})

    @pytest.mark.parametrize("name", ["via", "host", "x-cache", "x-edge-a", "x-amz-cf-pop"])
    def test_forbidden_and_read_only_headers(self, name: str) -> None:
        assert name in refused("edge", make_answer("edge", headers=((name, "1"),)))

    def test_the_flag_of_other_doors_is_refused(self) -> None:
        answer = {**make_answer("edge"), "isBase64Encoded": False}
        assert "isBase64Encoded" in refused("edge", answer)

    @pytest.mark.parametrize("encoding", ["gzip", None, True])
    def test_encodings(self, encoding: object) -> None:
        assert "bodyEncoding" in refused("edge", {**make_answer("edge"), "bodyEncoding": encoding})

    def test_repeats_are_entries(self) -> None:
        entries = [{"key": "Set-Cookie", "value": "a=1"}, {"value": "b=2"}]
        answer = {**make_answer("edge"), "headers": {"set-cookie": entries}}
        assert ["a=1", "b=2"] == read_answer("edge", answer).values("set-cookie")

    @pytest.mark.parametrize(
        "entries",
        ["1", ["1"], [{"key": "x-a"}], [{"value": 1}], [{"key": "x-b", "value": "1"}]],
    )
    def test_entries_have_their_form(self, entries: object) -> None:
        assert "x-a" in refused("edge", {**make_answer("edge"), "headers": {"x-a": entries}})

    def test_status_alone_is_an_answer(self) -> None:
        assert ClientResponse(200, [("content-length", "0")]) == read_answer(
            "edge", {"status": "200"}
        )

    def test_not_even_an_empty_body_with_204(self) -> None:
        assert "no body" in refused("edge", {"status": "204", "body": ""})

    def test_descriptions_are_text(self) -> None:
        answer = {**make_answer("edge"), "statusDescription": 1}
        assert "statusDescription" in refused("edge", answer)

    def test_origin_requests_take_a_megabyte(self) -> None:
        answer = make_answer("edge", body=b"x" * 900_000)
        assert 900_000 == len(read_answer("edge", answer, edge_event_type="origin-request").body)
