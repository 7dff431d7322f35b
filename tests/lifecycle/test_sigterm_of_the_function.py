"""SIGTERM and the function: a handler of its own, and processes that it forks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from penstock.infra.runtime_api import LocalRuntimeAPI

    Run = Callable[[Coroutine[Any, Any, None]], None]
    Make = Callable[..., LocalRuntimeAPI]

HTTP = {"httpMethod": "GET", "path": "/", "requestContext": {}}
LIFESPAN = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("closing the pool")
        await send({"type": "lifespan.shutdown.complete"})
        return
    answer = repr(answer_it()).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": answer})
"""
FORKS = (
    """
import multiprocessing, time

def answer_it():
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    process.start()
    process.terminate()
    process.join(10)
    return process.exitcode
"""
    + LIFESPAN
)
BLOCKS = (
    """
import multiprocessing, signal, threading

def answer_it():
    found = []

    def fork():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        process = multiprocessing.get_context("fork").Process(target=int)
        process.start()
        process.join()
        found.append(signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ()))

    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
    return found
"""
    + LIFESPAN
)
HANDLES = """
import signal

def answer_it(): ...

def say_bye(number, frame):
    print("bye", signal.Signals(number).name)
    {end}

signal.signal(signal.SIGTERM, say_bye)
""" + LIFESPAN.replace("{", "{{").replace("}", "}}")


@pytest.mark.parametrize("concurrency", [None, 3], ids=["one slot", "three slots"])
def test_it_ends_a_forked_process_and_only_that(
    concurrency: int | None, make_api: Make, run: Run
) -> None:
    async def main() -> None:
        async with make_api(FORKS, concurrency=concurrency) as api:
            assert "-15" == (await api.invoke(HTTP))["body"]
            assert "-15" == (await api.invoke(HTTP))["body"]
            await api.ready()
            await api.shut_down()
            assert 1 == api.log.text.count("closing the pool")
            assert "the runtime is killed" not in api.log.text

    run(main())


def test_a_thread_that_has_blocked_it_has_it_blocked_after_a_fork(make_api: Make, run: Run) -> None:
    async def main() -> None:
        async with make_api(BLOCKS) as api:
            assert "[True]" == (await api.invoke(HTTP))["body"]

    run(main())


@pytest.mark.parametrize(
    ("end", "said"),
    [("...", ""), ("raise SystemExit(3)", ""), ("raise OSError('no pool')", "OSError: no pool")],
)
def test_the_functions_own_handler_comes_behind_the_shutdown(
    end: str, said: str, command: list[str], make_api: Make, run: Run
) -> None:
    async def main() -> None:
        async with make_api(HANDLES.format(end=end), command) as api:
            await api.ready()
            await api.shut_down()
            text = api.log.text
            assert text.index("closing the pool") < text.index("bye SIGTERM")
            assert said in text
            assert ("failed" in text) == (said != "")
            assert "the runtime is killed" not in text

    run(main())
