"""Applications that put something else in the place of stdout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from penstock.infra.runtime_api import FunctionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from penstock.infra.runtime_api import LocalRuntimeAPI

    Run = Callable[[Coroutine[Any, Any, None]], None]
    Serve = Callable[..., LocalRuntimeAPI]

CODE = """
import logging, os, sys

class Broken:
    def write(self, text):
        raise LookupError("no such log")
    flush = close = write

def app(event, context):
    if event == "pid":
        return os.getpid()
    if event == "closed":
        sys.stdout.close()
    else:
        sys.stdout = {"none": None, "broken": Broken()}[event]
    logging.error("nobody reads this")
    raise ValueError(event)
"""


@pytest.mark.parametrize("stream", ["none", "broken", "closed"])
@pytest.mark.parametrize("framed_log", [False, True], ids=["stdout", "frames"])
def test_errors_are_reported_and_the_process_goes_on(
    stream: str, framed_log: bool, serve: Serve, run: Run, slots: int | None
) -> None:
    async def main() -> None:
        async with serve(CODE, concurrency=slots, framed_log=framed_log) as api:
            before = await api.invoke("pid")
            with pytest.raises(FunctionFailed) as raised:
                await api.invoke(stream)
            assert stream == raised.value.error.json()["errorMessage"]
            assert before == await api.invoke("pid")

    run(main())
