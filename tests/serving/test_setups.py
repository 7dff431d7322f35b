"""Adapters that were set up by the function, under the runtime."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from penstock.infra.runtime_api import FunctionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from penstock.infra.runtime_api import LocalRuntimeAPI

    Run = Callable[[Coroutine[Any, Any, None]], None]
    Serve = Callable[..., LocalRuntimeAPI]
    Get = Callable[..., dict[str, Any]]

ASGI = """
import asyncio, os

async def asgi(scope, receive, send):
    print("scope", scope["type"], flush=True)
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/fail":
        raise ValueError("no such page")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"one ", "more_body": True})
    await send({"type": "http.response.body", "body": scope["path"].encode()})
    if scope["path"] == "/raise":
        raise ValueError
"""
FLUSHES = (
    ASGI
    + """
from penstock.adapter import LambdaAdapter

async def flush():
    while not os.path.exists("answer-seen"):
        await asyncio.sleep(0.01)
    print("flushed", flush=True)

app = LambdaAdapter(asgi, before_freeze=flush)
"""
)
FLUSH_FAILS = (
    ASGI
    + """
from penstock.adapter import LambdaAdapter

def flush():
    raise ConnectionError("no collector")

app = LambdaAdapter(asgi, before_freeze=flush)
"""
)
MANGUM = (
    ASGI
    + """
from penstock.adapter.mangum import Mangum

app = Mangum(asgi, api_gateway_base_path="/base")
"""
)
OWN_SOURCE = (
    ASGI
    + """
from penstock.adapter import EventSource, LambdaAdapter
from penstock.adapter.sources.payload_2 import FunctionURL

class Own(EventSource):
    name = "own"

    def matches(self, event, context):
        return "own" in event

    def read(self, event, settings):
        return {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
            "scheme": "https", "path": event["own"], "raw_path": b"", "query_string": b"",
            "root_path": "", "headers": [], "client": None, "server": None, "aws.event": event,
        }, b""

    def write(self, reply, scope, settings):
        return {"said": reply.body}

class OwnURL(FunctionURL):
    def read(self, event, settings):
        scope, body = super().read(event, settings)
        return {**scope, "path": "/mine"}, body

app = LambdaAdapter(asgi, sources=[Own(), OwnURL()])
"""
)
POLICY = """
import asyncio

class Policy(asyncio.DefaultEventLoopPolicy):
    pass

asyncio.set_event_loop_policy(Policy())
"""
UVLOOP = """
import uvloop

uvloop.install()
"""


@pytest.mark.parametrize("streams", [False, True])
def test_before_freeze_delays_no_answer_and_is_over_before_the_next_event(
    serve: Serve, run: Run, get: Get, tmp_path: Path, slots: int | None, streams: bool
) -> None:
    async def main() -> None:
        async with serve(FLUSHES, streams=streams, concurrency=slots) as api:
            pending = api.start(get("/"), streaming=streams)
            assert b"one /" in await pending.payload()
            assert "flushed" not in api.log.text
            (tmp_path / "answer-seen").touch()
            await pending.ended()
            await api.log.wait_for("flushed")

    run(main())


@pytest.mark.parametrize("streams", [False, True])
def test_before_freeze_delays_no_error(
    serve: Serve, run: Run, get: Get, tmp_path: Path, slots: int | None, streams: bool
) -> None:
    async def main() -> None:
        environ = {"PENSTOCK_RAISE_ERRORS": "1"}
        async with serve(FLUSHES, streams=streams, concurrency=slots, environ=environ) as api:
            pending = api.start(get("/fail"), streaming=streams, request_id="fails-1")
            with pytest.raises(FunctionFailed, match="ValueError"):
                await pending.payload()
            assert "flushed" not in api.log.text
            (tmp_path / "answer-seen").touch()
            await pending.ended()
            await api.log.wait_for("flushed")

    run(main())


def test_before_freeze_that_fails_is_logged(
    serve: Serve, run: Run, get: Get, slots: int | None
) -> None:
    async def main() -> None:
        async with serve(FLUSH_FAILS, concurrency=slots) as api:
            assert (await api.invoke(get("/")))["body"] == "one /"
            await api.log.wait_for("before_freeze failed")
            await api.log.wait_for("no collector")
            assert (await api.invoke(get("/")))["body"] == "one /"

    run(main())


def test_before_freeze_that_hangs_is_given_up_before_the_deadline(
    serve: Serve, run: Run, get: Get, tmp_path: Path, slots: int | None
) -> None:
    """What it waits for does not come in the first invocation, and is there in the second."""
    code = FLUSHES.replace("answer-seen", "collector")

    async def main() -> None:
        async with serve(code, concurrency=slots) as api:
            pending = api.start(get("/"), timeout_s=1, request_id="hangs-1")
            assert b"one /" in await pending.payload()
            await api.log.wait_for("request hangs-1: before_freeze failed")
            await pending.ended()
            assert "cancelled shortly before the deadline" in api.log.text
            (tmp_path / "collector").touch()
            await api.invoke(get("/"))
            await api.log.wait_for("flushed")
            assert api.log.text.count("scope lifespan") == 1  # it is the same process

    run(main())


@pytest.mark.parametrize("streams", [False, True])
def test_mangums_constructor(
    serve: Serve, run: Run, get: Get, slots: int | None, streams: bool
) -> None:
    async def main() -> None:
        async with serve(MANGUM, streams=streams, concurrency=slots) as api:
            payload = await api.start(get("/base/page"), streaming=streams).payload()
            assert b"one /page" in payload
            assert (bytes(8) in payload) is streams

    run(main())


@pytest.mark.parametrize("streams", [False, True])
def test_event_sources_of_the_function(
    serve: Serve, run: Run, get: Get, slots: int | None, streams: bool
) -> None:
    """One that says nothing of streams is answered whole; a heir of penstock's streams as well."""

    async def main() -> None:
        async with serve(OWN_SOURCE, streams=streams, concurrency=slots) as api:
            assert await api.invoke({"own": "/x"}) == {"said": "one /x"}
            payload = await api.start(get("/"), streaming=streams).payload()
            assert b"one /mine" in payload
            assert (bytes(8) in payload) is streams

    run(main())


@pytest.mark.parametrize(("lifespan", "runs"), [("auto", True), ("off", False)])
def test_the_lifespan_runs_if_it_is_on(
    serve: Serve, run: Run, get: Get, slots: int | None, lifespan: str, runs: bool
) -> None:
    code = ASGI.replace("asgi(", "app(")

    async def main() -> None:
        environ = {"PENSTOCK_LIFESPAN": lifespan}
        async with serve(code, concurrency=slots, environ=environ) as api:
            await api.invoke(get("/"))
            await api.log.wait_for("scope http")
            await api.shut_down()
            assert ("scope lifespan" in api.log.text) is runs

    run(main())


@pytest.mark.parametrize("loop", [POLICY, UVLOOP], ids=["policy", "uvloop"])
@pytest.mark.parametrize("streams", [False, True])
def test_event_loops_that_the_function_has_chosen(
    serve: Serve, run: Run, get: Get, slots: int | None, streams: bool, loop: str
) -> None:
    code = loop + ASGI.replace("asgi(", "app(")

    async def main() -> None:
        async with serve(code, streams=streams, concurrency=slots) as api:
            for path in ("/", "/raise", "/"):
                pending = api.start(get(path), streaming=streams)
                assert b"one " + path.encode() in await pending.payload()
                await pending.ended()
            await api.log.wait_for("ValueError")
            await api.shut_down()
            assert "the runtime is killed" not in api.log.text

    run(main())


def test_a_stream_that_the_setting_does_not_let_leave_is_one_json(
    serve: Serve, run: Run, get: Get, slots: int | None
) -> None:
    """``sam local`` takes no streams; its variable is the only thing that tells."""

    async def main() -> None:
        environ = {"AWS_SAM_LOCAL": "true", "AWS_LAMBDA_LOG_LEVEL": "INFO"}
        code = ASGI.replace("asgi(", "app(")
        async with serve(code, streams=True, concurrency=slots, environ=environ) as api:
            payload = await api.start(get("/")).payload()
            assert json.loads(payload)["body"] == "one /"
            await api.log.wait_for("sam local cannot stream")

    run(main())
