"""What a first request costs in a fresh process, by framework: ``handler_imports.py FRAMEWORK``.

Prints modules, milliseconds of the import with the application made, and of its first request; all
on top of asyncio, json and logging. FRAMEWORK is penstock, starlette, falcon, fastapi, litestar,
quart or django.
"""

from __future__ import annotations

import asyncio
import json  # noqa: F401 - before the clock starts
import logging
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def penstock() -> Any:
    from penstock.handler import ASGIHandler, HttpResponse, path

    async def view(request: Any) -> HttpResponse:
        return HttpResponse("hello")

    return ASGIHandler([path("hello", view)])


def starlette() -> Any:
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def view(request: Any) -> PlainTextResponse:
        return PlainTextResponse("hello")

    return Starlette(routes=[Route("/hello", view)])


def falcon() -> Any:
    import falcon.asgi

    class Resource:
        async def on_get(self, req: Any, resp: Any) -> None:
            resp.text = "hello"

    app = falcon.asgi.App()
    app.add_route("/hello", Resource())
    return app


def fastapi() -> Any:
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/hello")
    async def view() -> str:
        return "hello"

    return app


def litestar() -> Any:
    from litestar import Litestar, get

    @get("/hello")
    async def view() -> str:
        return "hello"

    return Litestar([view])


def quart() -> Any:
    from quart import Quart

    app = Quart("hello")

    @app.get("/hello")
    async def view() -> str:
        return "hello"

    return app


def django() -> Any:
    import django as package
    from django.conf import settings

    settings.configure(ROOT_URLCONF=__name__, MIDDLEWARE=[], ALLOWED_HOSTS=["*"])
    package.setup()
    from django.core.handlers.asgi import ASGIHandler
    from django.http import HttpResponse
    from django.urls import path

    async def view(request: Any) -> HttpResponse:
        return HttpResponse("hello")

    globals()["urlpatterns"] = [path("hello", view)]
    return ASGIHandler()


async def request(app: Any) -> list[Any]:
    sent: list[Any] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": "/hello",
        "raw_path": b"/hello",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"shop.example.com"), (b"accept", b"*/*")],
        "server": ("shop.example.com", 443),
        "client": ("192.0.2.7", 4711),
    }
    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        if messages:
            return messages.pop()
        return await asyncio.get_running_loop().create_future()

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


def main() -> None:
    logging.disable()
    before = len(sys.modules)
    began = time.perf_counter()
    app = globals()[sys.argv[1]]()
    imported = time.perf_counter()
    sent = asyncio.run(request(app))
    answered = time.perf_counter()
    assert sent[0]["status"] == 200, sent
    modules = len(sys.modules) - before
    print(modules, (imported - began) * 1e3, (answered - imported) * 1e3)


if __name__ == "__main__":
    main()
