"""Answers that several endpoints give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from penstock.infra.runtime_api.connection import Connection
    from penstock.infra.runtime_api.environment import Environment
    from penstock.infra.runtime_api.refusals import Refusal
    from penstock.infra.runtime_api.request import Request

    Endpoint = Callable[[Request, Connection], Awaitable[None]]
    Routes = dict[str, tuple[str, str, Endpoint]]
    """Method, name for faults, and endpoint, by path."""


async def refuse(connection: Connection, refusal: Refusal) -> None:
    """Say no. Raises: ConnectionGone."""
    await connection.answer_json(refusal.status, refusal.body)


async def accept(connection: Connection) -> None:
    """Say that a post was taken. Raises: ConnectionGone."""
    await connection.answer_json(202, {"status": "OK"})


async def wait_for_event(
    environment: Environment, future: asyncio.Future[Any], connection: Connection
) -> Any:
    """Return what a request that waits is given; take it back when its connection ends first.

    Raises: ConnectionGone.
    """
    try:
        return await connection.wait_for(future)
    finally:
        environment.forget(connection)
