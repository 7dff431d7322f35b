"""The failsafe matrix: rows that no other test has, with background tasks."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest
from answers import Boom, answering
from asgi_calls import exchange

from penstock.handler import (
    ASGIHandler,
    HandlerConfig,
    HttpResponse,
    request_finished,
    request_started,
)

pytestmark = pytest.mark.usefixtures("no_django")


def connected(signal: Any, receiver: Any) -> Any:
    class Connected:
        def __enter__(self) -> None:
            signal.connect(receiver)

        def __exit__(self, *_: object) -> None:
            signal.disconnect(receiver)

    return Connected()


@pytest.mark.conformance("C167")
@pytest.mark.parametrize("signal", [request_started, request_finished])
@pytest.mark.parametrize("is_async", [True, False])
def test_a_failing_receiver_changes_nothing(
    signal: Any, is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def receiver(**fields: Any) -> None:
        raise Boom

    def sync_receiver(**fields: Any) -> None:
        raise Boom

    with connected(signal, receiver if is_async else sync_receiver):
        result = exchange(answering(lambda: HttpResponse("x")))
    assert (200, b"x", None) == (result.status, result.body, result.error)
    assert "receiver failed" in caplog.text or "failed" in caplog.text


def test_f9_a_failing_finaliser_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    def broken(request: Any, response: Any) -> Any:
        raise Boom

    async def none(request: Any, response: Any) -> Any:
        return None

    async def view(request: Any) -> Any:
        return HttpResponse("x")

    config = HandlerConfig(finalizers=(broken, none, ("headers", {"X-Fixed": "1"})))
    result = exchange(ASGIHandler(view, config=config))
    assert (200, b"x", "1") == (result.status, result.body, result.header("x-fixed"))
    assert 2 == len([record for record in caplog.records if "left out" in record.getMessage()])


def test_f10_headers_that_cannot_be_sent_are_a_500(signals: Any) -> None:
    class Foreign:
        status_code = 200
        streaming = False
        content = b"x"
        cookies: ClassVar[dict[str, Any]] = {}
        closed = False

        def items(self) -> Any:
            return [("bad name", "x")]

        def close(self) -> None:
            self.closed = True

    foreign = Foreign()
    result = exchange(answering(lambda: foreign))
    assert (500, True) == (result.status, result.is_complete)
    assert foreign.closed
    assert ["complete"] == signals.outcomes


def test_f20_content_that_cannot_be_read_is_a_500() -> None:
    class Foreign(HttpResponse):
        @property
        def content(self) -> bytes:
            raise Boom

        @content.setter
        def content(self, value: object) -> None:
            pass

    assert 500 == exchange(answering(Foreign)).status


def test_f15_a_failing_closer_does_not_stop_the_next(caplog: pytest.LogCaptureFixture) -> None:
    closed: list[str] = []

    def broken() -> None:
        raise Boom

    def response() -> Any:
        made = HttpResponse("x")
        made.add_closer(broken)
        made.add_closer(lambda: closed.append("second"))
        return made

    assert exchange(answering(response)).error is None
    assert ["second"] == closed
    assert "Boom" in caplog.text


@pytest.mark.conformance("C176")
def test_background_tasks(signals: Any, caplog: pytest.LogCaptureFixture) -> None:
    events: list[str] = []

    async def view(request: Any) -> Any:
        request.add_background(events.append, "sync")
        request.add_background(broken, "arguments", keyword=1)
        request.add_background(last)
        response = HttpResponse("x")
        response.add_closer(lambda: events.append("closer"))
        return response

    async def broken(*args: Any, **kwargs: Any) -> None:
        events.append(f"broken {args} {kwargs}")
        raise Boom

    async def last() -> None:
        await asyncio.sleep(0.02)
        events.append("last")
        assert [] == signals.outcomes

    def on_send(message: dict[str, Any]) -> None:
        events.append(message["type"])

    result = exchange(
        ASGIHandler(view),
        on_send=on_send,
        messages=[{"type": "http.request"}, {"type": "http.disconnect"}],
    )
    assert result.error is None
    assert [
        "http.response.start",
        "http.response.body",
        "closer",
        "sync",
        "broken ('arguments',) {'keyword': 1}",
        "last",
    ] == events
    assert ["complete"] == signals.outcomes
    assert "Boom" in caplog.text
