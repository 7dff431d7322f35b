"""What the endpoints at the Runtime API's address have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from penstock.infra.runtime_api.connection import Connection
    from penstock.infra.runtime_api.environment import Environment
    from penstock.infra.runtime_api.request import Request

    Routes = dict[str, "Route"]
    """Endpoints by path."""


class Route(NamedTuple):
    """One endpoint: its method, its place as faults name it, and what answers.

    ``answer`` raises Refused or BodyTooLarge for what it does not take, and ConnectionGone.
    """

    method: str
    place: str
    answer: Callable[[Request, Connection], Awaitable[None]]


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
