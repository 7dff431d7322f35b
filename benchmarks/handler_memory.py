"""Peak memory and time of large bodies; JSON on stdout: ``handler_memory.py CASE`` in a process.

CASE: ``file`` (download of 64 MiB from disk), ``stream`` (64 MiB of a sync iterator), ``upload``
(multipart, 64 MiB), ``django-upload`` (the same through Django). The client takes and gives 64 KiB
a message and keeps nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import tempfile
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE, PART = 64 << 20, 65_536
RUNS = 5
HEAD = (
    b"--boundary\r\n"
    b'Content-Disposition: form-data; name="file"; filename="large.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n"
)
TAIL = b"\r\n--boundary--\r\n"


def penstock(case: str, path: str) -> Any:
    from penstock.handler import ASGIHandler, FileResponse, HttpResponse, StreamingHttpResponse

    def parts() -> Iterator[bytes]:
        for _ in range(SIZE // PART):
            yield bytes(PART)

    async def file(request: Any) -> Any:
        return FileResponse(path)

    async def stream(request: Any) -> Any:
        return StreamingHttpResponse(parts())

    def upload(request: Any) -> Any:
        return HttpResponse(str(request.FILES["file"].size))

    return ASGIHandler({"file": file, "stream": stream, "upload": upload}[case])


def django() -> Any:
    import django as package
    from django.conf import settings

    settings.configure(ROOT_URLCONF=__name__, MIDDLEWARE=[], ALLOWED_HOSTS=["*"])
    package.setup()
    from django.core.handlers.asgi import ASGIHandler
    from django.http import HttpResponse
    from django.urls import path

    def upload(request: Any) -> Any:
        return HttpResponse(str(request.FILES["file"].size))

    globals()["urlpatterns"] = [path("", upload)]
    return ASGIHandler()


def messages(case: str) -> Iterator[dict[str, Any]]:
    if "upload" not in case:
        yield {"type": "http.request", "body": b"", "more_body": False}
        return
    yield {"type": "http.request", "body": HEAD, "more_body": True}
    part = bytearray(os.urandom(PART))
    for _ in range(SIZE // PART):  # each has bytes of its own, as from a server
        yield {"type": "http.request", "body": bytes(part), "more_body": True}
    yield {"type": "http.request", "body": TAIL, "more_body": False}


async def request(app: Any, case: str) -> int:
    length = len(HEAD) + SIZE + len(TAIL)
    upload = "upload" in case
    headers = [
        (b"host", b"shop.example.com"),
        (b"content-type", b"multipart/form-data; boundary=boundary"),
        (b"content-length", str(length).encode()),
    ]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "POST" if upload else "GET",
        "scheme": "https",
        "path": "/",
        "query_string": b"",
        "root_path": "",
        "headers": headers if upload else headers[:1],
        "server": ("shop.example.com", 443),
        "client": ("192.0.2.7", 4711),
    }
    waiting = messages(case)
    size = 0

    async def receive() -> Any:
        message = next(waiting, None)
        if message is None:
            return await asyncio.get_running_loop().create_future()
        return message

    async def send(message: Any) -> None:
        nonlocal size
        size += len(message.get("body", b""))

    await app(scope, receive, send)
    return size


def main() -> None:
    case = sys.argv[1]
    logging.disable()
    with tempfile.NamedTemporaryFile() as file:
        if case == "file":
            file.truncate(SIZE)
        app = django() if case == "django-upload" else penstock(case, file.name)
        size = asyncio.run(request(app, case))  # imports what is imported on demand
        times = []
        for _ in range(RUNS):
            began = time.perf_counter()
            assert size == asyncio.run(request(app, case))
            times.append(time.perf_counter() - began)
        tracemalloc.start()
        assert size == asyncio.run(request(app, case))
        _, peak = tracemalloc.get_traced_memory()
    assert size in {SIZE, len(str(SIZE))}, size
    print(json.dumps({"peak_bytes": peak, "seconds": min(times)}))


if __name__ == "__main__":
    main()
