"""``before_freeze`` and the access log."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from penstock.adapter import LambdaAdapter, UnsupportedEvent
from penstock.adapter.sources.payload_1 import RestAPI
from penstock.infra.gateway import ClientRequest, make_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.adapter.conftest import Context, Function

EVENT: dict[str, Any] = {"httpMethod": "GET", "path": "/"}


class Flush:
    """A hook of any kind; the application's own entry in the log comes before the hook's."""

    def __init__(self) -> None:
        self.log: list[str] = []

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})
        self.log.append("application")

    def plain(self) -> None:
        self.log.append("flushed")

    async def asynchronous(self) -> None:
        await asyncio.sleep(0)
        self.plain()

    def failing(self) -> None:
        self.plain()
        raise ValueError("collector is down")

    async def failing_later(self) -> None:
        self.failing()

    async def hanging(self) -> None:
        self.plain()
        await asyncio.Event().wait()

    def adapter(self, hook: str) -> LambdaAdapter:
        return LambdaAdapter(self.app, lifespan="off", before_freeze=getattr(self, hook))


@pytest.mark.parametrize("hook", ["plain", "asynchronous", "failing", "failing_later"])
@pytest.mark.parametrize("in_loop", [False, True])
def test_a_hook_runs_after_each_invocation(hook: str, *, in_loop: bool) -> None:
    flush = Flush()
    adapter = flush.adapter(hook)

    def invoke() -> Any:
        return asyncio.run(adapter.handle(EVENT)) if in_loop else adapter(EVENT)

    assert [invoke()["statusCode"] for _ in range(2)] == [200, 200]
    assert flush.log == ["application", "flushed"] * 2


def test_a_hook_that_fails_is_logged(
    caplog: pytest.LogCaptureFixture, context: Callable[..., Context]
) -> None:
    assert Flush().adapter("failing")(EVENT, context())["statusCode"] == 200
    assert "request-1" in caplog.text
    assert "collector is down" in caplog.text


@pytest.mark.parametrize("in_loop", [False, True])
def test_a_hook_that_hangs_is_given_up_before_the_deadline(
    caplog: pytest.LogCaptureFixture, context: Callable[..., Context], *, in_loop: bool
) -> None:
    flush = Flush()
    adapter = flush.adapter("hanging")
    soon = context(remaining_ms=100)
    answer = asyncio.run(adapter.handle(EVENT, soon)) if in_loop else adapter(EVENT, soon)
    assert (answer["statusCode"], flush.log) == (200, ["application", "flushed"])
    assert "before_freeze failed" in caplog.text


def test_a_hook_runs_where_the_invocation_fails() -> None:
    flush = Flush()
    with pytest.raises(UnsupportedEvent):
        flush.adapter("plain")({"Records": []})
    assert flush.log == ["flushed"]


@pytest.fixture
def access(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    logger = logging.getLogger("penstock.access")
    level = logger.level
    yield caplog
    logger.setLevel(level)


def test_the_access_log_has_a_line_for_each_request(
    function: Function, access: pytest.LogCaptureFixture
) -> None:
    adapter = function.adapter(status=201, access_log=True)
    event = make_event("http-api", ClientRequest("POST", "/a%20b?secret=1"))
    for _ in range(2):
        adapter(event, function.context)
    first, second = access.records
    words = first.getMessage().split()
    assert words[:3] == ["POST", "/a%20b", "201"]
    assert words[4:] == ["ms", "cold", "http-api", "request-1"]
    assert "warm" in second.getMessage().split()
    assert {record.name for record in access.records} == {"penstock.access"}
    assert {record.levelname for record in access.records} == {"INFO"}


def test_the_same_facts_are_attributes_of_the_record(
    function: Function, access: pytest.LogCaptureFixture
) -> None:
    event = make_event("alb", ClientRequest("GET", "/%0A"))
    function.adapter(access_log=True)(event, function.context)
    [record] = access.records
    facts = ("method", "path", "status", "event_source", "request_id", "cold_start")
    expected = ("GET", "/%0A", 200, "alb", "request-1", True)
    assert expected == tuple(getattr(record, name) for name in facts)
    duration = vars(record)["duration_ms"]
    assert isinstance(duration, float)
    assert duration >= 0


def test_a_refused_event_is_in_the_access_log(
    function: Function, access: pytest.LogCaptureFixture
) -> None:
    event = {**EVENT, "body": "%", "isBase64Encoded": True}
    function.adapter(access_log=True)(event, function.context)
    [record] = [record for record in access.records if record.name == "penstock.access"]
    assert vars(record)["status"] == 400


@pytest.mark.parametrize("raw_path", [None, "/é\n".encode()])
def test_scopes_of_ones_own_sources_are_in_the_access_log(
    function: Function, access: pytest.LogCaptureFixture, raw_path: bytes | None
) -> None:
    class Source(RestAPI):
        def read(self, event: Any, settings: Any) -> Any:
            scope, body = super().read(event, settings)
            return {**scope, "raw_path": raw_path}, body

    answer = function.adapter(access_log=True, sources=[Source()])(EVENT, function.context)
    [record] = [record for record in access.records if record.name == "penstock.access"]
    assert (answer["statusCode"], record.getMessage().isascii()) == (200, True)


def test_an_invocation_that_fails_is_in_the_access_log(
    function: Function, access: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("reason")

    adapter = function.around(app, access_log=True, raise_errors=True)
    with pytest.raises(ValueError, match="reason"):
        adapter(EVENT, function.context)
    [record] = [record for record in access.records if record.name == "penstock.access"]
    assert vars(record)["status"] is None


def test_the_access_log_is_off_unless_asked_for(
    function: Function, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    function.answer(EVENT)
    assert [record for record in caplog.records if record.name == "penstock.access"] == []
