"""Applications mounted behind the middleware: what they do wrong stays theirs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgi_calls import END, GONE, Server, exchange, http_scope, run

from penstock.handler import ASGIHandler, HandlerConfig, mount

pytestmark = pytest.mark.usefixtures("no_django")

START = {"type": "http.response.start", "status": 200, "headers": [(b"x-app", b"1")]}


def mounted(app: Any) -> ASGIHandler:
    return ASGIHandler(
        [mount("m", app, through_middleware=True)], config=HandlerConfig(listen_for_disconnect=True)
    )


@pytest.mark.parametrize("error", [LookupError, asyncio.CancelledError])
def test_a_failure_before_the_response_is_a_500(error: type[BaseException]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise error

    result = exchange(mounted(app), "/m")
    assert (500, None) == (result.status, result.error)


@pytest.mark.parametrize("error", [LookupError, asyncio.CancelledError])
def test_a_failure_in_the_middle_cuts_the_response_short(error: type[BaseException]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        raise error

    result = exchange(mounted(app), "/m")
    assert (b"a", False) == (result.body, result.is_complete)
    assert isinstance(result.error, error)


def test_a_failure_after_the_response_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"a"})
        raise LookupError("after it")

    result = exchange(mounted(app), "/m")
    assert (b"a", True, None) == (result.body, result.is_complete, result.error)
    assert "LookupError: after it" in caplog.text


def test_system_exit_leaves_after_the_clean_up(signals: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise SystemExit(3)

    async def main() -> Any:
        server = Server()
        with pytest.raises(SystemExit):
            await mounted(app)(http_scope("/m"), server.receive, server.send)
        return server.result.out

    assert [] == run(main())
    assert ["error"] == signals.outcomes


def test_what_is_sent_after_the_end_is_dropped() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        for body in (b"a", b"b", b"c", b"d"):
            await send({"type": "http.response.body", "body": body})

    result = exchange(mounted(app), "/m")
    assert (b"a", True, None) == (result.body, result.is_complete, result.error)


def test_it_is_not_offered_what_middleware_cannot_be_around() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["extensions"])
        await send(START)
        await send({"type": "http.response.body", "body": b"a"})

    extensions = {"http.response.pathsend": {}, "http.response.trailers": {}, "tls": {"version": 1}}
    exchange(mounted(app), "/m", extensions=extensions)
    assert [{"tls": {"version": 1}}] == seen


@pytest.mark.parametrize("how", ["disconnect", "cancel"])
def test_its_background_work_outlives_the_client_but_not_a_cancellation(how: str) -> None:
    ended: list[str] = []

    async def main() -> None:
        working, go_on = asyncio.Event(), asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(START)
            await send({"type": "http.response.body", "body": b"a"})
            working.set()
            try:
                await go_on.wait()
                ended.append("complete")
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise

        server = Server([END])
        task = asyncio.create_task(mounted(app)(http_scope("/m"), server.receive, server.send))
        await working.wait()
        if how == "cancel":
            task.cancel()
        else:
            server.add(GONE)
            asyncio.get_running_loop().call_soon(go_on.set)
        await asyncio.wait({task})

    run(main())
    assert [{"disconnect": "complete", "cancel": "cancelled"}[how]] == ended
