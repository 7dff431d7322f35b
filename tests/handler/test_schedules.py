"""A disconnect, a cancellation or a deadline at every point of a request: nothing is lost.

Each run counts the points at which the application waits, then the same request is run once for
each of them with the interruption right there.
"""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest
from asgi_calls import END, GONE, Server, http_scope, run

import penstock.handler.watching
from penstock.handler import (
    ASGIHandler,
    HandlerConfig,
    HttpResponse,
    MiddlewareMixin,
    StreamingHttpResponse,
    path,
    request_finished,
    request_started,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.usefixtures("no_django")
MOST = 60


class Mixin(MiddlewareMixin):
    def process_request(self, request: Any) -> None:
        pass

    def process_response(self, request: Any, response: Any) -> Any:
        return response


def layer(get_response: Any) -> Any:
    async def middleware(request: Any) -> Any:
        await asyncio.sleep(0)
        response = await get_response(request)
        await asyncio.sleep(0)
        return response

    return middleware


layer.async_capable = True  # type: ignore[attr-defined]


class Case:
    """One request whose every part waits, and what must be true after it."""

    def __init__(self) -> None:
        self.responses: list[Any] = []
        self.generators: list[str] = []
        self.closers = 0

    def adopt(self, response: Any) -> Any:
        self.responses.append(response)

        async def closer() -> None:
            await asyncio.sleep(0)
            self.closers += 1

        response.add_closer(closer)
        return response

    async def plain(self, request: Any) -> Any:
        await asyncio.sleep(0)
        return self.adopt(HttpResponse("x"))

    def sync(self, request: Any) -> Any:
        return self.adopt(HttpResponse(request.body))

    async def stream(self, request: Any) -> Any:
        async def content() -> AsyncIterator[bytes]:
            self.generators.append("open")
            try:
                for _ in range(3):
                    await asyncio.sleep(0)
                    yield b"part"
            finally:
                self.generators.remove("open")

        return self.adopt(StreamingHttpResponse(content()))

    def sync_stream(self, request: Any) -> Any:
        def content() -> Iterator[bytes]:
            self.generators.append("open")
            try:
                yield b"part"
                yield b"part"
            finally:
                self.generators.remove("open")

        return self.adopt(StreamingHttpResponse(content()))

    def handler(self) -> ASGIHandler:
        routes = [path(name, getattr(self, name)) for name in ("plain", "sync", "stream")]
        routes.append(path("sync-stream", self.sync_stream))
        config = HandlerConfig(listen_for_disconnect=True)
        return ASGIHandler(routes, middleware=[layer, Mixin], config=config)


class Interrupted:
    """Counts passes of the loop, and interrupts the request at one of them."""

    def __init__(self, at: int, kind: str) -> None:
        self.at = at
        self.kind = kind
        self.done = False

    async def run(self, case: Case, target: str) -> Any:
        loop = asyncio.get_running_loop()
        server = Server([END], on_send=lambda _: asyncio.sleep(0))
        handler = case.handler()
        scope = http_scope(target, "POST")
        task = asyncio.create_task(handler(scope, server.receive, server.send))
        for _ in range(self.at):
            await asyncio.sleep(0)
            if task.done():
                break
        else:
            self.done = not task.done()
        if not task.done():
            if self.kind == "cancel":
                task.cancel()
            elif self.kind == "cancel twice":
                task.cancel()
                await asyncio.sleep(0)
                task.cancel()
            else:
                server.add(GONE)
        await asyncio.wait({task})
        left = asyncio.all_tasks(loop) - {asyncio.current_task()}
        assert set() == left
        return task, server.result


@pytest.mark.parametrize("kind", ["cancel", "cancel twice", "disconnect"])
@pytest.mark.parametrize("target", ["/plain", "/sync", "/stream", "/sync-stream"])
def test_nothing_is_lost_wherever_it_is_interrupted(
    target: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(penstock.handler.watching, "PERIOD", 0)
    interruptions = 0
    for at in range(MOST):
        case = Case()
        counts = {"started": 0, "finished": 0}
        outcomes: list[str] = []

        async def started(**fields: Any) -> None:
            counts["started"] += 1  # noqa: B023

        async def finished(**fields: Any) -> None:
            await asyncio.sleep(0)
            counts["finished"] += 1  # noqa: B023
            outcomes.append(fields["outcome"])  # noqa: B023

        request_started.connect(started)
        request_finished.connect(finished)
        try:
            interrupted = Interrupted(at, kind)
            task, result = run(interrupted.run(case, target))
        finally:
            request_started.disconnect(started)
            request_finished.disconnect(finished)
        interruptions += interrupted.done
        starts = [one for one in result.out if one["type"] == "http.response.start"]
        assert len(starts) <= 1
        assert counts["finished"] <= counts["started"] <= 1
        if kind == "disconnect":
            assert not task.cancelled()
            assert task.exception() is None
            assert counts["started"] == counts["finished"]
        assert [True] * len(case.responses) == [one.closed for one in case.responses]
        assert [] == case.generators
        if not interrupted.done:
            assert result.is_complete
            assert ["complete"] == outcomes
        del task
    gc.collect()
    assert interruptions >= 3
