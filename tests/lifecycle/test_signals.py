"""Signals that come at the worst moment, and signals of the application's own."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from penstock.adapter.runtime.stop import StopSignal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from penstock.infra.runtime_api import LocalRuntimeAPI

    Make = Callable[..., LocalRuntimeAPI]
    Run = Callable[..., None]

HTTP = {"httpMethod": "GET", "path": "/", "requestContext": {"stage": "prod"}}
SLOTS = pytest.mark.parametrize("slots", [None, 3], ids=["one slot", "three slots"])

# Another thread gets the signal: no wait of the main thread is interrupted by it, just as if it had
# come between the interpreter's last look for signals and the wait.
ELSEWHERE = """
import signal, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
"""
HERE = "import signal\nsignal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})\n"

TO_WAIT_S = 0.2
"""From what is last heard of the main thread to its wait; were that longer, nothing would fail."""

APP = """
import asyncio, signal

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await started()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("closing the pool")
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/wait":
        print("waiting")
        await asyncio.sleep(60)
    await send({"type": "http.response.start", "status": 204})
    await send({"type": "http.response.body"})

async def started():
    pass

async def handler(event, context):
    print("waiting")
    await asyncio.sleep(60)
"""
HANDLER = 'signal.signal(signal.SIGUSR1, lambda *_: print("usr1", flush=True))\n'
LOOP_HANDLER = """
async def started():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, lambda: print("usr1", flush=True))
"""
FORMER_LOOP_HANDLER = f"{LOOP_HANDLER}    loop.remove_signal_handler(signal.SIGUSR1)\n    {HANDLER}"


@SLOTS
@pytest.mark.parametrize(
    "loop", ["", "import uvloop\nuvloop.install()\n"], ids=["asyncio", "uvloop"]
)
def test_sigterm_ends_a_wait_that_it_does_not_interrupt(
    make_api: Make, run: Run, slots: int | None, loop: str
) -> None:
    async def main() -> None:
        async with make_api(loop + ELSEWHERE + APP, concurrency=slots, shutdown_s=10) as api:
            assert (await api.invoke(HTTP))["statusCode"] == 204
            await api.ready()
            await asyncio.sleep(TO_WAIT_S)
            await api.shut_down()
            assert "closing the pool" in api.log.text
            assert "the runtime is killed" not in api.log.text

    run(main())


@SLOTS
@pytest.mark.parametrize("target", ["app", "handler"])
def test_sigterm_ends_what_is_under_way_and_is_not_interrupted(
    make_api: Make, run: Run, slots: int | None, target: str
) -> None:
    """An event loop waits, which has been there since init, or is made for the invocation."""
    environ = {"PENSTOCK_APP": f"app:{target}"}

    async def main() -> None:
        code = ELSEWHERE + APP
        async with make_api(code, concurrency=slots, environ=environ, shutdown_s=10) as api:
            api.start({**HTTP, "path": "/wait"}, timeout_s=60)
            await api.log.wait_for("waiting")
            await asyncio.sleep(TO_WAIT_S)
            await api.shut_down()
            assert "the runtime is killed" not in api.log.text

    run(main())


def test_sigterm_reaches_the_children_of_a_parent_that_it_does_not_interrupt(
    make_api: Make, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "start.py").write_text(
        f"{ELSEWHERE}\nimport runpy\n"
        "runpy.run_module('penstock.adapter.runtime', run_name='__main__')\n"
    )
    command = [sys.executable, "-W", "ignore", "start.py"]
    environ = {"PENSTOCK_PROCESSES": "2"}

    async def main() -> None:
        async with make_api(HERE + APP, command, environ=environ, concurrency=4) as api:
            await api.ready()
            await asyncio.sleep(TO_WAIT_S)
            assert api.pid is not None
            os.kill(api.pid, signal.SIGTERM)
            await api.log.wait_for("closing the pool")
            await api.shut_down()
            assert api.log.text.count("closing the pool") == 2

    run(main())


@SLOTS
@pytest.mark.parametrize(
    "code", [HANDLER, LOOP_HANDLER, FORMER_LOOP_HANDLER], ids=["plain", "of the loop", "removed"]
)
def test_signals_of_the_application_end_nothing(
    make_api: Make, run: Run, slots: int | None, code: str
) -> None:
    """They are handled, between two invocations too, and SIGTERM is afterwards."""

    async def main() -> None:
        async with make_api(APP + code, concurrency=slots, shutdown_s=10) as api:
            await api.ready()
            assert api.pid is not None
            os.kill(api.pid, signal.SIGUSR1)
            if code is not LOOP_HANDLER:  # which waits for the loop to run
                await api.log.wait_for("usr1")
            for _ in range(2):
                assert (await api.invoke(HTTP))["statusCode"] == 204
                await api.ready()
            await api.log.wait_for("usr1")
            if code is HANDLER:  # asyncio takes the wake-up for its own, and does not give it back
                os.kill(api.pid, signal.SIGUSR1)
            await api.shut_down()
            assert "closing the pool" in api.log.text
            assert "the runtime is killed" not in api.log.text

    run(main())


class TestStopSignal:
    @pytest.fixture
    def stop(self) -> Iterator[StopSignal]:
        """Installed in this process, with a handler of another signal beside it."""
        handlers = {
            number: signal.signal(number, lambda *_: None)
            for number in (signal.SIGTERM, signal.SIGUSR1)
        }
        stop = StopSignal()
        stop.install()
        yield stop
        stop.close()
        for number, handler in handlers.items():
            signal.signal(number, handler)

    def test_other_signals_are_taken_out_again(self, stop: StopSignal) -> None:
        for _ in range(100):
            signal.raise_signal(signal.SIGUSR1)
        assert is_readable(stop)
        stop.drain()
        assert not is_readable(stop)
        stop.drain()  # there may be nothing
        assert not stop.requested

    def test_other_signals_do_not_end_its_wait(self, stop: StopSignal) -> None:
        signal.raise_signal(signal.SIGUSR1)
        began = time.monotonic()
        assert not stop.wait(0.05)
        assert time.monotonic() - began >= 0.05

    def test_the_stop_ends_its_wait(self, stop: StopSignal) -> None:
        main = threading.main_thread().ident
        assert main is not None
        timer = threading.Timer(0.05, signal.pthread_kill, (main, signal.SIGTERM))
        timer.start()
        assert stop.wait(60)
        timer.join()
        assert stop.wait(60)

    def test_it_comes_through_where_no_other_signal_would(self, stop: StopSignal) -> None:
        writer = signal.set_wakeup_fd(-1)
        with suppress(BlockingIOError):
            while os.write(writer, bytes(4096)):
                pass
        signal.raise_signal(signal.SIGTERM)
        assert stop.requested
        assert is_readable(stop)

    def test_it_leaves_the_wake_up_of_an_event_loop_alone(self) -> None:
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        before = signal.getsignal(signal.SIGTERM)
        signal.set_wakeup_fd(writer)
        stop = StopSignal()
        stop.install()
        signal.raise_signal(signal.SIGTERM)
        assert is_readable(stop)
        assert signal.set_wakeup_fd(-1) == writer
        assert os.read(reader, 9) == bytes([signal.SIGTERM])
        stop.close()
        signal.signal(signal.SIGTERM, before)
        os.close(reader)
        os.close(writer)


def is_readable(stop: StopSignal) -> bool:
    return bool(select.select([stop.fd], (), (), 0)[0])
