"""Queues, topics, schedules, authorizers: what is not HTTP, passed on as a POST."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from penstock.adapter import EventFailed, UnsupportedEvent
from penstock.infra.gateway import TRIGGERS, make_trigger_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.adapter.conftest import Context, Function

DATA: dict[str, list[Any]] = {
    "sqs": ["one", "two"],
    "sns": ["hello"],
    "eventbridge": [{"id": 1}],
    "schedule": [],
    "s3": ["a/b c.txt"],
    "dynamodb": [{"id": "1"}],
    "kinesis": [b"\x00"],
}
KINDS = {
    "sqs": b"aws:sqs",
    "sns": b"aws:sns",
    "eventbridge": b"com.example",
    "schedule": b"aws.events",
    "s3": b"aws:s3",
    "dynamodb": b"aws:dynamodb",
    "kinesis": b"aws:kinesis",
}
ARN = "arn:aws:execute-api:us-east-1:123456789012:a1b2c3d4e5/prod/GET/x"
OTHERS: dict[str, tuple[Any, bytes]] = {
    "warm-up": ({"source": "serverless-plugin-warmup"}, b"serverless-plugin-warmup"),
    "authorizer": ({"type": "TOKEN", "methodArn": ARN, "authorizationToken": "x"}, b"TOKEN"),
    "cognito": ({"triggerSource": "PreSignUp_SignUp", "request": {}}, b"PreSignUp_SignUp"),
    "edge response": ({"Records": [{"cf": {"response": {}}}]}, b"aws:cloudfront"),
    "firehose": ({"records": [{"recordId": "1", "data": "eA=="}]}, b"unknown"),
    "forged kind": ({"source": "aws:sqs\r\nx-admin: 1"}, b"unknown"),
    "long kind": ({"source": "x" * 500}, b"unknown"),
    "kind not ascii": ({"source": "é"}, b"unknown"),
    "odd records": ({"Records": {"0": None}}, b"unknown"),
    "empty": ({}, b"unknown"),
    "list": ([1, 2], b"unknown"),
    "text": ("text", b"unknown"),
    "number": (7, b"unknown"),
    "null": (None, b"unknown"),
}
SQS = make_trigger_event("sqs", ["one", "two"])


def call(function: Function, event: Any = SQS, **answer_and_options: Any) -> Any:
    return function.answer(event, **{"events_path": "/events", **answer_and_options})


@pytest.mark.parametrize("kind", TRIGGERS)
def test_an_event_becomes_a_post_of_its_json(function: Function, kind: str) -> None:
    event = make_trigger_event(kind, DATA[kind])
    assert call(function, event) is None
    scope = function.scope
    assert ("POST", "/events", b"/events", b"") == (
        scope["method"],
        scope["path"],
        scope["raw_path"],
        scope["query_string"],
    )
    assert event == json.loads(function.body)
    assert scope["aws.event"] is event
    assert scope["extensions"]["penstock"]["event_source"] == "event"
    assert [KINDS[kind]] == function.values("x-penstock-event-source")


@pytest.mark.parametrize("name", OTHERS)
def test_anything_that_is_no_request_is_passed_on(function: Function, name: str) -> None:
    event, kind = OTHERS[name]
    assert call(function, event) is None
    assert event == json.loads(function.body)
    assert [kind] == function.values("x-penstock-event-source")


def test_the_request_is_complete(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-abc")
    call(function)
    expected = [
        (b"host", b"lambda.local"),
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(function.body)),
        (b"x-penstock-event-source", b"aws:sqs"),
        (b"x-amzn-trace-id", b"Root=1-abc"),
    ]
    assert expected == function.scope["headers"]
    assert (None, ("lambda.local", 443)) == (function.scope["client"], function.scope["server"])
    assert ("https", "", {}) == (
        function.scope["scheme"],
        function.scope["root_path"],
        function.scope["state"],
    )


def test_the_path_is_an_option(function: Function) -> None:
    call(function, events_path="/hooks/é ?")
    assert function.scope["path"] == "/hooks/é ?"
    assert function.scope["raw_path"] == b"/hooks/%C3%A9%20%3F"


def test_without_a_path_events_are_not_taken(function: Function) -> None:
    with pytest.raises(UnsupportedEvent, match="events_path"):
        function.answer(SQS)
    assert function.scope == {}


@pytest.mark.parametrize(
    ("event", "seen"),
    [
        ({"b": "s3cr3t", "a": {"password": "s3cr3t"}}, "a map with the keys a, b;"),
        ({}, "a map with the keys (none);"),
        (["s3cr3t"], "list, not a map;"),
        ("s3cr3t", "str, not a map;"),
        (None, "NoneType, not a map;"),
    ],
)
def test_what_was_seen_is_named_without_its_values(
    function: Function, event: Any, seen: str
) -> None:
    with pytest.raises(UnsupportedEvent) as caught:
        function.answer(event)
    assert (True, False) == (seen in str(caught.value), "s3cr3t" in str(caught.value))


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (b'{"state": {"total": 1}}', {"state": {"total": 1}}),
        (b"[1, 2]", [1, 2]),
        (b"null", None),
        (b'"text"', "text"),
        (b"7.5", 7.5),
        (b"", None),
        (b"plain text", "plain text"),
        ("é ☕".encode(), "é ☕"),
        (b"{broken", "{broken"),
        (b"\xff\x00", {"body": base64.b64encode(b"\xff\x00").decode(), "isBase64Encoded": True}),
    ],
)
def test_the_result_is_the_bare_answer(function: Function, body: bytes, result: Any) -> None:
    assert result == call(function, body=body)


def test_a_partial_batch_failure_is_returned_without_an_envelope(function: Function) -> None:
    failed = {"batchItemFailures": [{"itemIdentifier": SQS["Records"][1]["messageId"]}]}
    headers = [(b"content-type", b"application/json")]
    assert failed == call(function, headers=headers, body=json.dumps(failed).encode())


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206])
def test_success_is_any_2xx(function: Function, status: int) -> None:
    assert call(function, status=status) is None


@pytest.mark.parametrize("status", [100, 301, 304, 400, 404, 409, 500, 503])
def test_any_other_status_fails_the_invocation(function: Function, status: int) -> None:
    with pytest.raises(EventFailed, match=rf"aws:sqs.*/events.*{status}") as caught:
        call(function, status=status, body=b"reason")
    assert (status, "aws:sqs") == (caught.value.status, caught.value.kind)


@pytest.mark.parametrize("failures", [[404], {500, 404}, range(400, 405), "404,500-599"])
def test_failures_can_be_chosen(function: Function, failures: Any) -> None:
    with pytest.raises(EventFailed) as caught:
        call(function, status=404, event_failures=failures)
    assert caught.value.status == 404


@pytest.mark.parametrize("failures", [[404], {500}, range(500, 600), "404,500-599"])
def test_what_is_not_chosen_is_success(function: Function, failures: Any) -> None:
    assert call(function, status=302, body=b"ok", event_failures=failures) == "ok"


@pytest.mark.parametrize("failure", ["raises", "returns", "is late", "answers too much"])
def test_an_event_that_is_not_answered_is_never_a_success(
    function: Function, failure: str, context: Callable[..., Context]
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if failure == "raises":
            raise ValueError("the reason")
        if failure == "is late":
            await asyncio.Event().wait()
        if failure == "answers too much":
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"x" * 6_291_600})

    adapter = function.around(app, events_path="/events", event_failures=[404])
    with pytest.raises(EventFailed):
        adapter(SQS, context(remaining_ms=20))


def test_the_error_quotes_what_the_application_said_but_no_page(function: Function) -> None:
    for content_type, quoted in ((b"text/plain", True), (b"text/html; charset=utf-8", False)):
        with pytest.raises(EventFailed) as caught:
            call(function, status=500, headers=[(b"content-type", content_type)], body=b"reason")
        assert ("reason" in str(caught.value)) is quoted


def test_an_exception_fails_the_invocation_with_its_cause(function: Function) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("the reason")

    adapter = function.around(app, events_path="/events")
    with pytest.raises(EventFailed) as caught:
        adapter(SQS, function.context)
    assert isinstance(caught.value.__cause__, ValueError)


def test_an_exception_can_fail_it_by_itself(function: Function) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("the reason")

    adapter = function.around(app, events_path="/events", raise_errors=True)
    with pytest.raises(ValueError, match="the reason"):
        adapter(SQS, function.context)


def test_an_answer_that_is_too_large_fails_the_invocation(
    function: Function, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "penstock")
    with pytest.raises(EventFailed, match="502"):
        call(function, body=b"x" * 6_291_600)
    assert "6291556" in caplog.text


def test_one_adapter_takes_requests_and_events(function: Function) -> None:
    adapter = function.adapter(events_path="/events", body=b"1")
    assert adapter(SQS, function.context) == 1
    request = {"httpMethod": "GET", "path": "/", "headers": {"x-penstock-event-source": "aws:sqs"}}
    assert adapter(request, function.context)["statusCode"] == 200
    assert function.values("x-penstock-event-source") == []
    assert adapter(SQS, function.context) == 1


def test_an_http_request_to_the_path_cannot_pose_as_lambda(function: Function) -> None:
    event = {
        "httpMethod": "POST",
        "path": "/events",
        "headers": {"X-Penstock-Event-Source": "aws:sqs", "x-b": "1"},
        "body": "{}",
    }
    call(function, event)
    assert function.values("x-penstock-event-source") == []
    assert function.scope["extensions"]["penstock"]["event_source"] == "rest-api"
