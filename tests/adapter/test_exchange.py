"""The state machine of an exchange: what an application may send, and when."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.adapter import ClientDisconnected, ProtocolError
from penstock.adapter.exchange import (
    BODY,
    DEADLINE,
    FAILURE,
    LAST_BODY,
    PATHSEND,
    START,
    TRANSITIONS,
    ExchangeState,
    HTTPExchange,
)

MESSAGES: dict[str, Any] = {
    START: {"type": START, "status": 200, "headers": [(b"x-a", b"1")]},
    BODY: {"type": BODY, "body": b"more", "more_body": True},
    LAST_BODY: {"type": BODY, "body": b"last"},
    PATHSEND: {"type": PATHSEND, "path": "/file"},
}
CONTENT: dict[str, bytes | str] = {
    START: b"",
    BODY: b"more",
    LAST_BODY: b"last",
    PATHSEND: "/file",
}
STATES = tuple(ExchangeState)
ENDED = (ExchangeState.COMPLETE, ExchangeState.FAILED, ExchangeState.CLOSED)


def exchange_in(state: str) -> HTTPExchange:
    exchange = HTTPExchange()
    if state in (ExchangeState.RESPONSE, ExchangeState.COMPLETE):
        exchange.advance(MESSAGES[START])
    if state == ExchangeState.COMPLETE:
        exchange.advance(MESSAGES[LAST_BODY])
    if state == ExchangeState.FAILED:
        exchange.fail(ValueError("first"))
    if state == ExchangeState.CLOSED:
        exchange.close("over")
    assert exchange.state == state
    return exchange


@pytest.mark.parametrize("kind", MESSAGES)
@pytest.mark.parametrize("state", STATES)
def test_every_message_in_every_state_is_in_the_table_or_refused(state: str, kind: str) -> None:
    exchange = exchange_in(state)
    expected = TRANSITIONS.get((state, kind))
    if expected is not None:
        assert CONTENT[kind] == exchange.advance(MESSAGES[kind])
        assert (expected, None) == (exchange.state, exchange.error)
        return
    refusals = {
        ExchangeState.CLOSED: ClientDisconnected,
        ExchangeState.FAILED: ValueError,
    }
    with pytest.raises(refusals.get(ExchangeState(state), ProtocolError)):
        exchange.advance(MESSAGES[kind])
    closed = state == ExchangeState.CLOSED
    assert (ExchangeState.CLOSED if closed else ExchangeState.FAILED) == exchange.state


@pytest.mark.parametrize("state", STATES)
def test_a_failure_ends_whatever_is_still_open(state: str) -> None:
    exchange = exchange_in(state)
    exchange.fail(ValueError("second"))
    assert TRANSITIONS.get((state, FAILURE), state) == exchange.state


@pytest.mark.parametrize("state", STATES)
def test_the_deadline_ends_whatever_is_not_complete(state: str) -> None:
    exchange = exchange_in(state)
    exchange.close("over")
    assert TRANSITIONS.get((state, DEADLINE), state) == exchange.state


def test_who_sends_after_the_end_is_told_why_it_came() -> None:
    exchange = exchange_in(ExchangeState.RESPONSE)
    exchange.close("the environment shuts down")
    with pytest.raises(ClientDisconnected, match=r"^the environment shuts down$"):
        exchange.advance(MESSAGES[BODY])


def test_the_table_is_complete() -> None:
    kinds = {*MESSAGES, FAILURE, DEADLINE}
    assert {kind for _, kind in TRANSITIONS} == kinds
    assert {state for state, _ in TRANSITIONS} == set(STATES) - {"failed", "closed"}
    assert {str(state) for state in TRANSITIONS.values()} == {
        "response",
        "complete",
        "failed",
        "closed",
    }


@pytest.mark.parametrize("kind", [FAILURE, DEADLINE, LAST_BODY, "", "http.request"])
@pytest.mark.parametrize("state", ["request", "response", "complete"])
def test_inputs_that_are_no_messages_cannot_be_sent(state: str, kind: str) -> None:
    exchange = exchange_in(state)
    with pytest.raises(ProtocolError):
        exchange.advance({"type": kind, "path": "/file", "status": 200})
    assert exchange.state is ExchangeState.FAILED


def test_the_first_error_stays() -> None:
    exchange = HTTPExchange()
    with pytest.raises(ProtocolError) as first:
        exchange.advance(MESSAGES[BODY])
    with pytest.raises(ProtocolError) as second:
        exchange.advance(MESSAGES[START])
    assert first.value is second.value
    assert exchange.error is first.value


def test_a_refusal_says_what_was_expected_and_what_came() -> None:
    with pytest.raises(ProtocolError) as caught:
        HTTPExchange().advance({"type": "http.response.nonsense", "secret": 1})
    assert [] == [
        text
        for text in (START, "state request", "http.response.nonsense", "secret")
        if text not in str(caught.value)
    ]


@pytest.mark.parametrize(
    "headers", [[(b"x-a", b"1")] * 1000 + [None], [(b"x-a", b"\n" + b"x" * 10_000)]]
)
def test_a_refusal_is_short_whatever_came(headers: Any) -> None:
    with pytest.raises(ProtocolError) as caught:
        HTTPExchange().advance({"type": START, "status": 200, "headers": headers})
    assert len(str(caught.value)) < 300


def test_a_refusal_after_the_end_says_so() -> None:
    exchange = exchange_in("complete")
    with pytest.raises(ProtocolError, match="after the end"):
        exchange.advance(MESSAGES[BODY])


ANY_MESSAGE = st.one_of(
    st.sampled_from(list(MESSAGES.values())),
    st.none(),
    st.integers(),
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from([START, BODY, PATHSEND, FAILURE, LAST_BODY, "x"]) | st.none(),
            "status": st.integers(-1, 700) | st.none() | st.text(max_size=3),
            "headers": st.lists(st.tuples(st.binary(max_size=3), st.binary(max_size=3)), max_size=2)
            | st.none(),
            "body": st.binary(max_size=5) | st.text(max_size=2) | st.none(),
            "more_body": st.booleans(),
            "path": st.sampled_from(["/file", "file", "", None]),
        },
    ),
)
STEPS = st.lists(st.one_of(ANY_MESSAGE, st.just(FAILURE), st.just(DEADLINE)), max_size=12)


@given(steps=STEPS)
@settings(deadline=None, max_examples=300)
def test_no_sequence_breaks_the_order(steps: list[Any]) -> None:
    exchange = HTTPExchange()
    accepted: list[str] = []
    for step in steps:
        before = exchange.state
        error = exchange.error
        if step == FAILURE:
            exchange.fail(ValueError("outside"))
        elif step == DEADLINE:
            exchange.close("over")
        else:
            with contextlib.suppress(ProtocolError, ClientDisconnected, ValueError):
                content = exchange.advance(step)
                assert isinstance(content, bytes | str)
                accepted.append(step["type"])
                assert before not in ENDED
        # Nothing leaves a final state, and the first error stays.
        if before in (ExchangeState.FAILED, ExchangeState.CLOSED):
            assert exchange.state is before
        if error is not None:
            assert exchange.error is error
    assert accepted.count(START) <= 1
    assert accepted[:1] in ([], [START])
    assert set(accepted) <= {START, BODY, PATHSEND}
    if exchange.state is ExchangeState.COMPLETE:
        assert 100 <= exchange.status <= 599
        assert exchange.error is None
