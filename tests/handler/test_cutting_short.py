"""What cuts a request short, and what must not be taken for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from asgi_calls import exchange

from penstock.handler import ASGIHandler, StreamingHttpResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.mark.parametrize("passes", range(4))
def test_a_timeout_within_a_stream_is_no_cancellation_of_its_start(passes: int) -> None:
    async def content() -> AsyncIterator[bytes]:
        for _ in range(passes):
            await asyncio.sleep(0)
        try:
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        except TimeoutError:
            yield b"late"

    async def view(request: Any) -> StreamingHttpResponse:
        return StreamingHttpResponse(content())

    result = exchange(ASGIHandler(view))
    assert (200, b"late", True) == (result.status, result.body, result.is_complete)
