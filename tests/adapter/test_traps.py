"""The mistakes that adapters of this kind are known for, each with the test that rules it out.

The numbers are those of the list of known traps, one for each symptom that users have reported.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from penstock.infra.gateway import SOURCES, ClientRequest, make_event

if TYPE_CHECKING:
    from tests.adapter.conftest import Function

TESTS = Path(__file__).parent.parent
NUMBERS = range(1, 73)
STREAMING = "about streamed answers, which this adapter does not give"
WEBSOCKET = "about WebSocket connections, which this version does not serve"
EXCLUDED: dict[int, str] = {
    29: "a setting of the API (binaryMediaTypes), for the documentation and the template",
    40: "the gateway cuts the path off before the function is invoked: see docs/losses.md",
    45: STREAMING,
    46: STREAMING,
    47: STREAMING,
    48: STREAMING,
    56: WEBSOCKET,
    57: WEBSOCKET,
    58: WEBSOCKET,
}
ALB = "adapter/test_alb.py::"
EDGE = "adapter/test_edge.py::"
LATTICE = "adapter/test_lattice.py::"
PAYLOAD_2 = "adapter/test_payload_2.py::"
PATHS = "adapter/test_rest_paths.py::"
EVENTS = "adapter/test_non_http.py::"
BAD = "adapter/test_bad_events.py::"
HERE = "adapter/test_traps.py::"
SHAPES = "adapter/test_recognition.py::test_an_event_is_recognised_by_its_shape"
SCOPE = "contract/test_scope.py::"
REQUEST = "contract/test_request_headers.py::"
RESPONSE = "contract/test_response_headers.py::"
BODIES = "contract/test_bodies.py::"
TEXT = "contract/test_text_or_base64.py::"
MOUNTING = "contract/test_mounting.py::"

TESTED: dict[int, list[str]] = {
    1: [ALB + "test_the_query_is_joined_and_nothing_else"],
    2: [ALB + "test_the_query_is_joined_and_nothing_else"],
    3: [ALB + "test_the_answer_of_multiple_values", ALB + "test_a_health_check_is_served"],
    4: [
        ALB + "test_the_answer_of_multiple_values",
        RESPONSE + "test_every_cookie_is_a_line_of_its_own",
    ],
    5: [ALB + "test_the_answer_of_single_values", HERE + "test_header_values_are_text"],
    6: [ALB + "test_the_answer_of_single_values", HERE + "test_the_status_is_a_number"],
    7: [ALB + "test_the_status_is_described", HERE + "test_an_answer_has_the_keys_of_its_door"],
    8: [ALB + "test_a_health_check_is_served"],
    9: [TEXT + "test_everything_else_leaves_as_base64"],
    10: [ALB + "test_the_client_is_what_the_balancer_saw"],
    11: [ALB + "test_a_base_path_works_behind_a_balancer"],
    12: [
        ALB + "test_many_cookies_leave_under_as_many_spellings",
        LATTICE + "test_of_several_cookies_version_1_sends_the_last_and_says_so",
        LATTICE + "test_of_several_cookies_version_2_sends_all",
    ],
    13: [REQUEST + "test_the_content_length_is_that_of_the_body"],
    14: [REQUEST + "test_cookie_lines_of_http2_clients_are_joined_as_rfc_9113_says"],
    15: [BAD + "test_maps_that_are_none_are_empty"],
    16: [PATHS + "test_stages_of_the_own_domain_are_the_root_path"],
    17: [
        PATHS + "test_the_root_path_is_derived",
        PATHS + "test_an_empty_option_switches_it_off",
        PATHS + "test_stages_of_a_custom_domain_are_not",
    ],
    18: [
        PATHS + "test_a_mapping_of_a_custom_domain_is_the_root_path",
        MOUNTING + "test_only_whole_segments_at_the_beginning_count",
    ],
    19: [SHAPES, PATHS + "test_the_root_path_is_derived"],
    20: [PATHS + "test_the_root_path_is_derived", HERE + "test_a_slash_at_the_end_stays"],
    21: [HERE + "test_the_proxy_parameter_is_never_the_path"],
    22: [SCOPE + "test_the_path_is_decoded_once_and_begins_with_the_root_path"],
    23: [SCOPE + "test_the_path_is_decoded_once_and_begins_with_the_root_path"],
    24: [HERE + "test_an_encoded_slash_stays_in_the_raw_path_where_the_event_has_it"],
    25: [SCOPE + "test_the_query_is_still_encoded"],
    26: [HERE + "test_an_answer_has_the_keys_of_its_door"],
    27: [HERE + "test_an_answer_has_the_keys_of_its_door"],
    28: [HERE + "test_each_cookie_of_payload_1_is_there_once"],
    30: [TEXT + "test_text_leaves_as_text"],
    31: [HERE + "test_null_in_a_query_is_an_empty_value"],
    32: [PAYLOAD_2 + "test_cookies_come_from_their_list_alone"],
    33: [PAYLOAD_2 + "test_the_answer_has_one_map_and_a_list_of_cookies"],
    34: [PAYLOAD_2 + "test_the_answer_has_one_map_and_a_list_of_cookies"],
    35: [
        REQUEST + "test_a_comma_in_a_cookie_is_data",
        RESPONSE + "test_every_cookie_is_a_line_of_its_own",
    ],
    36: [PAYLOAD_2 + "test_a_named_stage_is_the_root_path_or_gone"],
    37: [PAYLOAD_2 + "test_the_query_is_untouched"],
    38: [PAYLOAD_2 + "test_the_query_is_untouched"],
    39: [PAYLOAD_2 + "test_the_path_of_an_http_api_is_decoded_already"],
    41: [SHAPES],
    42: [PAYLOAD_2 + "test_the_path_of_a_function_url_is_decoded_once"],
    43: [PAYLOAD_2 + "test_cookies_come_from_their_list_alone"],
    44: [SCOPE + "test_the_header_of_non_http_events_cannot_be_sent_by_clients"],
    49: [
        SCOPE + "test_no_query_is_an_empty_one",
        PAYLOAD_2 + "test_the_query_is_untouched",
    ],
    50: [EDGE + "test_a_header_that_cloudfront_refuses_is_left_out"],
    51: [EDGE + "test_a_header_that_cloudfront_refuses_is_left_out"],
    52: [EDGE + "test_the_query_is_untouched", EDGE + "test_the_query_may_be_missing"],
    53: [EDGE + "test_the_answer_of_bytes"],
    54: [EDGE + "test_every_entry_of_a_header_arrives", EDGE + "test_the_answer_of_text"],
    55: [SHAPES],
    59: [SHAPES],
    60: [EVENTS + "test_any_other_status_fails_the_invocation"],
    61: [EVENTS + "test_a_partial_batch_failure_is_returned_without_an_envelope"],
    62: [EVENTS + "test_anything_that_is_no_request_is_passed_on"],
    63: [BAD + "test_odd_paths_reach_the_application"],
    64: [REQUEST + "test_a_header_that_was_eaten_by_the_gateway_can_be_restored"],
    65: [RESPONSE + "test_headers_of_one_connection_are_left_out"],
    66: [HERE + "test_a_header_of_payload_1_is_in_one_map"],
    67: [HERE + "test_an_answer_has_the_keys_of_its_door"],
    68: [
        REQUEST + "test_commas_in_a_value_are_data",
        RESPONSE + "test_every_cookie_is_a_line_of_its_own",
    ],
    69: [BODIES + "test_a_body_arrives_byte_by_byte"],
    70: ["adapter/test_lifespan.py::test_start_up_runs_once_over_many_invocations"],
    71: [
        MOUNTING + "test_a_base_path_is_taken_off_once",
        MOUNTING + "test_only_whole_segments_at_the_beginning_count",
    ],
    72: [
        SCOPE + "test_the_event_is_the_same_object_and_stays_as_it_was",
        SCOPE + "test_the_context_is_the_one_that_lambda_gave",
    ],
}


@cache
def names_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("number", NUMBERS)
def test_every_trap_is_tested_or_left_out_with_a_reason(number: int) -> None:
    assert (number in TESTED) is not (number in EXCLUDED)
    if number in EXCLUDED:
        assert len(EXCLUDED[number]) > 20
        return
    for name in TESTED[number]:
        file, _, test = name.partition("::")
        assert test in names_in(TESTS / file)


def test_there_are_no_other_numbers() -> None:
    assert set(NUMBERS) == TESTED.keys() | EXCLUDED.keys()


KEYS = {
    "rest-api": {"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"},
    "http-api-1": {"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"},
    "http-api": {"statusCode", "headers", "cookies", "body", "isBase64Encoded"},
    "function-url": {"statusCode", "headers", "cookies", "body", "isBase64Encoded"},
    "alb": {"statusCode", "statusDescription", "headers", "body", "isBase64Encoded"},
    "alb-multi": {
        "statusCode",
        "statusDescription",
        "multiValueHeaders",
        "body",
        "isBase64Encoded",
    },
    "edge": {"status", "statusDescription", "headers", "body", "bodyEncoding"},
    "lattice-1": {"statusCode", "headers", "body", "isBase64Encoded"},
    "lattice-2": {"statusCode", "headers", "body", "isBase64Encoded"},
}
COOKIES = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"x-a", b"1")]


def answer(function: Function, source: str, **facts: Any) -> Any:
    event = make_event(source, ClientRequest("GET", "/"))
    return function.answer(event, headers=COOKIES, body=b"ok", **facts)


@pytest.mark.parametrize("source", SOURCES)
def test_an_answer_has_the_keys_of_its_door(function: Function, source: str) -> None:
    assert KEYS[source] == answer(function, source).keys()


@pytest.mark.parametrize("source", SOURCES)
def test_the_status_is_a_number(function: Function, source: str) -> None:
    got = answer(function, source, status=201)
    assert (got["status"] if source == "edge" else got["statusCode"]) == (
        "201" if source == "edge" else 201
    )


@pytest.mark.parametrize("source", [name for name in SOURCES if name != "edge"])
def test_header_values_are_text(function: Function, source: str) -> None:
    got = answer(function, source)
    single = [*got.get("headers", {}).values()]
    multiple = [*got.get("multiValueHeaders", {}).values()]
    values = [
        value for entry in single for value in (entry if isinstance(entry, list) else [entry])
    ]
    values += [value for entry in multiple for value in entry]
    assert values
    assert {type(value) for value in values} == {str}


@pytest.mark.parametrize("source", ["rest-api", "http-api-1"])
def test_each_cookie_of_payload_1_is_there_once(function: Function, source: str) -> None:
    got = answer(function, source)
    assert got["multiValueHeaders"] == {"set-cookie": ["a=1", "b=2"]}


@pytest.mark.parametrize("source", ["rest-api", "http-api-1"])
def test_a_header_of_payload_1_is_in_one_map(function: Function, source: str) -> None:
    got = answer(function, source)
    assert got["headers"] == {"x-a": "1"}
    assert got["headers"].keys() & got["multiValueHeaders"].keys() == set()


def test_a_slash_at_the_end_stays(function: Function) -> None:
    event = make_event("rest-api", ClientRequest("GET", "/users/"))
    assert event["pathParameters"] == {"proxy": "users"}
    assert function.read(event)["path"] == "/prod/users/"


def test_the_proxy_parameter_is_never_the_path(function: Function) -> None:
    event = make_event("rest-api", ClientRequest("GET", "/api/users"))
    event.update(resource="/api/{proxy+}", pathParameters={"proxy": "users"})
    scope = function.read(event)
    assert (scope["path"], scope["root_path"]) == ("/prod/api/users", "/prod")


@pytest.mark.parametrize("source", SOURCES)
def test_an_encoded_slash_stays_in_the_raw_path_where_the_event_has_it(
    function: Function, source: str
) -> None:
    scope = function.read(make_event(source, ClientRequest("GET", "/a%2Fb")), root_path="")
    raw_path = b"/a/b" if source == "http-api" else b"/a%2Fb"
    assert ("/a/b", raw_path) == (scope["path"], scope["raw_path"])


@pytest.mark.parametrize(
    "maps",
    [
        {"queryStringParameters": {"a": None}},
        {"multiValueQueryStringParameters": {"a": [None]}},
        {"multiValueQueryStringParameters": {"a": None}},
    ],
)
@pytest.mark.parametrize("source", ["rest-api", "http-api-1", "alb", "alb-multi"])
def test_null_in_a_query_is_an_empty_value(
    function: Function, source: str, maps: dict[str, Any]
) -> None:
    event = {**make_event(source, ClientRequest("GET", "/")), **maps}
    assert function.read(event)["query_string"] == b"a="
