"""What importing penstock.handler costs and does, each time in a Python process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

BASE = "import asyncio, json, logging, sys\nbefore = set(sys.modules)\n"
OURS = """
from penstock.handler import ASGIHandler, HttpResponse, path
async def view(request): return HttpResponse(request.body)
app = ASGIHandler([path("", view)])
"""
STARLETTE = """
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
async def view(request): return Response(await request.body())
app = Starlette(routes=[Route("/", view)])
"""
CALL = """
async def receive(): return {"type": "http.request", "body": b"x"}
async def send(message): pass
scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"host", b"x")],
         "query_string": b"a=1", "http_version": "1.1", "server": ("x", 80), "root_path": ""}
asyncio.run(app(scope, receive, send))
"""
PRINT = "print(json.dumps(sorted(set(sys.modules) - before)))"
NEVER = {
    "boto3",
    "django",
    "multipart",
    "python_multipart",
    "mimetypes",
    "tempfile",
    "email",
    "http",
    "http.client",
    "http.cookies",
    "urllib.parse",
    "dataclasses",
    "typing_extensions",
    "uuid",
    "datetime",
    "penstock.adapter",
    "penstock.infra",
    "penstock.handler.batteries",
    "penstock.handler.compression",
    "penstock.handler.datastructures",
    "penstock.handler.files",
    "penstock.handler.forms",
    "penstock.handler.json_response",
    "penstock.handler.lifespan",
    "penstock.handler.streaming",
    "penstock.handler.testing",
    "penstock.handler.websockets",
}


def modules(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BASE + code + PRINT],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    names: list[str] = json.loads(done.stdout)
    return set(names)


@pytest.mark.conformance("C189")
@pytest.mark.parametrize("code", [OURS, OURS + CALL])
def test_nothing_is_imported_before_it_is_needed(code: str) -> None:
    names = modules(code)
    assert "penstock.handler.asgi" in names
    assert set() == NEVER & names


@pytest.mark.conformance("C190")
@pytest.mark.parametrize("call", ["", CALL])
def test_there_are_fewer_modules_than_in_the_smallest_framework(call: str) -> None:
    assert len(modules(OURS + call)) < 0.7 * len(modules(STARLETTE + call))


def test_every_public_name_is_there_and_the_list_is_sorted() -> None:
    import penstock.handler

    names: list[str] = penstock.handler.__all__
    assert sorted(names) == names
    found: dict[str, Any] = {name: getattr(penstock.handler, name) for name in names}
    assert set() == {name for name, value in found.items() if type(value).__name__ == "module"}
    assert set(names) <= set(dir(penstock.handler))
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = penstock.handler.nothing_like_it
