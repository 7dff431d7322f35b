"""Applications that take too long."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.conftest import Context, Door

START: dict[str, Any] = {"type": "http.response.start", "status": 200}
BODY: dict[str, Any] = {"type": "http.response.body", "body": b"done"}
TIME_LIMITS = {"rest-api": 29.0, "http-api": 30.0, "http-api-1": 30.0, "edge": 30.0}


@pytest.fixture
def soon(context: Callable[..., Context]) -> Context:
    """A context whose invocation ends in a moment."""
    return context(remaining_ms=50)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, "penstock")
    return caplog


def deadline(door: Door, **arguments: Any) -> float | None:
    """Return the seconds that an application is told it has, None for no end."""
    left: list[float | None] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        end = scope["extensions"]["penstock"]["deadline"]
        left.append(None if end is None else end - asyncio.get_running_loop().time())
        await send(START)
        await send(BODY)

    context = arguments.pop("context", None)
    door.adapter(app, **arguments)(door.event(), context)
    return left[0]


def test_the_application_is_told_then_cancelled_and_the_client_gets_a_504(
    door: Door, soon: Context, log: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        heard.append((await receive())["type"])
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            heard.append("cancelled")
            raise

    got = door.send(door.adapter(app), context=soon)
    assert (504, b"Gateway Timeout") == (got.status, got.body)
    assert heard == ["http.disconnect", "cancelled"]
    [record] = log.records
    assert ("request-1" in record.getMessage(), record.levelname) == (True, "ERROR")


def test_who_does_not_listen_is_cancelled_as_well(door: Door, soon: Context) -> None:
    ended: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cleaned up")

    assert door.send(door.adapter(app), context=soon).status == 504
    assert ended == ["cleaned up"]


def test_half_a_response_is_no_response(door: Door, soon: Context) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send({**BODY, "more_body": True})
        await asyncio.Event().wait()

    got = door.send(door.adapter(app), context=soon)
    assert (504, b"Gateway Timeout") == (got.status, got.body)


def test_sending_after_the_deadline_is_an_os_error(door: Door, soon: Context) -> None:
    raised: list[BaseException] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await receive()
        for message in (START, BODY):
            try:
                await send(message)
            except OSError as error:
                raised.append(error)

    assert door.send(door.adapter(app), context=soon).status == 504
    assert [type(error).__name__ for error in raised] == ["ClientDisconnected"] * 2


def test_an_exception_after_the_deadline_is_a_504_too(door: Door, soon: Context) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await receive()
        raise ValueError("no client")

    assert door.send(door.adapter(app, raise_errors=True), context=soon).status == 504


def test_trouble_on_the_way_out_is_logged_with_its_traceback(
    door: Door, soon: Context, log: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("could not roll back")

    assert door.send(door.adapter(app), context=soon).status == 504
    [record] = log.records
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "could not roll back"


def test_who_ignores_the_cancellation_is_left_behind(
    door: Door, soon: Context, log: pytest.LogCaptureFixture
) -> None:
    release = asyncio.Event()
    calls: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        calls.append(scope["path"])
        while len(calls) == 1 and not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                calls.append("swallowed")
                await release.wait()
        await send(START)
        await send(BODY)

    adapter = door.adapter(app, deadline_margin=0.02)
    assert door.send(adapter, context=soon).status == 504
    assert "left behind" in log.text
    assert all("request-1" in record.getMessage() for record in log.records)
    assert "test_deadline.py" in log.text
    assert door.send(adapter).status == 200
    release.set()
    assert door.send(adapter).status == 200


def test_work_that_is_cut_after_the_response_keeps_the_answer(
    door: Door, soon: Context, log: pytest.LogCaptureFixture
) -> None:
    ended: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(BODY)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    got = door.send(door.adapter(app), context=soon)
    assert (200, b"done") == (got.status, got.body)
    assert ended == ["cancelled"]
    assert ["WARNING"] == [record.levelname for record in log.records]


def test_the_next_event_has_its_own_deadline(door: Door, soon: Context) -> None:
    calls: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        calls.append(scope["path"])
        if len(calls) == 1:
            await asyncio.Event().wait()
        await send(START)
        await send(BODY)

    adapter = door.adapter(app)
    assert [door.send(adapter, context=soon).status, door.send(adapter).status] == [504, 200]


def test_no_time_at_all_is_a_504_at_once(door: Door, context: Callable[..., Context]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    for left in (0, -1):
        assert door.send(door.adapter(app), context=context(remaining_ms=left)).status == 504


def test_a_time_limit_of_ones_own_ends_a_request_without_a_context(door: Door) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    got = door.send(door.adapter(app, time_limit=0.02))
    assert got.status == 504


def test_the_door_gives_up_before_lambda_does(door: Door, context: Callable[..., Context]) -> None:
    seconds = TIME_LIMITS.get(door.name, 60.0)
    assert deadline(door, context=context()) == pytest.approx(seconds - 0.15, abs=0.05)


def test_lambda_gives_up_before_the_door_does(door: Door, context: Callable[..., Context]) -> None:
    left = deadline(door, context=context(remaining_ms=10_000))
    assert left == pytest.approx(9.85, abs=0.05)


def test_without_a_context_the_door_alone_decides(door: Door) -> None:
    seconds = TIME_LIMITS.get(door.name)
    left = deadline(door)
    assert left is None if seconds is None else left == pytest.approx(seconds - 0.15, abs=0.05)


def test_the_time_limit_is_an_option(door: Door, context: Callable[..., Context]) -> None:
    assert deadline(door, time_limit=5) == pytest.approx(4.85, abs=0.05)
    assert deadline(door, time_limit=0) is None
    left = deadline(door, time_limit=0, context=context(remaining_ms=40_000))
    assert left == pytest.approx(39.85, abs=0.05)


def test_the_margin_is_an_option(door: Door, context: Callable[..., Context]) -> None:
    left = deadline(door, context=context(remaining_ms=10_000), deadline_margin=2)
    assert left == pytest.approx(8, abs=0.05)


def test_little_time_is_shared_with_the_margin(door: Door, context: Callable[..., Context]) -> None:
    left = deadline(door, context=context(remaining_ms=200), deadline_margin=5)
    assert left == pytest.approx(0.1, abs=0.05)
