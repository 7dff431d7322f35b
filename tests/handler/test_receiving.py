"""Limits of a body, and what ends it early."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgi_calls import GONE, Server, exchange, http_scope, parts, run, serve

from penstock.handler import ASGIHandler, HandlerConfig, HttpResponse
from penstock.handler.exceptions import RequestAborted

pytestmark = pytest.mark.usefixtures("no_django")


@pytest.mark.parametrize("mode", ["spool", "stream"])
@pytest.mark.parametrize("messages", [parts(b"x" * 10), parts(b"x" * 4, b"x" * 6)])
@pytest.mark.parametrize(("limit", "status"), [(9, 413), (10, 200)])
def test_a_body_may_be_as_long_as_the_limit(
    mode: Any, messages: Any, limit: int, status: int
) -> None:
    async def view(request: Any) -> HttpResponse:
        return HttpResponse(str(len(await request.aread())))

    config = HandlerConfig(max_body_size=limit, body_mode=mode)
    result = exchange(ASGIHandler(view, config=config), method="POST", messages=messages)
    assert status == result.status


@pytest.mark.parametrize("patience", [None, 30.0])
def test_a_timeout_of_the_connection_is_a_disconnect(patience: float | None) -> None:
    """``TimeoutError`` is an ``OSError``: the server's, not ours."""

    async def view(request: Any) -> HttpResponse:
        raise AssertionError

    async def receive() -> Any:
        await asyncio.sleep(0)
        raise TimeoutError("the connection timed out")

    async def main() -> Any:
        server = Server()
        server.receive = receive  # type: ignore[method-assign]
        handler = ASGIHandler(view, config=HandlerConfig(body_receive_timeout=patience))
        return await serve(handler, http_scope(method="POST"), server)

    result = run(main())
    assert ([], None) == (result.out, result.error)


def test_a_client_that_has_left_is_not_asked_again() -> None:
    ends: list[str] = []

    async def view(request: Any) -> HttpResponse:
        for _ in range(2):
            with pytest.raises(RequestAborted):
                await request.aread()
            ends.append("aborted")
        return HttpResponse()

    config = HandlerConfig(body_mode="stream")
    messages = [*parts(b"x", b"y")[:1], GONE]
    result = exchange(ASGIHandler(view, config=config), method="POST", messages=messages)
    assert (["aborted"] * 2, []) == (ends, result.out)
