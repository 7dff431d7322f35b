"""Servers on loopback ports that hand every request to one handler."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from penstock.infra.runtime_api.connection import Connection
from penstock.infra.runtime_api.request import ConnectionGone, Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

HOST: Final = "127.0.0.1"


class Server:
    """Serves connections on a loopback port with one handler for every request."""

    def __init__(self, handle: Callable[[Request, Connection], Awaitable[None]]) -> None:
        self._handle = handle
        self._server: asyncio.Server | None = None
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self.port = 0

    async def start(self) -> None:
        """Listen on the port of the last time, at first on a free one.

        Raises: OSError.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self._begin), HOST, self.port, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def stop_listening(self) -> None:
        """Refuse new connections from now on; those that are open go on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def drop_connections(self, *, but: object = None) -> None:
        """Reset every open connection, except one perhaps."""
        for connection, task in list(self._connections.items()):
            if connection is but:
                continue
            connection.reset()
            task.cancel()

    async def close(self) -> None:
        """Stop listening and end every connection."""
        self.stop_listening()
        tasks = list(self._connections.values())
        self.drop_connections()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, connection: Connection) -> None:
        """Answer the requests of a new connection, one after the other."""
        task = asyncio.get_running_loop().create_task(self._serve(connection))
        self._connections[connection] = task
        task.add_done_callback(lambda _: self._connections.pop(connection))

    async def _serve(self, connection: Connection) -> None:
        try:
            while request := await connection.next_request():
                await self._handle(request, connection)
                await connection.discard_rest(request)
            await connection.linger()
        except ConnectionGone:
            pass
        finally:
            connection.close()
