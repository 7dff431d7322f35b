"""Runtimes of a few lines, in the test's own event loop."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from wire import NEXT, Wire, error, response

from penstock.infra.runtime_api import LocalRuntimeAPI

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


@asynccontextmanager
async def served(
    answer: Callable[[Wire, str, Any], Awaitable[None]], **options: Any
) -> AsyncIterator[LocalRuntimeAPI]:
    """A runtime in this loop that answers every event with a function."""

    async def serve(address: str) -> None:
        async with Wire(address) as wire:
            while True:
                event = await wire.get(NEXT)
                await answer(wire, event.headers["lambda-runtime-aws-request-id"], event)

    async with LocalRuntimeAPI(**options) as api:
        runtime = asyncio.create_task(serve(api.address))
        yield api
        runtime.cancel()
        await asyncio.gather(runtime, return_exceptions=True)


async def echo(wire: Wire, request_id: str, event: Any) -> None:
    headers = {name: value for name, value in event.headers.items() if name.startswith("lambda")}
    body = json.dumps({"event": event.json(), "headers": headers}).encode()
    await wire.post(response(request_id), body, {"Content-Type": "application/json"})


async def fail(wire: Wire, request_id: str, _: Any) -> None:
    body = b'{"errorType":"NoTea","errorMessage":"none left"}'
    await wire.post(error(request_id), body, {"Content-Type": "application/json"})
