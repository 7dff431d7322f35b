"""Peak memory of large bodies; JSON on stdout: ``handler_memory.py CASE`` in a process.

CASE: ``file`` (download of 64 MiB from disk), ``stream`` (64 MiB of a sync iterator), ``upload``
(multipart, 64 MiB), ``django-upload`` (the same through Django). The client takes and gives 64 KiB
a message and keeps nothing. Their times: ``handler_uploads.py``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import tempfile
import tracemalloc
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIZE, PART = 64 << 20, 65_536
BOUNDARY = b"----WebKitFormBoundaryQ2x1nA7vT0sLpR4e"  # as long as a browser's
HEAD = (
    b"--" + BOUNDARY + b"\r\n"
    b'Content-Disposition: form-data; name="file"; filename="large.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n"
)
TAIL = b"\r\n--" + BOUNDARY + b"--\r\n"

Views = dict[str, "Callable[[Any], Any]"]


def penstock(views: Views) -> Any:
    from penstock.handler import ASGIHandler, path

    return ASGIHandler([path(name, view) for name, view in views.items()])


def django(views: Views) -> Any:
    import django as package
    from django.conf import settings

    settings.configure(ROOT_URLCONF=__name__, MIDDLEWARE=[], ALLOWED_HOSTS=["*"])
    package.setup()
    from django.core.handlers.asgi import ASGIHandler
    from django.urls import path

    globals()["urlpatterns"] = [path(name, view) for name, view in views.items()]
    return ASGIHandler()


def views_of_penstock(file_path: str) -> Views:
    from penstock.handler import FileResponse, HttpResponse, StreamingHttpResponse

    def parts() -> Iterator[bytes]:
        for _ in range(SIZE // PART):
            yield bytes(PART)

    async def file(request: Any) -> Any:
        return FileResponse(file_path)

    async def stream(request: Any) -> Any:
        return StreamingHttpResponse(parts())

    def upload(request: Any) -> Any:
        return HttpResponse(str(request.FILES["file"].size))

    return {"file": file, "stream": stream, "upload": upload}


def views_of_django() -> Views:
    from django.http import HttpResponse

    def upload(request: Any) -> Any:
        return HttpResponse(str(request.FILES["file"].size))

    return {"upload": upload}


def upload_messages(part_size: int) -> Iterator[dict[str, Any]]:
    yield {"type": "http.request", "body": HEAD, "more_body": True}
    part = bytearray(os.urandom(part_size))
    for _ in range(SIZE // part_size):  # each has bytes of its own, as from a server
        yield {"type": "http.request", "body": bytes(part), "more_body": True}
    yield {"type": "http.request", "body": TAIL, "more_body": False}


async def request(app: Any, name: str, part_size: int | None = None) -> int:
    """Ask for a view, with an upload in parts of that size if there is one; the answer's length."""
    headers = [(b"host", b"shop.example.com")]
    waiting: Iterator[dict[str, Any]] = iter([{"type": "http.request"}])
    if part_size is not None:
        length = len(HEAD) + SIZE + len(TAIL)
        headers += [
            (b"content-type", b"multipart/form-data; boundary=" + BOUNDARY),
            (b"content-length", str(length).encode()),
        ]
        waiting = upload_messages(part_size)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET" if part_size is None else "POST",
        "scheme": "https",
        "path": f"/{name}",
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "server": ("shop.example.com", 443),
        "client": ("192.0.2.7", 4711),
    }
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
    name = case.removeprefix("django-")
    part_size = PART if name == "upload" else None
    logging.disable()
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(SIZE)
        app = penstock(views_of_penstock(file.name)) if name == case else django(views_of_django())
        size = asyncio.run(request(app, name, part_size))  # imports what is imported on demand
        tracemalloc.start()
        assert size == asyncio.run(request(app, name, part_size))
        _, peak = tracemalloc.get_traced_memory()
    assert size == (SIZE if part_size is None else len(str(SIZE))), size
    print(json.dumps({"peak_bytes": peak}))


if __name__ == "__main__":
    main()
