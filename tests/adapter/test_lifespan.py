"""The application's lifespan: once per execution environment."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from penstock.adapter import LambdaAdapter, LifespanError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.adapter.conftest import Context

EVENT: dict[str, Any] = {"httpMethod": "GET", "path": "/"}


class App:
    """An application with a lifespan that writes down what happens to it."""

    def __init__(self, *, failures: int = 0, ready: asyncio.Event | None = None) -> None:
        self.log: list[str] = []
        self.failures = failures
        self.ready = ready

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.live(scope, receive, send)
            return
        self.log.append("request")
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    async def live(self, scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        assert message == {"type": "lifespan.startup"}
        self.log.append("startup")
        if self.failures:
            self.failures -= 1
            await send({"type": "lifespan.startup.failed", "message": "no database"})
            return
        if self.ready is not None:
            await self.ready.wait()
        scope["state"]["started"] = True
        self.log.append("started")
        await send({"type": "lifespan.startup.complete"})
        assert await receive() == {"type": "lifespan.shutdown"}
        self.log.append("shutdown")
        await send({"type": "lifespan.shutdown.complete"})


@pytest.fixture
def on_lambda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_LAMBDA_RUNTIME_API", raising=False)


def status_of(adapter: LambdaAdapter, context: Any = None) -> Any:
    return adapter(EVENT, context)["statusCode"]


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_start_up_runs_once_over_many_invocations(mode: str) -> None:
    app = App()
    adapter = LambdaAdapter(app, lifespan=mode)
    assert app.log == []
    assert [status_of(adapter) for _ in range(3)] == [200] * 3
    adapter.close()
    assert ["startup", "started", *["request"] * 3, "shutdown"] == app.log


def test_off_does_not_try() -> None:
    app = App()
    adapter = LambdaAdapter(app, lifespan="off")
    assert status_of(adapter) == 200
    adapter.close()
    assert app.log == ["request"]


def test_the_scope_is_that_of_the_protocol() -> None:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(dict(scope))
        raise NotImplementedError

    with pytest.raises(LifespanError):
        LambdaAdapter(app, lifespan="on")(EVENT, None)
    expected = {
        "type": "lifespan",
        "asgi": {"version": "3.0", "spec_version": "2.0"},
        "state": {},
    }
    assert [expected] == scopes


def test_after_a_shutdown_the_next_invocation_starts_it_again() -> None:
    app = App()
    adapter = LambdaAdapter(app)
    for _ in range(2):
        assert status_of(adapter) == 200
        adapter.close()
    assert app.log == ["startup", "started", "request", "shutdown"] * 2


def test_closing_what_never_started_does_nothing() -> None:
    app = App()
    LambdaAdapter(app).close()
    assert app.log == []


def test_on_lambda_the_constructor_starts_it(on_lambda: None) -> None:
    app = App()
    adapter = LambdaAdapter(app)
    assert app.log == ["startup", "started"]
    assert status_of(adapter) == 200
    adapter.close()
    assert app.log == ["startup", "started", "request", "shutdown"]


def test_a_failure_on_lambda_is_an_error_of_the_init_phase(on_lambda: None) -> None:
    with pytest.raises(LifespanError, match="no database"):
        LambdaAdapter(App(failures=1))


def test_a_slow_start_up_goes_on_in_the_first_invocation(on_lambda: None) -> None:
    app = App(ready=asyncio.Event())
    adapter = LambdaAdapter(app, startup_timeout=0.01)
    assert app.log == ["startup"]
    assert app.ready is not None
    app.ready.set()
    assert status_of(adapter) == 200
    adapter.close()
    assert app.log == ["startup", "started", "request", "shutdown"]


@pytest.mark.parametrize(
    ("kind", "log"),
    [
        (None, ["startup"]),
        ("on-demand", ["startup"]),
        ("snap-start", ["startup", "started"]),
        ("provisioned-concurrency", ["startup", "started"]),
        ("lambda-managed-instances", ["startup", "started"]),
    ],
)
def test_start_up_is_waited_for_where_lambda_waits(
    on_lambda: None, monkeypatch: pytest.MonkeyPatch, kind: str | None, log: list[str]
) -> None:
    """On demand the init phase has ten seconds, which are hundredths here; else minutes."""
    monkeypatch.setattr("penstock.adapter.lifespan.STARTUP_S", 0.01)
    if kind is not None:
        monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", kind)

    class Moment(asyncio.Event):
        async def wait(self) -> Any:
            await asyncio.sleep(0.05)

    app = App(ready=Moment())
    adapter = LambdaAdapter(app)
    assert app.log == log
    assert status_of(adapter) == 200
    adapter.close()


def test_a_start_up_slower_than_the_deadline_goes_on_in_the_next(
    context: Callable[..., Context],
) -> None:
    app = App(ready=asyncio.Event())
    adapter = LambdaAdapter(app)
    assert status_of(adapter, context(remaining_ms=20)) == 504
    assert app.log == ["startup"]
    assert app.ready is not None
    app.ready.set()
    assert status_of(adapter) == 200
    adapter.close()
    assert app.log == ["startup", "started", "request", "shutdown"]


def test_inside_a_running_loop_the_constructor_leaves_it_alone(on_lambda: None) -> None:
    app = App()

    async def main() -> Any:
        adapter = LambdaAdapter(app)
        assert app.log == []
        answer = await adapter.handle(EVENT, None)
        await adapter.aclose()
        return answer["statusCode"]

    assert asyncio.run(main()) == 200
    assert app.log == ["startup", "started", "request", "shutdown"]


def test_a_failure_fails_the_invocation_and_the_next_tries_again() -> None:
    app = App(failures=2)
    adapter = LambdaAdapter(app)
    for _ in range(2):
        with pytest.raises(LifespanError, match="no database"):
            adapter(EVENT, None)
    assert status_of(adapter) == 200
    adapter.close()
    assert app.log == ["startup"] * 3 + ["started", "request", "shutdown"]


async def raises(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body"})


async def returns(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await raises(scope, receive, send)


async def answers_as_if_to_a_request(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body"})


UNSUPPORTED = [raises, returns, answers_as_if_to_a_request]


@pytest.mark.parametrize("app", UNSUPPORTED)
def test_an_application_without_lifespan_is_served(
    app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    adapter = LambdaAdapter(app)
    assert [status_of(adapter) for _ in range(2)] == [200, 200]
    adapter.close()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("app", UNSUPPORTED)
def test_on_insists_on_a_lifespan(app: Any) -> None:
    adapter = LambdaAdapter(app, lifespan="on")
    with pytest.raises(LifespanError, match="expected the application to complete"):
        adapter(EVENT, None)


def test_a_start_up_that_raises_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            raise ValueError("no database")
        await raises(scope, receive, send)

    assert status_of(LambdaAdapter(app)) == 200
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "no database" in caplog.text


def test_a_shutdown_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.failed", "message": "still writing"})
            return
        await raises(scope, receive, send)

    adapter = LambdaAdapter(app)
    assert status_of(adapter) == 200
    adapter.close()
    assert "still writing" in caplog.text


def test_a_lifespan_that_dies_is_logged_and_requests_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            raise ValueError("died")
        await raises(scope, receive, send)

    adapter = LambdaAdapter(app)
    assert [status_of(adapter) for _ in range(2)] == [200, 200]
    adapter.close()
    assert "died" in caplog.text


@pytest.mark.parametrize("extra", ["lifespan.startup.complete", "lifespan.nonsense"])
def test_an_answer_that_nobody_asked_for_is_refused(extra: str) -> None:
    refused: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            try:
                await send({"type": extra})
            except RuntimeError as error:
                refused.append(type(error).__name__)
            return
        await raises(scope, receive, send)

    adapter = LambdaAdapter(app)
    assert status_of(adapter) == 200
    adapter.close()
    assert refused == ["ProtocolError"]


def test_an_application_whose_loop_is_closed_is_started_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = App()
    adapter = LambdaAdapter(app)

    async def main() -> Any:
        return (await adapter.handle(EVENT, None))["statusCode"]

    assert [asyncio.run(main()) for _ in range(2)] == [200, 200]
    assert app.log == ["startup", "started", "request"] * 2
    # asyncio.run has cancelled the lifespan, and nobody did anything wrong.
    assert caplog.records == []


def test_an_application_cannot_live_on_two_loops() -> None:
    app = App()
    adapter = LambdaAdapter(app)
    assert status_of(adapter) == 200

    async def main() -> None:
        with pytest.raises(LifespanError, match="another event loop"):
            await adapter.handle(EVENT, None)

    asyncio.run(main())
    assert status_of(adapter) == 200
    adapter.close()
    assert app.log == ["startup", "started", "request", "request", "shutdown"]


def test_invocations_that_overlap_share_one_start_up() -> None:
    app = App()

    async def main() -> list[Any]:
        adapter = LambdaAdapter(app)
        answers = await asyncio.gather(*(adapter.handle(EVENT, None) for _ in range(3)))
        await adapter.aclose()
        return [answer["statusCode"] for answer in answers]

    assert asyncio.run(main()) == [200] * 3
    assert app.log == ["startup", "started", *["request"] * 3, "shutdown"]


def test_a_cancelled_invocation_does_not_cancel_the_start_up() -> None:
    app = App(ready=asyncio.Event())

    async def main() -> Any:
        adapter = LambdaAdapter(app)
        first = asyncio.create_task(adapter.handle(EVENT, None))
        for _ in range(5):
            await asyncio.sleep(0)
        assert app.log == ["startup"]
        first.cancel()
        await asyncio.wait([first])
        assert app.ready is not None
        app.ready.set()
        answer = await adapter.handle(EVENT, None)
        await adapter.aclose()
        return answer["statusCode"]

    assert asyncio.run(main()) == 200
    assert app.log == ["startup", "started", "request", "shutdown"]


def test_an_application_whose_loop_is_closed_needs_no_shutdown() -> None:
    asked: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.append((await receive())["type"])
        await send({"type": "lifespan.startup.complete"})
        asked.append((await receive())["type"])

    adapter = LambdaAdapter(app, lifespan="on")

    loop = asyncio.new_event_loop()
    loop.run_until_complete(adapter.start_up())
    loop.close()
    adapter.close()
    assert asked == ["lifespan.startup"]
