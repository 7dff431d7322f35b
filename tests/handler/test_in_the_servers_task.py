"""A request that nothing but the server can cut short runs in the server's task: what stays true.

What holds for both runs for both: in that task, and in one of the request's own.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest
from asgi_calls import END, Server, http_scope, run, serve

from penstock.handler import (
    ASGIHandler,
    HandlerConfig,
    HttpResponse,
    StreamingHttpResponse,
    got_request_exception,
    path,
    request_finished,
    request_started,
    reverse,
)
from penstock.handler.exceptions import NoReverseMatch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any as Signals  # what conftest's fixture gives

pytestmark = pytest.mark.usefixtures("no_django")


@pytest.mark.parametrize(
    ("config", "extensions", "own_task"),
    [
        (HandlerConfig(), {}, True),
        (HandlerConfig(), {"penstock": {"no_disconnect": False}}, True),
        (HandlerConfig(), {"penstock": {"no_disconnect": True}}, False),
        (HandlerConfig(), {"penstock": {"no_disconnect": True, "deadline": -1.0}}, False),
        (HandlerConfig(listen_for_disconnect=False), {}, False),
        (HandlerConfig(listen_for_disconnect=True), {"penstock": {"no_disconnect": True}}, True),
        (HandlerConfig(listen_for_disconnect=False, response_timeout=9), {}, True),
        (HandlerConfig(listen_for_disconnect=False, disconnect_grace=9), {}, True),
    ],
)
def test_which_requests_have_a_task_of_their_own(
    config: HandlerConfig, extensions: Any, own_task: bool
) -> None:
    async def main() -> bool:
        tasks: list[Any] = []

        async def view(request: Any) -> HttpResponse:
            tasks.append(asyncio.current_task())
            return HttpResponse()

        result = await serve(
            ASGIHandler(view, config=config), http_scope(extensions=extensions), Server()
        )
        assert 200 == result.status
        return tasks != [asyncio.current_task()]

    assert own_task is run(main())


def test_what_the_work_sets_stays_in_it(scope: dict[str, Any], connect: Any) -> None:
    """Context variables: one for the whole of the work, none for who called."""
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    seen: list[str] = []

    async def started(**fields: Any) -> None:
        variable.set(variable.get() + ", started")

    async def finished(**fields: Any) -> None:
        seen.append(variable.get())

    async def view(request: Any) -> HttpResponse:
        assert "/" == reverse("name")
        variable.set(variable.get() + ", view")
        await asyncio.sleep(0)
        variable.set(variable.get() + ", later")
        request.add_background(lambda: seen.append(variable.get()))
        return HttpResponse()

    async def main() -> None:
        variable.set("caller")
        await serve(ASGIHandler([path("", view, name="name")]), scope, Server())
        assert "caller" == variable.get()
        with pytest.raises(NoReverseMatch):
            reverse("name")

    connect(request_started, started)
    connect(request_finished, finished)
    run(main())
    assert ["caller, started, view, later"] * 2 == seen


@pytest.mark.conformance("C014")
@pytest.mark.parametrize("where", ["view", "closer", "background", "finished", "started"])
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_what_ends_the_process_leaves_after_the_clean_up(
    scope: dict[str, Any], where: str, kind: type[BaseException], connect: Any
) -> None:
    seen: list[str] = []

    async def at(place: str) -> None:
        await asyncio.sleep(0)
        seen.append(place)
        if place == where:
            raise kind

    async def view(request: Any) -> HttpResponse:
        request.add_background(at, "background")
        await at("view")
        response = HttpResponse("x")

        async def closer() -> None:
            await at("closer")

        response.add_closer(closer)
        return response

    async def started(**fields: Any) -> None:
        await at("started")

    async def finished(**fields: Any) -> None:
        await at("finished")

    connect(request_started, started)
    connect(request_finished, finished)

    async def main() -> None:
        server = Server()
        with pytest.raises(kind):
            await ASGIHandler(view)(scope, server.receive, server.send)

    run(main())
    expected = ["started", "view", "closer", "background", "finished"]
    if where == "view":
        expected.remove("closer")
    elif where == "started":
        expected = ["started", "finished"]
    assert expected == seen


@pytest.mark.conformance("C169")
def test_the_exception_is_at_hand_for_receivers(scope: dict[str, Any], connect: Any) -> None:
    seen: list[Any] = []

    async def failed(**fields: Any) -> None:
        seen.append(sys.exc_info()[1])

    async def view(request: Any) -> HttpResponse:
        try:
            await asyncio.sleep(0)
        finally:
            seen.append(sys.exc_info()[1])
        raise LookupError("the view's")

    connect(got_request_exception, failed)
    assert 500 == run(serve(ASGIHandler(view), scope, Server())).status
    assert [None, "LookupError"] == [seen[0], type(seen[1]).__name__]


def test_a_stream_that_is_read_meets_the_clients_end(signals: Signals) -> None:
    """Nobody listens, but a body that is still arriving tells."""
    answers: list[bool] = []

    async def view(request: Any) -> HttpResponse:
        answers.append(await request.is_disconnected())
        with suppress(Exception):
            await request.abody()
        answers.append(await request.is_disconnected())
        return HttpResponse("nobody reads it")

    config = HandlerConfig(body_mode="stream", listen_for_disconnect=False)
    messages = [{**END, "more_body": True}, {"type": "http.disconnect"}]
    result = run(serve(ASGIHandler(view, config=config), http_scope(), Server(messages)))
    assert ([], None) == (result.out, result.error)
    assert [False, True] == answers
    assert ["disconnect"] == signals.outcomes


def test_nothing_is_sent_once_it_is_over(scope: dict[str, Any]) -> None:
    scope["extensions"]["http.response.early_hint"] = {}
    held: list[Any] = []

    async def view(request: Any) -> HttpResponse:
        held.append(request)
        raise SystemExit

    async def main() -> None:
        server = Server()
        with pytest.raises(SystemExit):
            await ASGIHandler(view)(scope, server.receive, server.send)
        assert not await held[0].send_early_hints(["</a.css>; rel=preload"])
        assert [] == server.result.out

    run(main())


def test_a_stream_in_the_background_is_closed_with_its_loop(scope: dict[str, Any]) -> None:
    """A loop that ends cancels what it has: the generator is closed, nothing more is sent."""
    seen: list[str] = []

    async def content() -> AsyncIterator[bytes]:
        try:
            yield b"part"
            await asyncio.Event().wait()
        finally:
            seen.append("closed")

    async def view(request: Any) -> StreamingHttpResponse:
        return StreamingHttpResponse(content())

    server: list[Server] = []

    async def main() -> None:
        sent = asyncio.Event()
        server.append(Server(on_send=lambda message: sent.set() if "body" in message else None))
        app = ASGIHandler(view)(scope, server[0].receive, server[0].send)
        task = asyncio.get_running_loop().create_task(app)
        await sent.wait()
        assert not task.done()

    run(main())
    assert ["closed"] == seen
    assert not server[0].result.is_complete


def test_the_place_where_it_waits_can_be_found() -> None:
    """By those who look for what hangs, such as the adapter at its deadline."""
    scope = http_scope(extensions={"penstock": {"no_disconnect": True}})

    async def main() -> list[str]:
        running = asyncio.Event()

        async def hanging_view(request: Any) -> HttpResponse:
            running.set()
            await asyncio.Event().wait()
            raise AssertionError

        server = Server()
        task = asyncio.create_task(ASGIHandler(hanging_view)(scope, server.receive, server.send))
        await running.wait()
        names, awaited = [], task.get_coro()
        while frame := getattr(awaited, "cr_frame", None):
            names.append(frame.f_code.co_name)
            awaited = awaited.cr_await  # type: ignore[union-attr]
        task.cancel()
        return names

    assert "hanging_view" in run(main())
