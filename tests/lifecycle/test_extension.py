"""The internal extension: for SIGTERM only, so whatever becomes of it, invocations go on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from runtime_process import TAKEN_OVER
from wire import Wire

from penstock.infra.runtime_api import Close, LocalRuntimeAPI, Reset, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., LocalRuntimeAPI]
    Run = Callable[..., None]

HTTP = {"httpMethod": "GET", "path": "/", "requestContext": {"stage": "prod"}}

APP = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("closing the pool")
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 204})
    await send({"type": "http.response.body"})
"""

PROCESS = "import os\nasync def app(event, context): return os.getpid()"

SLOTS = pytest.mark.parametrize("slots", [None, 3], ids=["one slot", "three slots"])


async def break_a_connection(api: LocalRuntimeAPI) -> None:
    """Return when a slot, or the only one, waits on another connection than before."""
    await api.ready()
    torn = api.inject("next", Reset())
    await api.invoke(None)
    await torn.reached()
    await api.ready()


def test_without_the_extension_lambda_kills(make_api: Make, run: Run) -> None:
    async def main() -> None:
        async with make_api(APP, environ={"PENSTOCK_EXTENSION": "0"}) as api:
            await api.ready()
            await api.shut_down()
            assert "closing the pool" not in api.log.text
            assert "the runtime is killed" in api.log.text

    run(main())


@pytest.mark.parametrize("fault", [Status(403), Status(500), Reset(), Close()])
def test_an_extension_that_is_refused_costs_the_shutdown_only(
    fault: Any, make_api: Make, run: Run
) -> None:
    async def main() -> None:
        api = make_api(APP)
        api.inject("extension/register", fault)
        async with api:
            assert 204 == (await api.invoke(HTTP))["statusCode"]
            assert 1 == api.log.text.count("going on without SIGTERM")

    run(main())


@SLOTS
def test_one_that_was_refused_does_not_wait_again(
    make_api: Make, run: Run, slots: int | None
) -> None:
    """The runtime, which has to connect anew, looks after the extension's connection as well."""

    async def main() -> None:
        api = make_api(PROCESS, concurrency=slots)
        api.inject("extension/register", Close())
        async with api:
            await api.ready()
            before = await api.invoke(1)
            await break_a_connection(api)
            assert await api.invoke(2) == before
            assert "going on without SIGTERM" in api.log.text

    run(main())


@SLOTS
def test_one_that_waits_goes_on_waiting_where_another_connection_breaks(
    make_api: Make, run: Run, slots: int | None
) -> None:
    """To Lambda, an extension whose connection ends may be one that has crashed."""

    async def main() -> None:
        async with make_api(PROCESS, concurrency=slots) as api:
            await api.ready()
            again = api.inject("extension/event/next", Status(500))
            await break_a_connection(api)
            assert 1 == again.times_left

    run(main())


def test_the_processes_of_awss_client_have_one_for_all(make_api: Make, run: Run) -> None:
    """The first one registers it, and the signal goes to the whole group."""

    async def main() -> None:
        async with make_api(PROCESS, TAKEN_OVER, concurrency=3) as api:
            await api.ready()
            await api.invoke(1)
            assert "going on without SIGTERM" not in api.log.text

    run(main())


@pytest.mark.parametrize(("status", "slots"), [(500, 3), (403, None)])
def test_any_other_refusal_is_a_warning(
    status: int, slots: int | None, make_api: Make, run: Run
) -> None:
    async def main() -> None:
        api = make_api(PROCESS, concurrency=slots)
        api.inject("extension/register", Status(status))
        async with api:
            await api.log.wait_for(f"extension not registered: status {status}")
            assert await api.invoke(1)

    run(main())


def test_beside_an_external_extension(make_api: Make, run: Run) -> None:
    """Then the runtime has 300 ms of two seconds."""

    async def main() -> None:
        async with make_api(APP, external_extensions=("agent",)) as api:
            agent = asyncio.create_task(play_extension(api, "agent"))
            await api.ready()
            await api.shut_down()
            assert "closing the pool" in api.log.text
            assert "SHUTDOWN" == (await agent)["eventType"]

    run(main())


async def play_extension(api: LocalRuntimeAPI, name: str) -> Any:
    """Register for SHUTDOWN, and return the event: as an agent in a process of its own does."""
    path = "/2020-01-01/extension"
    async with Wire(api.address) as wire:
        body = b'{"events":["SHUTDOWN"]}'
        registered = await wire.post(f"{path}/register", body, {"Lambda-Extension-Name": name})
        identifier = registered.headers["lambda-extension-identifier"]
        headers = {"Lambda-Extension-Identifier": identifier}
        return (await wire.get(f"{path}/event/next", headers)).json()
