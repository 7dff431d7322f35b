"""What a process of the runtime has imported when its first answer has left."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from penstock.infra.gateway import ClientRequest, make_event
from penstock.infra.runtime_api import FunctionFailed, LocalRuntimeAPI

if TYPE_CHECKING:
    from pathlib import Path

APP = """
import sys

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"", "more_body": True})
    await send({"type": "http.response.body", "body": " ".join(sys.modules).encode()})
"""
BASE = "import asyncio, gc, json, logging, runpy, sys; print(*sys.modules)"
STREAM = {f"penstock.adapter.runtime.{name}" for name in ("connection", "stream")}
TLS = {"ssl", "_ssl", "asyncio.sslproto"}


def modules(folder: Path, source: str = "http-api", **environ: str) -> set[str]:
    """The modules of a runtime that answers its first request."""
    (folder / "app.py").write_text(APP)
    command = [sys.executable, "-m", "penstock.adapter.runtime", "app:app"]
    event = make_event(source, ClientRequest("GET", "/"))

    async def main() -> str:
        async with LocalRuntimeAPI(command, folder=folder, environ=environ) as api:
            if source != "http-api":
                return b"".join([part async for part in api.invoke_stream(event)]).decode()
            answer: str = (await api.invoke(event))["body"]
            return answer

    return set(asyncio.run(main()).rpartition("\0")[2].split())


def test_a_process_has_asyncio_json_logging_and_penstock(tmp_path: Path) -> None:
    base = subprocess.run(
        [sys.executable, "-c", BASE], capture_output=True, text=True, timeout=60, check=True
    )
    more = modules(tmp_path) - set(base.stdout.split()) - {"app"}
    assert {name for name in more if name.partition(".")[0] != "penstock"} == set()
    assert len(more) <= 40, json.dumps(sorted(more), indent=1)
    assert more.isdisjoint(STREAM)


def test_nothing_of_tls_is_imported_for_a_first_answer(tmp_path: Path) -> None:
    assert modules(tmp_path).isdisjoint(TLS)
    streamed = modules(tmp_path, "function-url", PENSTOCK_INVOKE_MODE="response_stream")
    assert streamed >= STREAM
    assert streamed.isdisjoint(TLS)


def test_streams_are_imported_by_the_first_of_them(tmp_path: Path) -> None:
    """A source that cannot stream has no need of them, whatever the setting."""
    assert modules(tmp_path, PENSTOCK_INVOKE_MODE="response_stream").isdisjoint(STREAM)


RESTORED = """
import sys
from snapshot_restore_py import register_after_restore

@register_after_restore
def remember():
    global there
    there = set(sys.modules)

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    body = " ".join(set(sys.modules) - there).encode()
    await send({"type": "http.response.body", "body": b"new:", "more_body": True})
    await send({"type": "http.response.body", "body": body})
"""


FAILS = """
import sys

def app(event, context):
    global there
    if event == "remember":
        there = set(sys.modules)
    if event == "fail":
        raise LookupError("no such table")
    return sorted(set(sys.modules) - there)
"""


def test_a_failure_imports_nothing_where_lambda_starts_ahead_of_the_requests(
    tmp_path: Path,
) -> None:
    (tmp_path / "app.py").write_text(FAILS)
    command = [sys.executable, "-m", "penstock.adapter.runtime", "app:app"]
    environ = {"AWS_LAMBDA_INITIALIZATION_TYPE": "provisioned-concurrency"}

    async def main() -> None:
        async with LocalRuntimeAPI(command, folder=tmp_path, environ=environ) as api:
            await api.invoke("remember")
            with pytest.raises(FunctionFailed, match="no such table"):
                await api.invoke("fail")
            assert await api.invoke("compare") == []

    asyncio.run(main())


@pytest.mark.parametrize("mode", ["buffered", "response_stream"])
@pytest.mark.parametrize("source", ["http-api", "rest-api", "function-url", "alb"])
def test_requests_after_a_restore_import_nothing(tmp_path: Path, source: str, mode: str) -> None:
    """Neither the first one up to its answer, nor what the answer has needed."""
    (tmp_path / "app.py").write_text(RESTORED)
    command = [sys.executable, "-m", "penstock.adapter.runtime", "app:app"]
    event = make_event(source, ClientRequest("GET", "/"))
    environ = {"PENSTOCK_INVOKE_MODE": mode, "PENSTOCK_LIFESPAN": "off"}

    async def main() -> list[bytes]:
        async with LocalRuntimeAPI(
            command, folder=tmp_path, environ=environ, snap_start=True
        ) as api:
            await api.ready()
            await api.restore()
            return [b"".join([part async for part in api.invoke_stream(event)]) for _ in range(2)]

    for answer in asyncio.run(main()):
        text = answer.rpartition(b"\0")[2].decode()
        body = text if text.startswith("new:") else json.loads(text)["body"]
        assert body == "new:"
