"""Which front door an event came through, decided by its shape."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.adapter import UnsupportedEvent
from penstock.infra.gateway import SOURCES, ClientRequest, make_event

if TYPE_CHECKING:
    from tests.adapter.conftest import Function

ARN = "arn:aws:execute-api:us-east-1:123456789012:a1b2c3d4e5/prod/GET/x"
REST: dict[str, Any] = {"httpMethod": "GET", "path": "/x", "requestContext": {"stage": "prod"}}
HTTP2: dict[str, Any] = {
    "version": "2.0",
    "rawPath": "/x",
    "requestContext": {"http": {"method": "GET"}, "domainName": "api.example"},
}
LATTICE2: dict[str, Any] = {
    "version": "2.0",
    "path": "/x",
    "method": "GET",
    "requestContext": {"serviceArn": "arn"},
}
CONNECT: dict[str, Any] = {"connectionId": "abc=", "eventType": "CONNECT", "routeKey": "$connect"}


def with_context(event: dict[str, Any], **facts: Any) -> dict[str, Any]:
    return {**event, "requestContext": {**event["requestContext"], **facts}}


def edge(**cf: Any) -> dict[str, Any]:
    return {"Records": [{"cf": {"config": {}, **cf}}]}


REQUEST = {"request": {"method": "GET", "uri": "/x", "headers": {}}}

ROWS: dict[str, list[Any]] = {
    "rest-api": [
        REST,
        {"httpMethod": "GET", "path": "/x"},
        {**REST, "requestContext": None},
        {**REST, "requestContext": []},
        {**REST, "version": "2.0"},
        {**REST, "rawPath": "/shop/x"},
        {**REST, "type": "REQUEST"},
        {**REST, "methodArn": ARN},
        with_context(REST, connectionId="abc="),
        with_context(REST, elb=None),
        with_context(REST, http={"method": "GET"}),
    ],
    "http-api-1": [{**REST, "version": "1.0"}, {**REST, "version": 2}, {**REST, "version": 1.0}],
    "http-api": [
        HTTP2,
        {**HTTP2, "version": "1.0"},
        {key: value for key, value in HTTP2.items() if key != "version"},
        with_context(HTTP2, domainName=None),
        with_context(HTTP2, serviceArn=None),
    ],
    "function-url": [with_context(HTTP2, domainName="abc.lambda-url.eu-west-1.on.aws")],
    "alb": [
        {**REST, "headers": {}, "requestContext": {"elb": {"targetGroupArn": "arn"}}},
        {**REST, "headers": {}, "requestContext": {"elb": {}}},
        {**REST, "multiValueHeaders": None, "requestContext": {"elb": {}}},
    ],
    "alb-multi": [
        {**REST, "multiValueHeaders": {}, "requestContext": {"elb": {}}},
        {**REST, "multiValueHeaders": {"host": ["a"]}, "requestContext": {"elb": {}}},
    ],
    "edge": [edge(**REQUEST), {"Records": [{"cf": REQUEST}]}],
    "lattice-1": [
        {"raw_path": "/x", "method": "GET"},
        {"raw_path": "/x", "method": "GET", "requestContext": None},
    ],
    "lattice-2": [LATTICE2, {**LATTICE2, "requestContext": {"serviceNetworkArn": "arn"}}],
    "websocket": [
        {"requestContext": CONNECT},
        {"requestContext": {**CONNECT, "eventType": "MESSAGE"}, "body": "hello"},
        {"requestContext": {**CONNECT, "eventType": "DISCONNECT"}},
        {**REST, "resource": "/", "requestContext": CONNECT},
    ],
    "event": [
        None,
        [],
        [REST],
        "GET /x",
        b"GET /x",
        42,
        1.5,
        True,
        {},
        {"requestContext": None},
        {"requestContext": "GET"},
        {"requestContext": {"http": None}, "rawPath": "/x"},
        {"requestContext": {"http": {"method": "GET"}}, "rawPath": None},
        {"requestContext": {"elb": "x"}},
        {"httpMethod": "GET"},
        {"httpMethod": "GET", "path": None},
        {"httpMethod": 1, "path": "/x"},
        {"path": "/x", "method": "GET"},
        {"raw_path": "/x"},
        {"source": "serverless-plugin-warmup"},
        {**REST, "type": "REQUEST", "methodArn": ARN},
        {**REST, "version": "1.0", "type": "REQUEST", "methodArn": ARN},
        {**HTTP2, "type": "REQUEST", "routeArn": ARN},
        {"type": "TOKEN", "methodArn": ARN, "authorizationToken": "abc"},
        {**REST, "requestContext": CONNECT, "type": "REQUEST", "methodArn": ARN},
        edge(response={"status": "200"}),
        edge(**REQUEST, response={"status": "200"}),
        edge(),
        {"Records": [{"cf": None}]},
        {"Records": [{"cf": "request"}]},
        {"Records": [{"cf": ["request"]}]},
        {"Records": []},
        {"Records": None},
        {"Records": {"cf": REQUEST}},
        {"Records": [None]},
        {"Records": [{"eventSource": "aws:sqs", "body": "{}"}]},
        {
            "version": "1.0",
            "requestContext": {"requestId": "1", "functionArn": "arn", "condition": "Success"},
            "responsePayload": {},
        },
        {"messageVersion": "1.0", "httpMethod": "POST", "apiPath": "/x", "actionGroup": "a"},
        {"messageVersion": "1.0", "httpMethod": "POST", "path": "/x"},
        {"httpMethod": "POST", "apiPath": "/x", "path": "/x"},
    ],
}
CASES = [(name, event) for name, events in ROWS.items() for event in events]


@pytest.mark.parametrize(("name", "event"), CASES)
def test_an_event_is_recognised_by_its_shape(function: Function, name: str, event: Any) -> None:
    assert name == function.source_of(event)


@pytest.mark.parametrize("source", SOURCES)
def test_what_a_front_door_sends_is_recognised(function: Function, source: str) -> None:
    event = make_event(source, ClientRequest("GET", "/x"))
    assert source == function.source_of(event)


def test_every_front_door_has_a_row() -> None:
    assert set(SOURCES) | {"websocket", "event"} == set(ROWS)


@pytest.mark.parametrize("source", SOURCES)
def test_nothing_but_the_shape_of_its_own_keys_matters(function: Function, source: str) -> None:
    event = {**make_event(source, ClientRequest("GET", "/x")), "unknown": {"deep": [None]}}
    assert source == function.source_of(event)


def test_an_event_that_is_none_says_what_was_seen_and_what_to_do(function: Function) -> None:
    with pytest.raises(UnsupportedEvent, match=r"aws:sqs.*Records.*events_path") as caught:
        function.answer({"Records": [{"eventSource": "aws:sqs", "body": "secret"}]})
    assert caught.value.kind == "aws:sqs"
    assert "secret" not in str(caught.value)


def test_a_websocket_event_says_that_it_is_not_served(function: Function) -> None:
    with pytest.raises(UnsupportedEvent, match="WebSocket") as caught:
        function.answer({"requestContext": CONNECT}, events_path="/events")
    assert caught.value.kind == "websocket"


WORDS = sorted(
    {
        "Records",
        "cf",
        "request",
        "response",
        "requestContext",
        "http",
        "elb",
        "httpMethod",
        "method",
        "path",
        "rawPath",
        "raw_path",
        "headers",
        "multiValueHeaders",
        "version",
        "type",
        "methodArn",
        "connectionId",
        "eventType",
        "serviceArn",
        "domainName",
        "body",
        "isBase64Encoded",
        "uri",
        "cookies",
        "identity",
        "sourceIp",
    }
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=5),
    st.sampled_from(["/x", "GET", "CONNECT", "REQUEST", "1.0", *WORDS]),
)
JUNK = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner, max_size=6)
    ),
    max_leaves=20,
)


@given(event=JUNK)
@settings(
    deadline=None,
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_junk_is_answered_or_unsupported(function: Function, event: Any) -> None:
    with contextlib.suppress(UnsupportedEvent):
        assert isinstance(function.answer(event), dict)
