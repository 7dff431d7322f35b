"""SIGTERM: the application's shutdown runs before the environment goes away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from penstock.infra.gateway import ClientRequest, make_event
from penstock.infra.runtime_api import Close, FunctionFailed, LocalRuntimeAPI, Reset, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., LocalRuntimeAPI]
    Run = Callable[..., None]

URL = make_event("function-url", ClientRequest("GET", "/stream"))
HTTP = {"httpMethod": "GET", "path": "/", "requestContext": {"stage": "prod"}}

APP = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("closing the pool")
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 204})
    if scope["path"] == "/stream":
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    if scope["path"] != "/":
        print("waiting")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            print("cancelled")
            raise
    await send({"type": "http.response.body"})
"""


def test_idle(command: list[str], make_api: Make, run: Run) -> None:
    async def main() -> None:
        async with make_api(APP, command) as api:
            assert 204 == (await api.invoke(HTTP))["statusCode"]
            await api.ready()
            await api.shut_down()
            assert "closing the pool" in api.log.text
            assert "the runtime is killed" not in api.log.text

    run(main())


def test_before_the_first_invocation(command: list[str], make_api: Make, run: Run) -> None:
    async def main() -> None:
        async with make_api(APP, command) as api:
            await api.ready()
            await api.shut_down()
            assert "closing the pool" in api.log.text

    run(main())


def test_in_flight(command: list[str], make_api: Make, run: Run) -> None:
    async def main() -> None:
        async with make_api(APP, command) as api:
            api.start({**HTTP, "path": "/wait"})
            await api.log.wait_for("waiting")
            await api.shut_down()
            assert "cancelled" in api.log.text
            assert "closing the pool" in api.log.text
            assert "the runtime is killed" not in api.log.text

    run(main())


def test_in_a_stream(command: list[str], make_api: Make, run: Run) -> None:
    """An error behind what the client has says that it is not all."""
    environ = {"PENSTOCK_INVOKE_MODE": "response_stream"}

    async def main() -> None:
        async with make_api(APP, command, environ=environ) as api:
            pending = api.start(URL, streaming=True)
            await api.log.wait_for("waiting")
            await api.shut_down()
            with pytest.raises(FunctionFailed) as raised:
                await pending.payload()
            assert raised.value.error.error_type.startswith("Function.")
            assert "the environment shuts down" in raised.value.error.json()["errorMessage"]
            assert "cancelled" in api.log.text
            assert "closing the pool" in api.log.text

    run(main())


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
            assert "going on without SIGTERM" in api.log.text

    run(main())


def test_beside_an_external_extension(make_api: Make, run: Run) -> None:
    """Then the runtime has 300 ms of two seconds."""

    async def main() -> None:
        async with make_api(APP, external_extensions=("agent",)) as api:
            agent = asyncio.create_task(play_extension(api, "agent"))
            await api.ready()
            await api.shut_down()
            assert "closing the pool" in api.log.text
            agent.cancel()

    run(main())


async def play_extension(api: LocalRuntimeAPI, name: str) -> None:
    """Register for SHUTDOWN and wait for it, as an agent in a process of its own does."""
    host, port = api.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = b'{"events":["SHUTDOWN"]}'
    writer.write(
        b"POST /2020-01-01/extension/register HTTP/1.1\r\nHost: x\r\nLambda-Extension-Name: "
        + name.encode()
        + b"\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    head = await reader.readuntil(b"\r\n\r\n")
    (identifier,) = (
        line.partition(b":")[2].strip()
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"lambda-extension-identifier:")
    )
    writer.write(
        b"GET /2020-01-01/extension/event/next HTTP/1.1\r\nHost: x\r\n"
        b"Lambda-Extension-Identifier: " + identifier + b"\r\n\r\n"
    )
    await reader.read()
