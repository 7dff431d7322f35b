"""Start-up and shutdown, as an ASGI server asks for them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from penstock.handler import (
    ASGIHandler,
    ASGIProtocolError,
    HttpResponse,
    JsonResponse,
    path,
    shutdown,
    startup,
    sync_to_async,
)
from penstock.handler.testing import AsyncClient, Client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from penstock.handler import ASGIRequest

pytestmark = pytest.mark.conformance("C182")
log: list[str] = []


@asynccontextmanager
async def lifespan(_handler: ASGIHandler) -> AsyncIterator[dict[str, Any]]:
    log.append("enter")
    yield {"numbers": [1], "count": 0}
    log.append("exit")


async def show(request: ASGIRequest) -> HttpResponse:
    request.state["count"] = request.state.get("count", 0) + 1
    return JsonResponse(request.state)


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    log.clear()

    def on_startup(handler: ASGIHandler, **_: Any) -> None:
        log.append(f"startup of {type(handler).__name__}")

    async def on_shutdown(**_: Any) -> None:
        log.append("shutdown")

    startup.connect(on_startup)
    shutdown.connect(on_shutdown)
    yield
    startup.disconnect(on_startup)
    shutdown.disconnect(on_shutdown)


class Server:
    """The server's side of a lifespan scope."""

    def __init__(self, *messages: str, state: dict[str, Any] | None = None) -> None:
        self.scope: dict[str, Any] = {"type": "lifespan", "asgi": {"version": "3.0"}}
        if state is not None:
            self.scope["state"] = state
        self.messages = list(messages)
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        return {"type": self.messages.pop(0)}

    async def send(self, message: dict[str, Any]) -> None:
        log.append(message["type"])
        self.sent.append(message)

    def run(self, handler: ASGIHandler) -> None:
        asyncio.run(handler(self.scope, self.receive, self.send))


def test_the_order_of_things() -> None:
    state: dict[str, Any] = {"servers own": 1}
    Server("lifespan.startup", "lifespan.shutdown", state=state).run(
        ASGIHandler([], lifespan=lifespan)
    )
    assert state == {"servers own": 1, "numbers": [1], "count": 0}
    assert log == [
        "startup of ASGIHandler",
        "enter",
        "lifespan.startup.complete",
        "exit",
        "shutdown",
        "lifespan.shutdown.complete",
    ]


def test_signals_alone_are_enough() -> None:
    Server("lifespan.startup", "lifespan.shutdown").run(ASGIHandler([]))
    assert "shutdown" in log
    assert log[-1] == "lifespan.shutdown.complete"


def test_a_failed_start_up_says_why_and_leaves_nothing_open(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @asynccontextmanager
    async def broken(_handler: ASGIHandler) -> AsyncIterator[None]:
        log.append("enter")
        try:
            raise ConnectionError("no database")
            yield
        finally:
            log.append("cleaned")

    server = Server("lifespan.startup")
    server.run(ASGIHandler([], lifespan=broken))
    assert server.sent == [
        {"type": "lifespan.startup.failed", "message": "ConnectionError: no database"}
    ]
    assert log[1:] == ["enter", "cleaned", "shutdown", "lifespan.startup.failed"]
    assert caplog.records[0].exc_info is not None


def test_a_receiver_that_fails_fails_the_start_up() -> None:
    def refuse(**_: Any) -> None:
        raise RuntimeError("not today")

    startup.connect(refuse)
    try:
        server = Server("lifespan.startup")
        server.run(ASGIHandler([], lifespan=lifespan))
    finally:
        startup.disconnect(refuse)
    assert server.sent[0]["message"] == "RuntimeError: not today"
    assert "enter" not in log


def test_a_failed_shutdown_says_why_and_the_rest_still_runs() -> None:
    @asynccontextmanager
    async def broken(_handler: ASGIHandler) -> AsyncIterator[None]:
        yield
        raise OSError("disk full")

    server = Server("lifespan.startup", "lifespan.shutdown")
    server.run(ASGIHandler([], lifespan=broken))
    assert server.sent[1] == {"type": "lifespan.shutdown.failed", "message": "OSError: disk full"}
    assert log[-2:] == ["shutdown", "lifespan.shutdown.failed"]


def test_a_server_that_stops_waiting_still_gets_a_clean_end() -> None:
    async def main() -> None:
        server = Server("lifespan.startup")
        waiting = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if server.messages:
                return await server.receive()
            waiting.set()
            await asyncio.Event().wait()
            raise AssertionError

        task = asyncio.create_task(
            ASGIHandler([], lifespan=closing)(server.scope, receive, server.send)
        )
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    @asynccontextmanager
    async def closing(_handler: ASGIHandler) -> AsyncIterator[None]:
        try:
            yield
        finally:
            log.append("closed")

    asyncio.run(main())
    assert log[-2:] == ["closed", "shutdown"]


def test_each_request_has_its_own_copy_of_the_state() -> None:
    shared: dict[str, Any] = {}

    async def main() -> list[Any]:
        handler = ASGIHandler([path("", show)], lifespan=lifespan)
        async with AsyncClient(handler) as client:
            shared.update(client.state)
            answers = [(await client.get("/")).json() for _ in range(2)]
            assert client.state["count"] == 0
            return answers

    assert asyncio.run(main()) == [{"numbers": [1], "count": 1}] * 2


def test_a_server_that_does_not_copy_the_state() -> None:
    async def main() -> dict[str, Any]:
        state: dict[str, Any] = {"count": 5}
        handler = ASGIHandler([path("", show)])
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "state": state}
        await handler(scope, receive, send)
        assert sent[1]["body"] == b'{"count": 6}'
        return state

    assert asyncio.run(main()) == {"count": 5}


def test_without_lifespan_the_state_is_empty() -> None:
    assert Client(ASGIHandler([path("", show)])).get("/").json() == {"count": 1}


def test_a_server_without_state_keeps_it_in_the_handler() -> None:
    async def main() -> None:
        handler = ASGIHandler([path("", show)], lifespan=lifespan)
        server = Server("lifespan.startup", "lifespan.shutdown")
        stop = asyncio.Event()
        started = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if len(server.messages) == 1:
                started.set()
                await stop.wait()
            return await server.receive()

        task = asyncio.create_task(handler(server.scope, receive, server.send))
        await started.wait()
        sent: list[Any] = []

        async def receive_request() -> dict[str, Any]:
            return {"type": "http.request"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        await handler(scope, receive_request, send)
        assert sent[1]["body"] == b'{"numbers": [1], "count": 1}'
        assert handler.state["count"] == 0
        stop.set()
        await task
        assert handler.state == {}

    asyncio.run(main())


def test_switched_off_it_looks_unsupported() -> None:
    server = Server("lifespan.startup")
    with pytest.raises(RuntimeError, match="lifespan"):
        server.run(ASGIHandler([], lifespan="off"))
    assert server.sent == []


def test_a_message_out_of_order() -> None:
    with pytest.raises(ASGIProtocolError, match=r"expected the message lifespan\.startup"):
        Server("lifespan.shutdown").run(ASGIHandler([], lifespan=lifespan))


def test_the_leased_threads_are_stopped() -> None:
    async def view(_request: ASGIRequest) -> HttpResponse:
        await sync_to_async(int)()
        return HttpResponse()

    handler = ASGIHandler([path("", view)])
    with Client(handler) as client:
        client.get("/")
        assert handler.threads.size == 1
    assert handler.threads.size == 0
