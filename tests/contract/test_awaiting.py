"""``await adapter.handle(…)`` gives the answer that calling the adapter gives."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.conftest import Context, Door

START: dict[str, Any] = {
    "type": "http.response.start",
    "status": 201,
    "headers": [(b"content-type", b"text/plain"), (b"set-cookie", b"a=1"), (b"x-a", b"1")],
}
BODY: dict[str, Any] = {"type": "http.response.body", "body": b"done"}


async def ok(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send(START)
    await send(BODY)


async def echoing_slowly(scope: Any, receive: Any, send: Any) -> None:
    body = (await receive())["body"]
    await asyncio.sleep(0.001)
    await send(START)
    await send({**BODY, "body": scope["raw_path"] + scope["query_string"] + body})


async def raising(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    raise ValueError("reason")


async def raising_late(scope: Any, receive: Any, send: Any) -> None:
    await ok(scope, receive, send)
    raise ValueError("reason")


async def breaching(scope: Any, receive: Any, send: Any) -> None:
    await send(BODY)


async def silent(scope: Any, receive: Any, send: Any) -> None:
    await receive()


async def endless(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    while True:
        await send({**BODY, "body": b"x" * 1_000_000, "more_body": True})


async def hanging(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.Event().wait()


async def leaving(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    assert (await receive())["type"] == "http.disconnect"


STATUSES = {
    ok: 201,
    echoing_slowly: 201,
    raising: 500,
    raising_late: 201,
    breaching: 500,
    silent: 500,
    endless: 502,
    hanging: 504,
    leaving: 504,
}


@pytest.mark.parametrize("app", STATUSES)
def test_both_ways_give_the_same_answer(
    door: Door, app: Any, context: Callable[..., Context]
) -> None:
    soon = context(remaining_ms=30 if STATUSES[app] == 504 else 10_000)
    adapter = door.adapter(app)
    headers = (("Content-Type", "text/plain"),)
    event = door.event(method="POST", target="/a%20b?x=1", headers=headers, body=b"hello")
    called = adapter(event, soon)
    awaited = asyncio.run(adapter.handle(event, soon))
    assert called == awaited
    status = called["status"] if door.name == "edge" else called["statusCode"]
    assert STATUSES[app] == int(status)


def test_a_bad_event_is_refused_both_ways(door: Door) -> None:
    event = door.event(headers=(("X-A", "a\nb"),))
    adapter = door.adapter(ok)
    called = adapter(event, door.context)
    assert called == asyncio.run(adapter.handle(event, door.context))
    assert "Bad Request" in str(called)
