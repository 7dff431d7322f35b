"""Streamed answers: chunk by chunk, with trailers, with backpressure, cut short."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from wire import NEXT, RUNTIME, STREAM, Wire, chunk, response

from penstock.infra.runtime_api import FunctionFailed, LocalRuntimeAPI, Pending

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PRELUDE = b'{"statusCode":200}' + b"\0" * 8
TYPE = STREAM["Content-Type"]


@asynccontextmanager
async def streaming(**options: Any) -> AsyncIterator[tuple[LocalRuntimeAPI, Wire, Pending]]:
    """A runtime that has sent the head of its streamed answer."""
    async with LocalRuntimeAPI(**options) as api, Wire(api.address) as wire:
        pending = api.start({}, request_id="r-1", streaming=True)
        await wire.get(NEXT)
        await wire.send("POST", response("r-1"), b"", STREAM)
        await pending.begun()
        yield api, wire, pending


def trailers(error_type: str, body: bytes) -> bytes:
    lines = {
        "Lambda-Runtime-Function-Error-Type": error_type,
        "Lambda-Runtime-Function-Error-Body": base64.b64encode(body).decode(),
    }
    return b"0\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()).encode() + b"\r\n"


async def test_each_chunk_is_there_before_the_next_is_sent() -> None:
    async with streaming() as (_, wire, pending):
        assert (TYPE, True) == (pending.content_type, pending.is_streamed)
        chunks = pending.chunks()
        for piece in (PRELUDE, b"a", b"b" * 100_000):
            await wire.write(chunk(piece))
            received = b""
            while len(received) < len(piece):
                received += await anext(chunks)
            assert received == piece
        await wire.write(b"0\r\n\r\n")
        assert [] == [rest async for rest in chunks]
        assert (await wire.read_reply()).status == 202
        assert pending.error is None


async def test_an_error_in_mid_stream_comes_in_the_trailers() -> None:
    async with streaming() as (_, wire, pending):
        body = json.dumps({"errorType": "NoTea", "errorMessage": "none left"}).encode()
        await wire.write(chunk(PRELUDE) + chunk(b"part") + trailers("Function.NoTea", body))
        received: list[bytes] = []
        chunks = pending.chunks()
        while b"".join(received) != PRELUDE + b"part":
            received.append(await anext(chunks))
        with pytest.raises(FunctionFailed) as failed:
            await anext(chunks)
        assert ("Function.NoTea", body) == (failed.value.error.error_type, failed.value.error.body)
        assert (await wire.read_reply()).status == 202


@pytest.mark.parametrize("error_type", ["Error", "unhandled"])
async def test_an_odd_type_in_the_trailers_is_not_kept(error_type: str) -> None:
    async with streaming() as (_, wire, pending):
        await wire.write(trailers(error_type, b"{}"))
        with pytest.raises(FunctionFailed, match=r"Runtime\.Unknown"):
            await pending.payload()


async def test_a_trailer_that_is_not_base64_is_taken_as_it_is() -> None:
    async with streaming() as (_, wire, pending):
        await wire.write(b"0\r\nLambda-Runtime-Function-Error-Body: {no}\r\n\r\n")
        with pytest.raises(FunctionFailed) as failed:
            await pending.payload()
        assert failed.value.error.body == b"{no}"


async def test_a_stream_that_breaks_off_is_truncated() -> None:
    async with streaming() as (api, wire, pending):
        await wire.write(chunk(PRELUDE))
        await wire.__aexit__()
        with pytest.raises(FunctionFailed, match=r"Runtime\.TruncatedResponse"):
            await pending.payload()
        async with Wire(api.address) as fresh:
            await fresh.send("GET", NEXT)
            await api.ready()


async def test_a_buffered_invocation_gets_a_stream_in_one_piece() -> None:
    async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
        pending = api.start({}, request_id="r-1")
        await wire.get(NEXT)
        body = chunk(PRELUDE) + chunk(b"body") + b"0\r\n\r\n"
        assert (await wire.post(response("r-1"), body, STREAM)).status == 202
        assert [PRELUDE + b"body"] == [piece async for piece in pending.chunks()]
        assert pending.is_streamed


async def test_a_streaming_invocation_gets_a_plain_answer_at_its_end() -> None:
    async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
        pending = api.start({}, request_id="r-1", streaming=True)
        await wire.get(NEXT)
        headers = {"Content-Type": "application/json"}
        await wire.post(response("r-1"), b'{"a":1}', headers)
        assert await pending.result() == {"a": 1}
        assert (pending.content_type, pending.is_streamed) == ("application/json", False)


async def test_a_buffered_invocation_takes_no_longer_a_stream_than_an_answer() -> None:
    async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
        pending = api.start({}, request_id="r-1")
        await wire.get(NEXT)
        await wire.send("POST", response("r-1"), chunk(b"x" * 6_291_557), STREAM)
        assert (await wire.read_reply()).status == 413
        with pytest.raises(FunctionFailed, match=r"Function\.ResponseSizeTooLarge"):
            await pending.payload()


async def test_a_stream_has_a_limit_of_its_own() -> None:
    async with streaming(stream_limit_bytes=1000) as (_, wire, pending):
        await wire.write(chunk(b"x" * 1000))
        assert await anext(pending.chunks()) == b"x" * 1000
        await wire.write(chunk(b"x"))
        with pytest.raises(FunctionFailed, match=r"Function\.ResponseSizeTooLarge"):
            await pending.payload()
        assert (await wire.read_reply()).status == 413


async def test_a_reader_that_is_behind_makes_the_runtime_wait() -> None:
    async with streaming() as (_, wire, pending):
        sent, size = 0, 1000

        async def send() -> None:
            nonlocal sent
            for _ in range(size):
                await wire.write(chunk(b"x" * 65536))
                sent += 1
            await wire.write(b"0\r\n\r\n")

        sending = asyncio.create_task(send())
        chunks = pending.chunks()
        received = len(await anext(chunks))
        seen, turns = -1, 0
        while turns < 1000:
            seen, turns = sent, turns + 1 if seen == sent else 0
            await asyncio.sleep(0)
        assert sent < size
        async for piece in chunks:
            received += len(piece)
        await sending
        assert received == size * 65536


async def test_a_caller_that_goes_away_does_not_stop_the_runtime() -> None:
    async with streaming() as (_, wire, pending):
        pending.abandon()
        for _ in range(100):
            await wire.write(chunk(b"x" * 65536))
        await wire.write(b"0\r\n\r\n")
        assert (await wire.read_reply()).status == 202


async def test_a_deadline_cuts_the_stream() -> None:
    async with streaming() as (_, wire, pending):
        await wire.write(chunk(PRELUDE))
        chunks = pending.chunks()
        assert await anext(chunks) == PRELUDE
        pending.expire()
        with pytest.raises(FunctionFailed, match=r"Sandbox\.Timedout"):
            await anext(chunks)
        assert await wire.ends() == b""


async def test_a_stream_without_a_body() -> None:
    async with streaming() as (_, wire, pending):
        await wire.write(b"0\r\n\r\n")
        assert (await wire.read_reply()).status == 202
        assert await pending.payload() == b""


async def test_what_is_no_chunk_truncates_the_stream() -> None:
    async with streaming() as (_, wire, pending):
        await wire.write(b"zz\r\n")
        assert (await wire.read_reply()).status == 400
        with pytest.raises(FunctionFailed, match=r"Runtime\.TruncatedResponse"):
            await pending.payload()


async def test_init_error_and_streams_do_not_mix() -> None:
    async with streaming() as (api, wire, _), Wire(api.address) as other:
        await wire.write(chunk(PRELUDE))
        assert (await other.post(f"{RUNTIME}/init/error", b"{}")).status == 403
