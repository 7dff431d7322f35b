"""A Django project in one file, and the one line that puts it on Lambda."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import Http404, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.http import StreamingHttpResponse as Streaming
from django.urls import path, reverse

from penstock.adapter import LambdaAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from django.core.handlers.asgi import ASGIRequest

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="set your own: this one is public",
)

# Django has no lifespan events: what the process needs is made when it is imported.
STARTED_AT = datetime.now(UTC).isoformat()


async def hello(_request: ASGIRequest) -> HttpResponse:
    return JsonResponse({"hello": "Django", "started_at": STARTED_AT})


async def read_item(request: ASGIRequest, name: str) -> HttpResponse:
    return JsonResponse({"name": name, "q": request.GET.get("q")})


async def create_item(request: ASGIRequest) -> HttpResponse:
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    return JsonResponse(json.loads(request.body), status=201)


async def upload(request: ASGIRequest) -> HttpResponse:
    file = request.FILES["file"]
    content = file.read()
    sha256 = hashlib.sha256(content).hexdigest()
    return JsonResponse({"filename": file.name, "size": len(content), "sha256": sha256})


async def cookies(request: ASGIRequest) -> HttpResponse:
    visits = int(request.COOKIES.get("visits", "0"))
    response = JsonResponse({"visits": visits})
    response.set_cookie("visits", str(visits + 1), httponly=True)
    response.set_cookie("theme", "dark")
    return response


async def image(_request: ASGIRequest) -> HttpResponse:
    return HttpResponse(blue_square(), content_type="image/png")


async def stream(_request: ASGIRequest) -> Streaming:
    async def lines() -> AsyncIterator[str]:
        for number in range(5):
            yield f"line {number}\n"

    return Streaming(lines(), content_type="text/plain; charset=utf-8")


async def url(request: ASGIRequest) -> HttpResponse:
    absolute = request.build_absolute_uri(reverse("read_item", kwargs={"name": "tea"}))
    return JsonResponse({"url": absolute})


async def boom(_request: ASGIRequest) -> HttpResponse:
    raise RuntimeError("this route always fails")


async def events(request: ASGIRequest) -> HttpResponse:
    """Take what is not a request (SQS, S3, a schedule, …): the JSON goes back to Lambda."""
    penstock = request.scope.get("extensions", {}).get("penstock", {})
    if penstock.get("event_source") != "event":  # an HTTP client must not pose as Lambda
        raise Http404
    event = json.loads(request.body)
    bad = [r["messageId"] for r in event.get("Records", []) if "bad" in r.get("body", "")]
    return JsonResponse({"batchItemFailures": [{"itemIdentifier": item} for item in bad]})


def blue_square(side: int = 8) -> bytes:
    """Return a PNG of one colour, as an example of an answer that is not text."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">2I5B", side, side, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\x1e\x90\xff" * side) * side
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


urlpatterns = [
    path("", hello),
    path("items/<name>", read_item, name="read_item"),
    path("items", create_item),
    path("upload", upload),
    path("cookies", cookies),
    path("image", image),
    path("stream", stream),
    path("url", url),
    path("boom", boom),
    path("events", events),
]

app = get_asgi_application()

handler = LambdaAdapter(app, events_path="/events")
