"""The order in which a request ends, and who listens meanwhile."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from asgi_calls import END, GONE, Server, http_scope, parts, run, serve

import penstock.handler.watching
from penstock.handler import (
    ASGIHandler,
    HandlerConfig,
    HttpResponse,
    StreamingHttpResponse,
    request_finished,
    request_started,
)
from penstock.handler.body import SpooledBody

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.usefixtures("no_django")

UPLOAD = (
    b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    + b"y" * 100
    + b"\r\n--x--\r\n"
)


@pytest.fixture(autouse=True)
def _listens_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(penstock.handler.watching, "PERIOD", 0)


@pytest.fixture
def events() -> Iterator[list[str]]:
    """What happens, with the signals in it, and what was closed by then."""
    events: list[str] = []
    held: dict[str, Any] = {}

    async def started(**fields: Any) -> None:
        events.append("started")

    async def finished(**fields: Any) -> None:
        request = held["request"] = fields["request"]
        upload = "closed" if request.FILES["f"].closed else "open"
        body = "closed" if request._source.closed else "open"
        response = "closed" if fields["response"].closed else "open"
        events.append(f"finished: response {response}, upload {upload}, body {body}")

    request_started.connect(started)
    request_finished.connect(finished)
    yield events
    request_started.disconnect(started)
    request_finished.disconnect(finished)
    assert held["request"]._source.closed


@pytest.mark.conformance("C003", "C006")
def test_everything_has_its_place(events: list[str]) -> None:
    async def view(request: Any) -> HttpResponse:
        await request.aform()
        events.append("view")
        request.add_background(lambda: events.append("background"))
        response = HttpResponse("x")
        response.add_closer(lambda: events.append("closer 1"))
        response.add_closer(lambda: events.append("closer 2"))
        return response

    async def main() -> None:
        server = Server(parts(UPLOAD[:50], UPLOAD[50:]), lambda one: events.append(one["type"]))
        headers = [(b"content-type", b"multipart/form-data; boundary=x")]
        config = HandlerConfig(file_upload_max_memory_size=10)
        scope = http_scope(method="POST", headers=headers)
        await ASGIHandler(view, config=config)(scope, server.receive, server.send)

    run(main())
    assert [
        "started",
        "view",
        "http.response.start",
        "http.response.body",
        "closer 1",
        "closer 2",
        "background",
        "finished: response closed, upload closed, body open",
    ] == events


@pytest.mark.conformance("C017")
@pytest.mark.parametrize(
    ("extensions", "setting", "calls"),
    [
        ({}, "auto", 2),
        ({"penstock": {"no_disconnect": False}}, "auto", 2),
        ({"penstock": {"no_disconnect": True}}, "auto", 1),
        ({"penstock": {"no_disconnect": True}}, True, 2),
        ({}, False, 1),
    ],
)
def test_who_cannot_leave_is_not_listened_to(extensions: Any, setting: Any, calls: int) -> None:
    async def view(request: Any) -> HttpResponse:
        for _ in range(20):
            await asyncio.sleep(0)
        return HttpResponse("x")

    async def main() -> int:
        server, seen = Server(), 0

        async def receive() -> Any:
            nonlocal seen
            seen += 1
            return await server.receive()

        handler = ASGIHandler(view, config=HandlerConfig(listen_for_disconnect=setting))
        await handler(http_scope(extensions=extensions), receive, server.send)
        return seen

    assert calls == run(main())


def test_hints_are_early_or_not_sent() -> None:
    answers: list[bool] = []

    async def view(request: Any) -> StreamingHttpResponse:
        async def content() -> AsyncIterator[bytes]:
            yield b"part"
            answers.append(await request.send_early_hints(["</a.css>; rel=preload"]))
            answers.append(await request.push("/a.css"))

        answers.append(await request.send_early_hints(["</a.css>; rel=preload"]))
        return StreamingHttpResponse(content())

    async def main() -> list[str]:
        server = Server()
        extensions: Any = {"http.response.early_hint": {}, "http.response.push": {}}
        await ASGIHandler(view)(http_scope(extensions=extensions), server.receive, server.send)
        return [message["type"].removeprefix("http.response.") for message in server.result.out]

    assert ["early_hint", "start", "body", "body"] == run(main())
    assert [True, False, False] == answers


@pytest.mark.conformance("C176")
def test_a_client_that_leaves_while_it_is_listened_to_does_not_cancel_background_tasks() -> None:
    ended: list[str] = []

    async def main() -> None:
        server, heard = Server([END]), asyncio.Event()

        async def receive() -> Any:
            if not server.messages:
                heard.set()
            return await server.receive()

        async def work() -> None:
            server.add(GONE)
            for _ in range(20):
                await asyncio.sleep(0)
            ended.append("work")

        async def view(request: Any) -> HttpResponse:
            await heard.wait()
            request.add_background(work)
            return HttpResponse("x")

        await ASGIHandler(view)(http_scope(), receive, server.send)
        assert [] == server.messages
        assert server.result.is_complete

    run(main())
    assert ["work"] == ended


def body_on_disk(close: Any) -> type[ASGIHandler]:
    """A handler whose bodies are on disk; ``close`` is given what closes them."""

    class Body(SpooledBody):
        def close(self) -> None:
            close(super().close)

    class Handler(ASGIHandler):
        async def read_body(self, receive: Any) -> Any:
            self.body = Body(10)
            await self.body.feed(b"x" * 100)
            await self.body.finish()
            return self.body

    return Handler


async def hello(request: Any) -> HttpResponse:
    return HttpResponse("hello")


def test_a_file_of_a_body_is_given_back_off_the_loop() -> None:
    """A file system takes milliseconds to give large files back."""
    threads: list[int] = []

    def close(really: Any) -> None:
        threads.append(threading.get_ident())
        really()

    handler = body_on_disk(close)(hello)

    async def main() -> Any:
        server = Server()
        await handler(http_scope(), server.receive, server.send)
        return server.result

    assert 200 == run(main()).status
    assert threads[0] != threading.get_ident()
    assert handler.body.closed  # type: ignore[attr-defined]


def test_a_cancellation_waits_until_the_file_is_given_back() -> None:
    closing, gate = asyncio.Event(), threading.Event()

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def close(really: Any) -> None:
            loop.call_soon_threadsafe(closing.set)
            assert gate.wait(30)
            really()

        handler = body_on_disk(close)(hello)
        server = Server()
        task = asyncio.create_task(handler(http_scope(), server.receive, server.send))
        await closing.wait()
        task.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not task.done()
        gate.set()
        await asyncio.wait({task})
        assert task.cancelled()
        assert handler.body.closed  # type: ignore[attr-defined]

    run(main())


@pytest.mark.parametrize("error", [OSError("disk"), SystemExit()])
def test_a_file_that_cannot_be_given_back_in_a_thread_is_on_the_loop(error: Any) -> None:
    here = threading.get_ident()

    def close(really: Any) -> None:
        if threading.get_ident() != here:
            raise error
        really()

    handler = body_on_disk(close)(hello)

    async def main() -> Any:
        return await serve(handler, http_scope(), Server())

    result = run(main())
    assert 200 == result.status
    assert (error if isinstance(error, SystemExit) else None) is result.error
    assert handler.body.closed  # type: ignore[attr-defined]


def test_a_server_that_repeats_itself_does_not_block_the_loop() -> None:
    received = 0

    async def receive() -> Any:
        nonlocal received
        received += 1
        assert received < 10_000, "nobody else had a turn"
        return END

    async def view(request: Any) -> HttpResponse:
        for _ in range(20):
            await asyncio.sleep(0)
        return HttpResponse("hello")

    async def main() -> Any:
        server = Server()
        server.receive = receive  # type: ignore[method-assign]
        return await serve(ASGIHandler(view), http_scope(), server)

    assert b"hello" == run(main()).body
    assert 2 < received < 100
