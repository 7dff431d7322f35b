"""Adapters inside of an ordinary handler, as decorators and routers of events make them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from penstock.infra.runtime_api import LocalRuntimeAPI

    Run = Callable[[Coroutine[Any, Any, None]], None]
    Serve = Callable[..., LocalRuntimeAPI]
    Get = Callable[..., dict[str, Any]]

CODE = """
import asyncio
from penstock.adapter import LambdaAdapter

begun = 0

async def asgi(scope, receive, send):
    global begun
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["started"] = True
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return
    assert scope["state"]["started"]
    begun += 1
    while begun < int(scope["query_string"]):
        await asyncio.sleep(0.01)
    request_id = scope["aws.context"].aws_request_id
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": request_id.encode()})

adapter = LambdaAdapter(asgi)

def app(event, context):
    return adapter(event, context)
"""


def test_they_serve_all_slots_at_once(serve: Serve, run: Run, get: Get, slots: int | None) -> None:
    """Each request waits until as many as there are slots have begun."""
    at_once = slots or 1

    async def main() -> None:
        async with serve(CODE, concurrency=slots) as api:
            event = get(f"/?{at_once}")
            ids = [f"request-{number}" for number in range(at_once)]
            answers = await asyncio.gather(*(api.invoke(event, request_id=id_) for id_ in ids))
            assert [answer["body"] for answer in answers] == ids

    run(main())
