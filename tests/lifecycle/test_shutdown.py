"""SIGTERM: the application's shutdown runs before the environment goes away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from penstock.infra.gateway import ClientRequest, make_event
from penstock.infra.runtime_api import FunctionFailed, Hold, Reset

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.infra.runtime_api import LocalRuntimeAPI

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


ENDLESS = """
import asyncio
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

async def parts():
    for number in range(10_000):
        yield b"x"
        if number == 3:
            print("streaming")
        await asyncio.sleep(0.001)

async def view(request):
    return StreamingResponse(parts())

starlette = Starlette(routes=[Route("/stream", view)])

async def app(scope, receive, send):
    try:
        await starlette(scope, receive, send)
    except Exception as error:
        print("told:", error.__context__)
        raise
"""


def test_in_a_stream_that_goes_on(command: list[str], make_api: Make, run: Run) -> None:
    """Its next message is refused, with the reason; that this ends it is no error of its own."""
    environ = {"PENSTOCK_INVOKE_MODE": "response_stream", "PENSTOCK_LIFESPAN": "off"}

    async def main() -> None:
        async with make_api(ENDLESS, command, environ=environ) as api:
            pending = api.start(URL, streaming=True)
            await api.log.wait_for("streaming")
            await api.shut_down()
            with pytest.raises(FunctionFailed):
                await pending.payload()
            assert "told: the environment shuts down" in api.log.text
            assert "cut short, as the environment shuts down" in api.log.text
            assert "Traceback" not in api.log.text

    run(main())


STUBBORN = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.sleep(0.1)
        print("closing the pool")
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200})
    await ignore_the_end(send)

async def handler(event, context):
    await ignore_the_end(None)

async def ignore_the_end(send):
    print("begun", flush=True)
    while True:
        try:
            if send is not None:
                message = {"type": "http.response.body", "body": bytes(99_000), "more_body": True}
                await send(message)
            else:
                await asyncio.sleep(60)
        except OSError:
            print("nobody takes it", flush=True)
            send = None
        except asyncio.CancelledError:
            print("cancelled", flush=True)
"""


@pytest.mark.parametrize(
    ("slots", "processes"), [(None, 1), (3, 1), (4, 2)], ids=["one", "three", "two times two"]
)
@pytest.mark.parametrize("fault", [Hold(after_bytes=1000), Reset(after_bytes=1000)])
def test_a_stubborn_application_leaves_its_shutdown_time(
    make_api: Make, run: Run, fault: Any, slots: int | None, processes: int
) -> None:
    """It has a second where nobody takes its stream, but no longer than the environment."""
    environ = {"PENSTOCK_INVOKE_MODE": "response_stream", "PENSTOCK_PROCESSES": str(processes)}

    async def main() -> None:
        async with make_api(STUBBORN, environ=environ, concurrency=slots) as api:
            await api.ready()
            injection = api.inject("response", fault)
            api.start(URL, streaming=True)
            await injection.reached()
            await api.log.wait_for("begun")
            await api.shut_down()
            assert api.log.text.count("left behind, at") == 1
            assert api.log.text.count("closing the pool") == processes
            assert "the runtime is killed" not in api.log.text

    run(main())


@pytest.mark.parametrize("slots", [None, 3], ids=["one slot", "three slots"])
def test_a_stubborn_handler_is_left_behind(make_api: Make, run: Run, slots: int | None) -> None:
    environ = {"PENSTOCK_APP": "app:handler"}

    async def main() -> None:
        async with make_api(STUBBORN, environ=environ, concurrency=slots) as api:
            pending = api.start(None)
            await api.log.wait_for("begun")
            await api.shut_down()
            with pytest.raises(FunctionFailed, match="the environment shuts down"):
                await pending.result()
            assert "left behind, at" in api.log.text
            assert "the runtime is killed" not in api.log.text

    run(main())


def test_in_a_stream_of_one_of_several_slots(make_api: Make, run: Run) -> None:
    environ = {"PENSTOCK_INVOKE_MODE": "response_stream"}

    async def main() -> None:
        async with make_api(APP, environ=environ, concurrency=3) as api:
            pending = [api.start(URL, streaming=True) for _ in range(2)]
            await asyncio.gather(*(one.begun() for one in pending))
            await api.shut_down()
            for one in pending:
                with pytest.raises(FunctionFailed) as raised:
                    await one.payload()
                assert "the environment shuts down" in raised.value.error.json()["errorMessage"]
            assert api.log.text.count("cancelled") == 2
            assert "closing the pool" in api.log.text

    run(main())
