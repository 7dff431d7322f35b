"""Work after the response."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from penstock.handler import ASGIHandler, HttpResponse, path, request_finished
from penstock.handler.testing import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.handler import ASGIRequest

pytestmark = pytest.mark.conformance("C176")
SCOPE: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": []}


@pytest.fixture
def log() -> Iterator[list[str]]:
    entries: list[str] = []

    def finished(outcome: str, **_: Any) -> None:
        entries.append(f"finished: {outcome}")

    request_finished.connect(finished)
    yield entries
    request_finished.disconnect(finished)


def serve(handler: ASGIHandler, log: list[str], *, leaves_at: str | None = None) -> None:
    """Serve one request; the client leaves when a message of type ``leaves_at`` was sent."""

    async def main() -> None:
        gone = asyncio.Event()
        messages = [{"type": "http.request"}]

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            log.append("last message" if not message.get("more_body") else "message")
            if message["type"] == leaves_at:
                gone.set()

        await handler(dict(SCOPE), receive, send)

    asyncio.run(main())


def test_it_runs_in_order_between_the_last_message_and_the_signal(log: list[str]) -> None:
    threads: list[int] = []

    async def later(name: str) -> None:
        await asyncio.sleep(0)
        log.append(name)

    def in_thread(*, name: str) -> None:
        threads.append(threading.get_ident())
        log.append(name)

    async def view(request: ASGIRequest) -> HttpResponse:
        request.add_background(later, "one")
        request.add_background(in_thread, name="two")
        request.add_background(later, "three")
        return HttpResponse("x")

    serve(ASGIHandler([path("", view)]), log)
    assert log[-5:] == ["last message", "one", "two", "three", "finished: complete"]
    assert threads != [threading.get_ident()]


def test_a_failure_is_logged_and_the_next_one_runs(
    log: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    async def view(request: ASGIRequest) -> HttpResponse:
        request.add_background(fail)
        request.add_background(log.append, "next")
        return HttpResponse("x")

    serve(ASGIHandler([path("", view)]), log)
    assert log[-2:] == ["next", "finished: complete"]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_a_client_that_leaves_does_not_cancel_it(log: list[str]) -> None:
    async def slow() -> None:
        for _ in range(20):
            await asyncio.sleep(0.001)
        log.append("done")

    async def view(request: ASGIRequest) -> HttpResponse:
        request.add_background(slow)
        return HttpResponse("x")

    serve(ASGIHandler([path("", view)]), log, leaves_at="http.response.body")
    assert log[-2:] == ["done", "finished: complete"]


def test_a_test_client_waits_for_it() -> None:
    done: list[int] = []

    async def view(request: ASGIRequest) -> HttpResponse:
        request.add_background(done.append, 1)
        return HttpResponse("x")

    assert Client(ASGIHandler([path("", view)])).get("/").text == "x"
    assert done == [1]
