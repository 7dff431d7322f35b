"""A Runtime API client on an event loop, for one of several slots."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from penstock.adapter.errors import RuntimeAPIError
from penstock.adapter.runtime.client import user_agent
from penstock.adapter.runtime.connection import Connection
from penstock.adapter.runtime.protocol import RequestWriter
from penstock.adapter.runtime.responses import (
    PAUSES,
    broken,
    check_accepted,
    gone,
    read_event,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.adapter.runtime.protocol import Invocation, Response


class AsyncClient:
    """One kept-alive connection to the Runtime API: what RuntimeClient is, without blocking.

    Attributes: ``address`` (host and port); ``write``, the writer of requests to it.
    ``before_retry`` is called before ``next`` tries again.
    """

    def __init__(
        self, address: tuple[str, int], before_retry: Callable[[], object] | None = None
    ) -> None:
        self.address = address
        self._before_retry = before_retry
        self.write = RequestWriter("{}:{}".format(*address), user_agent())
        self._connection: Connection | None = None
        self._sent: tuple[bytes, ...] = ()
        self._response: asyncio.Future[Response] | None = None

    @property
    def is_receiving(self) -> bool:
        """Whether what ``next`` waits for has arrived, or begun to."""
        return self._connection is not None and self._connection.is_receiving

    def close(self) -> None:
        """Drop the connection; the next request makes another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def next(self) -> Invocation:
        """Wait for the next event.

        Raises: RuntimeAPIError when there is no API any more, or it refuses.
        """
        problem: Exception | None = None
        for pause in PAUSES:
            if pause:
                await asyncio.sleep(pause)
                if self._before_retry is not None:
                    self._before_retry()
            try:
                response = await self._request((self.write.next,))
            except (OSError, RuntimeAPIError) as error:
                problem = error
                continue
            return read_event(response)
        raise gone(self.address, problem)

    def post(self, head: bytes, parts: Sequence[bytes]) -> None:
        """Begin to send a request on the connection that the event came on; never raises."""
        self._sent = (head, *parts)
        if self._connection is not None:
            self._response = self._connection.begin(*self._sent)

    async def settle(self) -> None:
        """Wait for the response to ``post``.

        A connection that broke before any answer is tried again, once.
        Raises: RuntimeAPIError if the API did not accept what was posted.
        """
        head = self._sent[0]
        try:
            try:
                if self._response is None:
                    response = await self._request(self._sent)
                else:
                    response = await self._response
            except RuntimeAPIError:
                response = await self._request(self._sent)
        except (OSError, RuntimeAPIError) as error:
            raise broken(error, head) from error
        finally:
            self._sent = ()
            self._response = None
        check_accepted(head, response)

    async def _request(self, parts: tuple[bytes, ...]) -> Response:
        connection = self._connection
        if connection is None or not connection.is_open:
            connection = await Connection.open(self.address, asyncio.get_running_loop())
            self._connection = connection
        return await connection.begin(*parts)
