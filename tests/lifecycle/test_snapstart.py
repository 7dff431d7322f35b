"""SnapStart: hooks around the snapshot, and nothing that should be new is old after it."""

from __future__ import annotations

import ast
import time
from typing import TYPE_CHECKING

import pytest

from penstock.infra.runtime_api import FunctionFailed, LocalRuntimeAPI, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., LocalRuntimeAPI]
    Run = Callable[..., None]

HTTP = {"httpMethod": "GET", "path": "/", "requestContext": {"stage": "prod"}}

HOOKS = """
import asyncio, random
from snapshot_restore_py import register_after_restore, register_before_snapshot

happened = []
random.seed(7)
first = random.Random(7).random()

@register_before_snapshot
def before_one():
    happened.append("before one")

@register_before_snapshot
async def before_two():
    await asyncio.sleep(0)
    happened.append("before two")

@register_after_restore
def after_one():
    happened.append("after one")

@register_after_restore
async def after_two():
    await asyncio.sleep(0)
    happened.append("after two")

def app(event, context):
    return happened, random.random() == first
"""

LIFESPAN = """
happened = []

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        is_restored = "penstock_restored_at" in scope["state"]
        happened.append("start again" if is_restored else "start")
        scope["state"]["pool"] = len(happened)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        happened.append("stop")
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = repr((happened, scope["state"]["pool"])).encode()
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": body})
"""


@pytest.mark.parametrize("lose_sockets", [False, True])
def test_hooks_run_in_their_order_and_random_numbers_are_new(
    lose_sockets: bool, command: list[str], make_api: Make, run: Run
) -> None:
    async def main() -> None:
        async with make_api(HOOKS, command, snap_start=True) as api:
            await api.ready()
            await api.restore(lose_sockets=lose_sockets)
            happened, is_old = await api.invoke({})
            assert ["before two", "before one", "after one", "after two"] == happened
            assert not is_old

    run(main())


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("", "(['start'], 1)"),
        ("keep", "(['start'], 1)"),
        ("restart", "(['start', 'stop', 'start again'], 3)"),
    ],
)
def test_the_lifespan_is_kept_or_run_anew(
    mode: str, expected: str, command: list[str], make_api: Make, run: Run
) -> None:
    environ = {"PENSTOCK_SNAPSTART": mode} if mode else {}

    async def main() -> None:
        async with make_api(LIFESPAN, command, snap_start=True, environ=environ) as api:
            await api.ready()
            await api.restore()
            assert expected == (await api.invoke(HTTP))["body"]

    run(main())


@pytest.mark.parametrize("lifespan", ["auto", "off"])
def test_each_request_finds_the_time_of_the_restore(
    lifespan: str, command: list[str], make_api: Make, run: Run
) -> None:
    code = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    body = repr(scope["state"]).encode()
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": body})
"""
    environ = {"PENSTOCK_LIFESPAN": lifespan}

    async def main() -> None:
        async with make_api(code, command, snap_start=True, environ=environ) as api:
            await api.ready()
            before = time.time()
            await api.restore()
            for _ in range(2):
                state = ast.literal_eval((await api.invoke(HTTP))["body"])
                assert before <= state["penstock_restored_at"] <= time.time()

    run(main())


@pytest.mark.parametrize(
    ("hook", "kind", "status"),
    [
        ("register_before_snapshot", "Runtime.BeforeSnapshotError", 64),
        ("register_after_restore", "Runtime.AfterRestoreError", 65),
    ],
)
def test_a_hook_that_fails_is_reported(
    hook: str, kind: str, status: int, command: list[str], make_api: Make, run: Run
) -> None:
    code = f"""
from snapshot_restore_py import {hook}

@{hook}
def fail():
    raise OSError("the vault is away")

def app(event, context): ...
"""

    async def main() -> None:
        async with make_api(code, command, snap_start=True) as api:
            if hook == "register_after_restore":
                await api.ready()
                await api.restore()
            with pytest.raises(FunctionFailed) as raised:
                await api.invoke({})
            assert kind == raised.value.error.error_type
            assert "the vault is away" in raised.value.error.json()["errorMessage"]
            assert "OSError" == raised.value.error.json()["errorType"]
            await api.log.wait_for("the vault is away")

    run(main())


def test_without_a_restore_the_process_ends(command: list[str], make_api: Make, run: Run) -> None:
    async def main() -> None:
        api = make_api(HOOKS, command, snap_start=True)
        api.inject("restore/next", Status(500), times=9)
        async with api:
            with pytest.raises(FunctionFailed) as raised:
                await api.invoke({})
            assert "Runtime.BeforeSnapshotError" == raised.value.error.error_type
            assert "expected 200 from restore/next, got 500" in api.log.text

    run(main())


def test_a_mode_that_is_none_is_said_to_be_none(
    command: list[str], make_api: Make, run: Run
) -> None:
    environ = {"PENSTOCK_SNAPSTART": "sometimes"}

    async def main() -> None:
        async with make_api(HOOKS, command, snap_start=True, environ=environ) as api:
            with pytest.raises(FunctionFailed, match="expected keep or restart"):
                await api.invoke({})

    run(main())
