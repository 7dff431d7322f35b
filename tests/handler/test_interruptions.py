"""Every kind of request, with something going wrong at every single point where anything waits.

A request is run once to count the points: each suspension of each task, each ``receive``, each
``send``. Then it is run again for each of them, with a disconnect, a cancellation or a failure
right there. Afterwards nothing of it may be left, and what had to happen has happened once.

All of that in a task of its own, where a client may leave and a deadline come, and in the server's.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from asgi_calls import END, GONE, Server, http_scope, parts
from interruptions import Interruption, at_every_point

import penstock.handler.watching
from penstock.handler import (
    ASGIHandler,
    EventStreamResponse,
    FileResponse,
    HandlerConfig,
    Http404,
    HttpError,
    HttpResponse,
    MiddlewareMixin,
    StreamingHttpResponse,
    mount,
    path,
    request_finished,
    request_started,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from stepping_loop import SteppingLoop

pytestmark = pytest.mark.usefixtures("no_django")

UPLOAD = (
    b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    + b"y" * 3000
    + b"\r\n--x--\r\n"
)
CHUNKS = [UPLOAD[start : start + 900] for start in range(0, len(UPLOAD), 900)]


class Hooks(MiddlewareMixin):
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
    """One request, and what was opened and closed for it."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.opened: list[Any] = []
        self.open: list[str] = []
        self.background = 0
        self.file = Path(folder, "file.txt")

    def made(self, response: Any) -> Any:
        self.opened.append(response)

        async def closer() -> None:
            self.open.remove("response")
            await asyncio.sleep(0)

        self.open.append("response")
        response.add_closer(closer)
        response.add_closer(lambda: None)
        return response

    async def plain(self, request: Any) -> Any:
        await asyncio.sleep(0)
        request.add_background(self.work)
        request.add_background(self.sync_work)
        return self.made(HttpResponse("x"))

    async def work(self) -> None:
        self.open.append("work")
        try:
            await asyncio.sleep(0)
        finally:
            self.open.remove("work")

    def sync_work(self) -> None:
        self.background += 1

    def sync(self, request: Any) -> Any:
        return self.made(HttpResponse(request.body))

    async def missing(self, request: Any) -> Any:
        raise Http404

    async def failing(self, request: Any) -> Any:
        await asyncio.sleep(0)
        raise LookupError

    async def stream(self, request: Any) -> Any:
        async def content() -> AsyncIterator[bytes]:
            self.open.append("generator")
            try:
                for _ in range(3):
                    await asyncio.sleep(0)
                    yield b"part"
            finally:
                self.open.remove("generator")

        return self.made(StreamingHttpResponse(content()))

    def sync_stream(self, request: Any) -> Any:
        def content() -> Iterator[bytes]:
            self.open.append("generator")
            try:
                yield b"part"
                yield b"part"
            finally:
                self.open.remove("generator")

        return self.made(StreamingHttpResponse(content()))

    async def events(self, request: Any) -> Any:
        async def events() -> AsyncIterator[Any]:
            self.open.append("events")
            try:
                yield "one"
                await asyncio.sleep(0.002)
                yield {"data": "two"}
            finally:
                self.open.remove("events")

        return self.made(EventStreamResponse(events(), ping=0.001))

    async def download(self, request: Any) -> Any:
        return self.made(FileResponse(self.file))

    async def upload(self, request: Any) -> Any:
        form = await request.aform()
        return self.made(HttpResponse(str(len(form["f"]))))

    async def reading(self, request: Any) -> Any:
        count = 0
        async for part in request.astream():
            count += len(part)
        return self.made(HttpResponse(str(count)))

    def sync_reading(self, request: Any) -> Any:
        return self.made(HttpResponse(str(len(request.read()))))

    async def mounted(self, scope: Any, receive: Any, send: Any) -> None:
        self.open.append("mounted")
        try:
            while (await receive()).get("more_body"):
                pass
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
            await asyncio.sleep(0)
            await send({"type": "http.response.body", "body": b"b"})
            await asyncio.sleep(0)
        finally:
            self.open.remove("mounted")

    def handler(self, **settings: Any) -> ASGIHandler:
        names = ["plain", "sync", "missing", "failing", "stream", "sync_stream", "events"]
        names += ["download", "upload"]
        routes: list[Any] = [path(name, getattr(self, name)) for name in names]
        routes += [
            path("streamed_upload", self.upload, stream_body=True),
            path("reading", self.reading, stream_body=True),
            path("sync_reading", self.sync_reading, stream_body=True),
            mount("mounted", self.mounted, through_middleware=True),
        ]
        config = HandlerConfig(
            file_upload_max_memory_size=1000,
            file_upload_temp_dir=self.folder,
            error_handlers={404: self.page, 504: self.page},
            **settings,
        )
        return ASGIHandler(routes, middleware=[layer, Hooks, self.gate], config=config)

    def gate(self, get_response: Any) -> Any:
        async def middleware(request: Any) -> Any:
            if request.path == "/refused":
                return self.made(HttpResponse("x", status=403))
            return await get_response(request)

        return middleware

    gate.async_capable = True  # type: ignore[attr-defined]

    async def page(self, request: Any, error: HttpError) -> Any:
        await asyncio.sleep(0)
        return self.made(StreamingHttpResponse(["none"], status=error.status))


TARGETS = [
    "plain",
    "refused",
    "sync",
    "missing",
    "failing",
    "stream",
    "sync_stream",
    "events",
    "download",
    "upload",
    "streamed_upload",
    "reading",
    "sync_reading",
    "mounted",
]
# The work has a task of its own with these settings; without, and without disconnects, it has none.
SETTINGS: dict[str, dict[str, Any]] = {
    "supervised": {"listen_for_disconnect": True, "disconnect_grace": 30, "response_timeout": 30},
    "alone": {},
}
ANYWHERE = [
    "cancel",
    "cancel soon",
    "cancel twice",
    "send OSError",
    "send ValueError",
    "receive OSError",
    "receive RuntimeError",
]
STREAMED = ["streamed_upload", "reading", "sync_reading", "mounted"]
WITH_BODY = {"upload", *STREAMED}
CASES = [
    *((mode, kind, target) for mode in SETTINGS for kind in ANYWHERE for target in TARGETS),
    *(
        ("supervised", kind, target)
        for kind in ("disconnect", "disconnect soon", "deadline")
        for target in TARGETS
    ),
    *(("alone", "disconnect", target) for target in STREAMED),
]


class Run(Interruption):
    """One request with one interruption, and what is to be looked at afterwards."""

    def __init__(self, loop: SteppingLoop, case: Case, target: str, kind: str, at: int) -> None:
        has_body = target in WITH_BODY
        super().__init__(loop, Server(parts(*CHUNKS) if has_body else [END]), kind, at, GONE)
        headers = [(b"content-type", b"multipart/form-data; boundary=x")] if has_body else []
        extensions = {"penstock": {"no_disconnect": True}}
        self.scope = http_scope(f"/{target}", "POST", headers=headers, extensions=extensions)
        self.case = case
        self.started = 0
        self.finished: list[str] = []

    @property
    def out(self) -> list[dict[str, Any]]:
        return self.server.result.out

    async def on_started(self, **fields: Any) -> None:
        self.started += 1

    def on_started_sync(self, **fields: Any) -> None:
        pass

    async def on_finished(self, **fields: Any) -> None:
        self.finished.append(fields["outcome"])
        await asyncio.sleep(0)

    async def serve_with(self, handler: ASGIHandler) -> None:
        """Serve it, and see that no leased thread is left."""
        request_started.connect(self.on_started)
        request_started.connect(self.on_started_sync)
        request_finished.connect(self.on_finished)
        try:
            await self.serve(handler, self.scope)
        finally:
            request_started.disconnect(self.on_started)
            request_started.disconnect(self.on_started_sync)
            request_finished.disconnect(self.on_finished)
        threads = handler.threads.size
        if threads:  # it was given back: another request gets the same one
            await handler(http_scope("/sync"), Server([END]).receive, Server().send)
            assert threads == handler.threads.size == 1
            self.case.opened.pop()
        handler.threads.shutdown()


def runs(target: str, kind: str, mode: str, folder: str) -> Iterator[Run]:
    """The request, interrupted at one point after the other, and at last not at all."""

    async def serve(loop: SteppingLoop, at: int) -> Run:
        case = Case(folder)
        run = Run(loop, case, target, kind, at)
        await run.serve_with(case.handler(**SETTINGS[mode]))
        return run

    return at_every_point(serve)


@pytest.mark.parametrize(("mode", "kind", "target"), CASES)
def test_whatever_interrupts_it_wherever(
    mode: str, target: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(penstock.handler.watching, "PERIOD", 0)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "file.txt").write_bytes(b"z" * 200_000)
        count = 0
        for run in runs(target, kind, mode, folder):
            count += 1
            check(run, kind)
            assert ["file.txt"] == [one.name for one in Path(folder).iterdir()]
        gc.collect()  # warnings about what was left open are errors
    assert count >= 2


def check(run: Run, kind: str) -> None:
    case = run.case
    starts = [one for one in run.out if one["type"] == "http.response.start"]
    assert len(starts) <= 1
    assert [] == case.open
    assert [True] * len(case.opened) == [one.closed for one in case.opened]
    assert len(run.finished) == run.started <= 1
    if not run.interrupted:
        assert run.raised is None
        assert ["complete"] == run.finished
        assert run.out[-1]["more_body"] is False
    elif kind.startswith("cancel"):
        assert run.task is not None
        assert run.task.cancelled() is run.was_cancelled
    elif kind == "send ValueError":
        assert isinstance(run.raised, ValueError)
    elif kind == "receive RuntimeError":
        assert run.raised is None
        assert 1 == len(starts)
    else:
        assert run.raised is None
