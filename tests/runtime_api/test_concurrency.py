"""Managed Instances: several invocations in one runtime."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from wire import NEXT, RUNTIME, STREAM, Wire, chunk, error, response

from penstock.infra.runtime_api import FunctionFailed, LocalRuntimeAPI, Reset

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SLOTS = 3


@asynccontextmanager
async def slots() -> AsyncIterator[tuple[LocalRuntimeAPI, list[Wire]]]:
    """A runtime with three requests for an event, each on a connection of its own."""
    async with LocalRuntimeAPI(concurrency=SLOTS) as api, AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(Wire(api.address)) for _ in range(SLOTS)]
        for wire in wires:
            await wire.send("GET", NEXT)
        await api.ready()
        yield api, wires


async def test_each_slot_gets_an_invocation_of_its_own_and_answers_in_any_order() -> None:
    async with slots() as (api, wires):
        pending = [api.start(number) for number in range(SLOTS)]
        events = [(await wire.read_reply()) for wire in wires]
        assert {reply.json() for reply in events} == set(range(SLOTS))
        for wire, reply in reversed(list(zip(wires, events, strict=True))):
            request_id = reply.headers["lambda-runtime-aws-request-id"]
            await wire.post(response(request_id), json.dumps(reply.json() * 10).encode())
        assert [await one.result() for one in pending] == [0, 10, 20]


async def test_one_more_invocation_than_slots_is_refused() -> None:
    async with slots() as (api, _):
        for number in range(SLOTS):
            api.start(number)
        with pytest.raises(FunctionFailed, match=r"Runtime\.Unavailable"):
            await api.invoke("one more")


async def test_it_can_wait_instead() -> None:
    async with (
        LocalRuntimeAPI(concurrency=1, refuse_when_busy=False) as api,
        Wire(api.address) as wire,
    ):
        await wire.send("GET", NEXT)
        await api.ready()
        first, second = api.start(1), api.start(2)
        assert (await wire.read_reply()).json() == 1
        await wire.post(response(first.request_id), b"1")
        assert (await wire.get(NEXT)).json() == 2
        await wire.post(response(second.request_id), b"2")
        assert [1, 2] == [await first.result(), await second.result()]


async def test_one_more_request_for_an_event_than_slots_is_refused() -> None:
    async with slots() as (api, _), Wire(api.address) as wire:
        reply = await wire.get(NEXT)
        assert (500, "InternalServerError") == (reply.status, reply.json()["errorType"])


async def test_a_connection_that_ends_frees_its_place() -> None:
    async with slots() as (api, wires):
        await wires[0].__aexit__()
        async with Wire(api.address) as other:
            await other.get("/2018-06-01/ping")
        api.start(1)
        api.start(2)
        assert {1, 2} == {(await wire.read_reply()).json() for wire in wires[1:]}
        with pytest.raises(FunctionFailed, match=r"Runtime\.Unavailable"):
            await api.invoke(3)


async def test_an_event_that_could_not_be_sent_fails_its_invocation() -> None:
    async with LocalRuntimeAPI(concurrency=1) as api, Wire(api.address) as wire:
        api.inject("next", Reset(after_bytes=10))
        pending = api.start("x" * 1000)
        await wire.send("GET", NEXT)
        with pytest.raises(FunctionFailed, match=r"Sandbox\.Failure"):
            await pending.result()


async def test_a_late_post_gets_a_410_once_and_the_others_go_on() -> None:
    async with slots() as (api, wires):
        late, other = api.start(1, request_id="late"), api.start(2)
        await wires[0].read_reply()
        await wires[1].read_reply()
        late.expire()
        with pytest.raises(FunctionFailed, match=r"Sandbox\.Timedout"):
            await late.result()
        reply = await wires[0].post(response("late"), b"1")
        assert (410, "InvokeTimeout") == (reply.status, reply.json()["errorType"])
        assert (await wires[0].post(error("late"), b"1")).status == 400
        await wires[1].post(response(other.request_id), b"2")
        assert await other.result() == 2


async def test_a_stream_that_is_too_late_is_cut() -> None:
    async with slots() as (api, wires):
        pending = api.start(1, request_id="late", streaming=True)
        await wires[0].read_reply()
        await wires[0].send("POST", response("late"), chunk(b"a"), STREAM)
        await pending.begun()
        pending.expire()
        assert await wires[0].ends() == b""
        with pytest.raises(FunctionFailed, match=r"Sandbox\.Timedout"):
            await pending.payload()
        async with Wire(api.address) as other:
            assert (await other.post(response("late"), b"1")).status == 410


async def test_a_second_answer_is_not_known() -> None:
    async with slots() as (api, wires):
        api.start(1, request_id="r-1")
        await wires[0].read_reply()
        assert (await wires[0].post(response("r-1"), b"1")).status == 202
        assert (await wires[0].post(response("r-1"), b"1")).status == 400


async def test_the_same_request_id_twice_at_once() -> None:
    async with slots() as (api, _):
        api.start(1, request_id="same")
        with pytest.raises(FunctionFailed, match=r"Client\.DuplicatedInvokeId"):
            await api.invoke(2, request_id="same")


async def test_a_wrong_response_mode_costs_one_invocation() -> None:
    async with slots() as (api, wires):
        pending = api.start(1, request_id="r-1")
        await wires[0].read_reply()
        headers = {"Lambda-Runtime-Function-Response-Mode": "Streaming"}
        assert (await wires[0].post(response("r-1"), b"1", headers)).status == 400
        with pytest.raises(FunctionFailed, match=r"Runtime\.InvalidResponseModeHeader"):
            await pending.result()
        await wires[0].send("GET", NEXT)
        await api.ready()


async def test_only_the_first_init_error_counts() -> None:
    async with LocalRuntimeAPI(concurrency=2) as api, Wire(api.address) as wire:
        assert (await wire.post(f"{RUNTIME}/init/error", b'{"n":1}')).status == 202
        assert (await wire.post(f"{RUNTIME}/init/error", b'{"n":2}')).status == 403
        assert api.init_error is not None
        assert api.init_error.json() == {"n": 1}


async def test_a_worker_that_fails_behind_the_others_costs_nobody_an_invocation() -> None:
    async with slots() as (api, wires), Wire(api.address) as failing:
        pending = api.start(1, request_id="r-1")
        await wires[0].read_reply()
        assert (await failing.post(f"{RUNTIME}/init/error", b"{}")).status == 202
        await wires[0].post(response("r-1"), b"1")
        assert await pending.result() == 1


@pytest.mark.parametrize("options", [{"concurrency": 0}, {"concurrency": 2, "snap_start": True}])
def test_functions_that_there_are_not(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        LocalRuntimeAPI(**options)


async def test_the_environment_says_how_many() -> None:
    async with LocalRuntimeAPI(concurrency=2) as api:
        assert {
            "AWS_LAMBDA_MAX_CONCURRENCY": "2",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "lambda-managed-instances",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
        }.items() <= api.environ.items()
