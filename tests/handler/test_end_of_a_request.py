"""The order in which a request ends, and who listens meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from asgi_calls import END, GONE, Server, http_scope, parts, run

import penstock.handler.watching
from penstock.handler import (
    ASGIHandler,
    HandlerConfig,
    HttpResponse,
    StreamingHttpResponse,
    request_finished,
    request_started,
)

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
