"""Failures of an application: the client gets a 500 that says nothing, the log says it all."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from penstock.adapter import ProtocolError
from penstock.infra.gateway import read_answer

if TYPE_CHECKING:
    from tests.contract.conftest import Door

START: dict[str, Any] = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"x-secret", b"1")],
}
BODY: dict[str, Any] = {"type": "http.response.body", "body": b"secret"}
MORE = {**BODY, "more_body": True}
OOPS = "the secret reason"

SENT_BEFORE_RAISING = {"nothing": [], "start": [START], "half": [START, MORE]}

BREACHES: dict[str, list[Any]] = {
    "body before start": [BODY],
    "two starts": [START, START, BODY],
    "start after body": [START, MORE, START, BODY],
    "body after the end": [START, BODY, BODY],
    "start after the end": [START, BODY, START],
    "unknown type": [START, {"type": "http.response.secret"}],
    "request type": [{"type": "http.request"}],
    "websocket type": [{"type": "websocket.accept"}],
    "trailers": [START, {"type": "http.response.trailers", "headers": []}],
    "push": [START, {"type": "http.response.push", "path": "/", "headers": []}],
    "no type": [{}],
    "type is no text": [{"type": ["http.response.start"]}],
    "no map": [None],
    "a list": [["type"]],
    "a text": ["http.response.start"],
    "input of the machine": [{"type": "failure", "path": "/x"}],
    "other input of the machine": [{"type": "deadline", "path": "/x"}],
    "state of the machine": [
        START,
        {"type": "http.response.body, more_body false", "path": __file__},
    ],
    "no status": [{"type": "http.response.start", "headers": []}, BODY],
    "status 0": [{**START, "status": 0}, BODY],
    "status 99": [{**START, "status": 99}, BODY],
    "status 600": [{**START, "status": 600}, BODY],
    "status text": [{**START, "status": "200"}, BODY],
    "status float": [{**START, "status": 200.0}, BODY],
    "status true": [{**START, "status": True}, BODY],
    "status null": [{**START, "status": None}, BODY],
    "headers null": [{**START, "headers": None}, BODY],
    "headers number": [{**START, "headers": 5}, BODY],
    "headers of text": [{**START, "headers": [("x-a", "1")]}, BODY],
    "name of text": [{**START, "headers": [("x-a", b"1")]}, BODY],
    "value of text": [{**START, "headers": [(b"x-a", "1")]}, BODY],
    "value null": [{**START, "headers": [(b"x-a", None)]}, BODY],
    "value number": [{**START, "headers": [(b"x-a", 1)]}, BODY],
    "three in a pair": [{**START, "headers": [(b"x-a", b"1", b"2")]}, BODY],
    "empty name": [{**START, "headers": [(b"", b"1")]}, BODY],
    "name with blank": [{**START, "headers": [(b"x a", b"1")]}, BODY],
    "name with colon": [{**START, "headers": [(b"x-a:", b"1")]}, BODY],
    "name with line": [{**START, "headers": [(b"x-a\r\nb", b"1")]}, BODY],
    "name not ascii": [{**START, "headers": [("é".encode(), b"1")]}, BODY],
    "value with CR": [{**START, "headers": [(b"x-a", b"1\rSet-Cookie: a=1")]}, BODY],
    "value with LF": [{**START, "headers": [(b"x-a", b"1\nSet-Cookie: a=1")]}, BODY],
    "value with NUL": [{**START, "headers": [(b"x-a", b"1\0")]}, BODY],
    "body of text": [START, {"type": "http.response.body", "body": "secret"}],
    "body null": [START, {"type": "http.response.body", "body": None}],
    "body list": [START, {"type": "http.response.body", "body": [1]}],
    "path before start": [{"type": "http.response.pathsend", "path": __file__}],
    "relative path": [START, {"type": "http.response.pathsend", "path": "conftest.py"}],
    "no path": [START, {"type": "http.response.pathsend"}],
    "path of bytes": [START, {"type": "http.response.pathsend", "path": __file__.encode()}],
    "path with NUL": [START, {"type": "http.response.pathsend", "path": "/tmp/\0"}],
    "path after body": [START, BODY, {"type": "http.response.pathsend", "path": __file__}],
    "body after path": [START, {"type": "http.response.pathsend", "path": __file__}, BODY],
    "only the start": [START],
    "no end": [START, MORE],
    "nothing": [],
}
RETURNED_EARLY = {"only the start", "no end", "nothing"}


@pytest.fixture
def errors(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.ERROR, "penstock")
    return caplog


@pytest.mark.parametrize("name", BREACHES)
def test_a_breach_of_the_protocol_is_a_500_and_logged(
    door: Door, name: str, errors: pytest.LogCaptureFixture
) -> None:
    got = door.says(BREACHES[name])
    assert (500, b"Internal Server Error") == (got.status, got.body)
    assert [["text/plain; charset=utf-8"], []] == [
        got.values("content-type"),
        got.values("x-secret"),
    ]
    assert ["request-1" in record.getMessage() for record in errors.records] == [True]


@pytest.mark.parametrize("name", sorted(BREACHES.keys() - RETURNED_EARLY - {"path with NUL"}))
def test_a_breach_is_raised_where_it_was_made(door: Door, name: str) -> None:
    raised: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in BREACHES[name]:
            try:
                await send(message)
            except ProtocolError as error:
                raised.append(str(error))

    got = door.send(door.adapter(app))
    assert got.status == 500
    assert raised
    assert "expected" in raised[0]


@pytest.mark.parametrize("name", SENT_BEFORE_RAISING)
def test_an_exception_before_the_end_is_a_500(
    door: Door, name: str, errors: pytest.LogCaptureFixture
) -> None:
    got = door.send(door.adapter(raising(SENT_BEFORE_RAISING[name], ValueError(OOPS))))
    assert (500, b"Internal Server Error") == (got.status, got.body)
    [record] = errors.records
    assert "request-1" in record.getMessage()
    assert OOPS in errors.text


def test_an_error_in_answer_to_head_has_no_body_either(door: Door) -> None:
    answer = door.adapter(raising([], ValueError(OOPS)))(door.event(method="HEAD"), door.context)
    assert (read_answer(door.name, answer).status, answer.get("body", "")) == (500, "")


def test_an_exception_after_the_end_keeps_the_answer(
    door: Door, errors: pytest.LogCaptureFixture
) -> None:
    got = door.send(door.adapter(raising([START, BODY], ValueError(OOPS))))
    assert (200, b"secret") == (got.status, got.body)
    assert [OOPS in record.getMessage() for record in errors.records] == [True]


@pytest.mark.parametrize("name", [*SENT_BEFORE_RAISING, "all"])
def test_exceptions_can_fail_the_invocation(door: Door, name: str) -> None:
    sent = SENT_BEFORE_RAISING.get(name, [START, BODY])
    adapter = door.adapter(raising(sent, ValueError(OOPS)), raise_errors=True)
    with pytest.raises(ValueError, match=OOPS):
        door.send(adapter)


def test_a_breach_can_fail_the_invocation(door: Door) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(BODY)

    with pytest.raises(ProtocolError, match=r"expected.*http\.response\.start"):
        door.send(door.adapter(app, raise_errors=True))


class Odd(BaseException):
    """What some libraries raise to get past `except Exception`."""


def test_exceptions_of_any_base_are_answered(door: Door) -> None:
    got = door.send(door.adapter(raising([], Odd(OOPS))))
    assert (500, b"Internal Server Error") == (got.status, got.body)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_what_ends_the_process_is_not_caught(door: Door, kind: type[BaseException]) -> None:
    calls: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        calls.append(scope["path"])
        if len(calls) == 1:
            raise kind
        await send(START)
        await send(BODY)

    adapter = door.adapter(app)
    with pytest.raises(kind):
        door.send(adapter)
    assert door.send(adapter).status == 200


@pytest.mark.parametrize("name", ["body before start", "nothing", "two starts"])
def test_the_next_event_is_served_after_a_failure(door: Door, name: str) -> None:
    calls: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        calls.append(scope["path"])
        for message in BREACHES[name] if len(calls) % 2 else [START, BODY]:
            await send(message)

    adapter = door.adapter(app)
    assert [door.send(adapter).status for _ in range(4)] == [500, 200, 500, 200]


def test_after_a_breach_nothing_more_counts(door: Door) -> None:
    refused: list[type[BaseException]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in (BODY, START, BODY):
            try:
                await send(message)
            except ProtocolError as error:
                refused.append(type(error))

    assert door.send(door.adapter(app)).status == 500
    assert refused == [ProtocolError] * 3


def raising(messages: list[Any], error: BaseException) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)
        raise error

    return app
