"""Faults on demand: each is met once, at its place, and costs one invocation at most."""

from __future__ import annotations

import asyncio

import pytest
from wire import NEXT, RUNTIME, STREAM, Wire, chunk, error, response

from penstock.infra.runtime_api import (
    Close,
    FunctionFailed,
    Hold,
    LocalRuntimeAPI,
    Raw,
    Reset,
    Status,
)


@pytest.mark.parametrize("status", [400, 403, 410, 413, 500, 503])
@pytest.mark.parametrize("early", [False, True])
async def test_a_post_can_be_refused_with_any_status(status: int, early: bool) -> None:
    async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
        pending = api.start({}, request_id="r-1")
        await wire.get(NEXT)
        api.inject("response", Status(status, "Made.Up", early=early))
        reply = await wire.post(response("r-1"), b"1")
        assert (status, "Made.Up") == (reply.status, reply.json()["errorType"])
        with pytest.raises(FunctionFailed, match="was refused"):
            await pending.result()
        again = api.start({})
        await wire.get(NEXT)
        assert (await wire.post(response(again.request_id), b"2")).status == 202


async def test_an_early_refusal_comes_before_the_body() -> None:
    async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
        api.start({}, request_id="r-1", streaming=True)
        await wire.get(NEXT)
        api.inject("response", Status(403, early=True))
        await wire.send("POST", response("r-1"), chunk(b"x" * 1_000_000), STREAM)
        assert (await wire.read_reply()).status == 403
        assert await wire.ends() == b""


@pytest.mark.parametrize("place", ["next", "init/error", "restore/next", "extension/register"])
async def test_other_places_can_answer_with_a_status(place: str) -> None:
    paths = {
        "next": ("GET", NEXT),
        "init/error": ("POST", f"{RUNTIME}/init/error"),
        "restore/next": ("GET", f"{RUNTIME}/restore/next"),
        "extension/register": ("POST", "/2020-01-01/extension/register"),
    }
    async with LocalRuntimeAPI(snap_start=True) as api, Wire(api.address) as wire:
        api.inject(place, Status(500), times=2)  # type: ignore[arg-type]
        assert [500, 500] == [(await wire.request(*paths[place])).status for _ in range(2)]


async def test_the_event_can_break_off_in_its_middle() -> None:
    async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
        pending = api.start(payload=b"x" * 100_000)
        injection = api.inject("next", Close(after_bytes=5000))
        await wire.send("GET", NEXT)
        assert (await wire.ends()).count(b"x") == 5000
        await injection.reached()
        async with Wire(api.address) as fresh:
            reply = await fresh.get(NEXT)
            assert len(reply.body) == 100_000
            await fresh.post(response(pending.request_id), b"1")
            assert await pending.result() == 1


@pytest.mark.parametrize("fault", [Reset(), Reset(after_bytes=100)])
async def test_the_event_can_end_in_a_reset(fault: Reset) -> None:
    async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
        api.start(payload=b"x" * 1000)
        api.inject("next", fault)
        await wire.send("GET", NEXT)
        assert await wire.is_reset()


async def test_a_parked_request_can_be_reset() -> None:
    async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
        await wire.send("GET", NEXT)
        await api.ready()
        api.drop_connections()
        assert await wire.is_reset()
        async with Wire(api.address) as fresh:
            pending = api.start("tea")
            assert (await fresh.get(NEXT)).json() == "tea"
            await fresh.post(response(pending.request_id), b"1")
            assert await pending.result() == 1


@pytest.mark.parametrize("fault", [Reset(after_bytes=70_000), Close(after_bytes=70_000)])
async def test_a_stream_can_be_cut_while_it_is_posted(fault: Reset | Close) -> None:
    async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
        pending = api.start({}, request_id="r-1", streaming=True)
        await wire.get(NEXT)
        injection = api.inject("response", fault)
        await wire.send("POST", response("r-1"), chunk(b"x" * 65536), STREAM)
        assert len(await anext(pending.chunks())) > 0
        await wire.write(chunk(b"x" * 65536))
        await injection.reached()
        with pytest.raises(FunctionFailed, match=r"Runtime\.TruncatedResponse"):
            await pending.payload()
        assert await wire.ends() == b""


async def test_a_slow_reader_stops_in_the_middle_of_a_stream_until_released() -> None:
    async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
        pending = api.start({}, request_id="r-1", streaming=True)
        await wire.get(NEXT)
        hold = api.inject("response", Hold(after_bytes=1000))
        await wire.send("POST", response("r-1"), chunk(b"x" * 1000), STREAM)
        await hold.reached()
        chunks = pending.chunks()
        first = asyncio.ensure_future(anext(chunks))
        await wire.write(b"0\r\n\r\n")
        assert not first.done()
        hold.release()
        assert await first == b"x" * 1000
        assert (await wire.read_reply()).status == 202


async def test_a_slow_answer_can_be_released_by_the_clock() -> None:
    async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
        pending = api.start({}, request_id="r-1")
        await wire.get(NEXT)
        api.inject("error", Hold(seconds=0.01))
        assert (await wire.post(error("r-1"), b"{}")).status == 202
        with pytest.raises(FunctionFailed):
            await pending.result()


async def test_an_answer_can_be_no_http_at_all() -> None:
    async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
        api.inject("next", Raw(b"SSH-2.0-tea\r\n"))
        await wire.send("GET", NEXT)
        assert await wire.ends() == b"SSH-2.0-tea\r\n"


async def test_connections_can_be_refused_and_the_port_comes_back() -> None:
    async with LocalRuntimeAPI() as api:
        async with Wire(api.address) as wire, api.refusing_connections():
            assert await wire.is_reset()
            with pytest.raises(ConnectionRefusedError):
                await Wire(api.address).__aenter__()
        async with Wire(api.address) as wire:
            assert (await wire.get("/2018-06-01/ping")).status == 200
