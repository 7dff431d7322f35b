"""Time requests through penstock.handler, Starlette and Django in one process; JSON on stdout.

All get the same scope and messages, and answer the same text. They take turns, in batches that last
equally long, so whatever slows the machine down for a while slows all; a ratio is the median of the
ratios of such rounds, a time the best of its batches. The clock is wall time, because work in
threads costs more than the CPU time of its calls.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from statistics import median
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from penstock.handler import ASGIHandler, HttpResponse, MiddlewareMixin, path

ROUNDS, QUICK_ROUNDS = 301, 81
BATCH_SECONDS = 0.005
WARM_UP = 60  # requests
HEADERS = [
    (b"host", b"shop.example.com"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) Chrome/138.0.0.0"),
    (b"accept", b"application/json, text/plain, */*"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"cookie", b"session=0c7ae1b2d4f94e5f8f3a; theme=dark"),
]


# The same three middlewares, as each framework would have them: a header on the way out.


def layer(number: int) -> Any:
    def factory(get_response: Any) -> Any:
        async def middleware(request: Any) -> Any:
            response = await get_response(request)
            response[f"X-Layer-{number}"] = "1"
            return response

        return middleware

    factory.sync_capable, factory.async_capable = False, True  # type: ignore[attr-defined]
    factory.__qualname__ = f"layer_{number}"
    return factory


layer_1, layer_2, layer_3 = layer(1), layer(2), layer(3)


def starlette_layer(number: int) -> Any:
    class Layer(BaseHTTPMiddleware):
        async def dispatch(self, request: Any, call_next: Any) -> Any:
            response = await call_next(request)
            response.headers[f"x-layer-{number}"] = "1"
            return response

    return Middleware(Layer)


def mixin(base: type) -> Any:
    class Hooks(base):  # type: ignore[misc]
        def process_request(self, request: Any) -> None:
            pass

        def process_response(self, request: Any, response: Any) -> Any:
            response["X-Hook"] = "1"
            return response

    return Hooks


OurHooks = mixin(MiddlewareMixin)


def django_hooks(get_response: Any) -> Any:
    from django.utils.deprecation import MiddlewareMixin as DjangoMixin

    return mixin(DjangoMixin)(get_response)


django_hooks.async_capable = True  # type: ignore[attr-defined]


async def ours(request: Any) -> HttpResponse:
    return HttpResponse("hello")


def ours_sync(request: Any) -> HttpResponse:
    return HttpResponse("hello")


async def starlettes(request: Any) -> PlainTextResponse:
    return PlainTextResponse("hello")


def starlettes_sync(request: Any) -> PlainTextResponse:
    return PlainTextResponse("hello")


urlpatterns: list[Any] = []


def configure_django() -> None:
    """Import Django only now: with it in the process, our handlers would send its signals, too."""
    import django
    from django.conf import settings
    from django.http import HttpResponse
    from django.urls import path

    async def view(request: Any) -> Any:
        return HttpResponse("hello")

    def sync_view(request: Any) -> Any:
        return HttpResponse("hello")

    urlpatterns[:] = [path("async", view), path("sync", sync_view)]
    settings.configure(ROOT_URLCONF=__name__, MIDDLEWARE=[], ALLOWED_HOSTS=["*"])
    django.setup()


def django_app(middleware: list[str]) -> Any:
    from django.conf import settings
    from django.core.handlers.asgi import ASGIHandler as DjangoHandler

    settings.MIDDLEWARE = middleware
    return DjangoHandler()


def applications() -> dict[str, dict[str, tuple[Any, str]]]:
    """By case and contestant: the application, and the path that is asked for."""
    names = [f"{__name__}.layer_{number}" for number in (1, 2, 3)]
    routes = [path("async", ours), path("sync", ours_sync)]
    theirs = [Route("/async", starlettes), Route("/sync", starlettes_sync)]
    bare = {"penstock": ASGIHandler(routes), "starlette": Starlette(routes=theirs)}
    layered = ASGIHandler(routes, middleware=[layer_1, layer_2, layer_3])
    mixed = ASGIHandler(routes, middleware=[OurHooks] * 7)
    configure_django()
    return {
        "async view": {
            "penstock": (bare["penstock"], "/async"),
            "starlette": (bare["starlette"], "/async"),
            "django": (django_app([]), "/async"),
        },
        "async view, no disconnects": {"penstock": (bare["penstock"], "/async#quiet")},
        "async view, 3 middlewares": {
            "penstock": (layered, "/async"),
            "starlette": (
                Starlette(routes=theirs, middleware=[starlette_layer(n) for n in (1, 2, 3)]),
                "/async",
            ),
            "django": (django_app(names), "/async"),
        },
        "sync view": {
            "penstock": (bare["penstock"], "/sync"),
            "starlette": (bare["starlette"], "/sync"),
            "django": (django_app([]), "/sync"),
        },
        "sync view, no disconnects": {
            "penstock": (bare["penstock"], "/sync#quiet"),
            "starlette": (bare["starlette"], "/sync"),
        },
        "async view, 7 mixins": {
            "penstock": (mixed, "/async"),
            "django": (django_app([f"{__name__}.django_hooks"] * 7), "/async"),
        },
    }


async def request(app: Any, target: str) -> None:
    """One request; the client stays until it has its answer."""
    target, _, quiet = target.partition("#")
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": target,
        "raw_path": target.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": HEADERS,
        "server": ("shop.example.com", 443),
        "client": ("192.0.2.7", 4711),
        "extensions": {"penstock": {"no_disconnect": True}} if quiet else {},
    }
    received = False

    async def receive() -> Any:
        nonlocal received
        if received:
            await asyncio.get_running_loop().create_future()
        received = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        pass

    await app(scope, receive, send)


async def seconds(contestant: tuple[Any, str], count: int) -> float:
    """How long one of so many requests takes, one after the other."""
    app, target = contestant
    began = time.perf_counter()
    for _ in range(count):
        await request(app, target)
    return (time.perf_counter() - began) / count


async def batch_size(contestant: tuple[Any, str]) -> int:
    await seconds(contestant, WARM_UP)
    typical = median([await seconds(contestant, 1) for _ in range(WARM_UP)])
    return max(1, round(BATCH_SECONDS / typical))


async def measure(rounds: int) -> list[dict[str, Any]]:
    rows = []
    for case, contestants in applications().items():
        samples: dict[str, list[float]] = {name: [] for name in contestants}
        sizes = {name: await batch_size(contestants[name]) for name in contestants}
        for number in range(rounds):
            for name in sorted(contestants, reverse=bool(number % 2)):
                samples[name].append(await seconds(contestants[name], sizes[name]) * 1e6)
        row: dict[str, Any] = {"case": case}
        for name, times in samples.items():
            row[f"{name}_us"] = min(times)
            if name != "penstock":
                pairs = zip(samples["penstock"], times, strict=True)
                row[f"to_{name}"] = median(mine / other for mine, other in pairs)
        rows.append(row)
    return rows


def main() -> None:
    logging.disable()
    sys.modules.setdefault("handler_requests", sys.modules[__name__])
    rounds = QUICK_ROUNDS if "--quick" in sys.argv else ROUNDS
    print(json.dumps(asyncio.run(measure(rounds))))


if __name__ == "__main__":
    main()
