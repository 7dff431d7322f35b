"""Event sources of the user's own, and penstock's own with other settings."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from penstock.adapter import EventError, EventSource, LambdaAdapter
from penstock.adapter.sources.payload_2 import HTTPAPI
from penstock.infra.gateway import ClientRequest, make_event

if TYPE_CHECKING:
    from penstock.adapter import Reply
    from tests.adapter.conftest import Function

JOB = {"job": "resize", "payload": "big.png"}


class Jobs(EventSource):
    """Events with the key ``job``, answered in a form of their own."""

    name = "jobs"

    def __init__(self) -> None:
        self.written: list[Any] = []

    def matches(self, event: Any, context: Any) -> bool:
        return isinstance(event, dict) and "job" in event

    def read(self, event: Any, settings: Any) -> tuple[Any, bytes]:
        if not isinstance(event["payload"], str):
            raise EventError(self.name, "payload", "expected text", status=422)
        body = event["payload"].encode()
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.5"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "https",
            "path": f"/jobs/{event['job']}",
            "raw_path": f"/jobs/{event['job']}".encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"content-length", b"%d" % len(body))],
            "client": None,
            "server": None,
            "aws.event": event,
        }
        return scope, body

    def write(self, reply: Reply, scope: Any, settings: Any) -> Any:
        self.written.append(scope)
        return [reply.status, reply.headers, reply.body, reply.is_base64]

    def answer_limit(self, event: Any) -> int:
        return 500


def test_it_is_asked_first_and_does_both_directions(function: Function) -> None:
    adapter = function.adapter(sources=[Jobs()], headers=[(b"X-A", b"1")], body=b"done")
    assert [200, [("x-a", "1")], "done", False] == adapter(JOB, function.context)
    assert ("/jobs/resize", b"big.png") == (function.scope["path"], function.body)
    facts = function.scope["extensions"]["penstock"]
    assert ("jobs", "request-1") == (facts["event_source"], facts["request_id"])
    assert function.scope["aws.context"] is function.context
    # The same adapter still serves what is not its.
    assert adapter(make_event("alb", ClientRequest("GET", "/")))["statusCode"] == 200


def test_the_first_that_matches_takes_the_event(function: Function) -> None:
    first, second = Jobs(), Jobs()
    function.answer(JOB, sources=[first, second])
    assert (1, 0) == (len(first.written), len(second.written))


def test_what_it_refuses_is_written_by_itself(
    function: Function, caplog: pytest.LogCaptureFixture
) -> None:
    jobs, event = Jobs(), {**JOB, "payload": 5}
    status, _, body, _ = function.answer(event, sources=[jobs])
    assert (422, "Bad Request", {}) == (status, body, function.scope)
    assert "jobs event, payload: expected text" in caplog.text
    [scope] = jobs.written
    assert {"aws.event": event, "aws.context": function.context} == scope


def test_its_limit_counts(function: Function) -> None:
    assert 200 == function.answer(JOB, sources=[Jobs()], body=b"x" * 400)[0]
    status, _, body, _ = function.answer(JOB, sources=[Jobs()], body=b"x" * 501)
    assert 502 == status
    assert "500 can be sent" in body


def test_one_of_penstocks_own_with_another_setting_takes_its_place(function: Function) -> None:
    class Patient(HTTPAPI):
        time_limit = None

    event = make_event("http-api", ClientRequest("GET", "/"))
    adapter = function.adapter(sources=[Patient()])
    adapter(event, None)
    assert function.scope["extensions"]["penstock"]["deadline"] is None
    assert adapter(make_event("function-url", ClientRequest("GET", "/")))["statusCode"] == 200


@pytest.mark.parametrize("missing", ["read", "write"])
def test_one_that_lacks_a_direction_says_which(missing: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    half: Any = type(
        "Half", (Jobs,), {missing: getattr(EventSource, missing), "answer_limit": lambda *_: 999}
    )
    adapter = LambdaAdapter(app, lifespan="off", sources=[half()])
    with pytest.raises(NotImplementedError, match=f"Half must define {missing}"):
        adapter(JOB)


def test_a_flaw_in_it_fails_the_invocation_and_not_the_next(function: Function) -> None:
    adapter = function.adapter(sources=[Jobs()])
    with pytest.raises(KeyError):
        adapter({"job": "no payload"}, function.context)
    assert 200 == adapter(JOB, function.context)[0]


def test_the_log_names_its_requests(function: Function, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("the reason")

    caplog.set_level(logging.ERROR, "penstock")
    assert 500 == function.around(app, sources=[Jobs()])(JOB, function.context)[0]
    assert "request request-1 (POST '/jobs/resize'): the reason" in caplog.text
