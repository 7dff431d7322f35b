"""Responses that leave as they are produced."""

from __future__ import annotations

from asyncio import Lock
from typing import TYPE_CHECKING

from penstock.adapter.cycle import UNDER_WAY, HTTPCycle
from penstock.adapter.errors import ClientDisconnected, PayloadTooLarge
from penstock.adapter.exchange import START, ExchangeState
from penstock.adapter.reply import is_bodiless

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.adapter.asgi import Message
    from penstock.adapter.reply import Reply
    from penstock.adapter.transport import Transport

_FILE_PART = 1 << 18


class StreamingSink:
    """Passes a response on, part by part.

    ``source`` names the front door. ``limit_bytes`` is for the prelude: the body is counted by the
    service, which cuts it. Attributes: ``prelude``, to be set before the first part;
    ``has_started``, ``has_ended``, of what has left.
    """

    prelude = b""

    has_started = False
    has_ended = False

    def __init__(self, source: str, limit_bytes: int, transport: Transport) -> None:
        self.source = source
        self.limit_bytes = limit_bytes
        self._transport = transport
        self._one_by_one = Lock()

    async def write(self, body: bytes, *, more: bool) -> None:
        """Pass a part on, behind those of other tasks; returns when it has left.

        Raises: PayloadTooLarge before anything has left; OSError if nobody takes it.
        """
        async with self._one_by_one:
            if self.has_started:
                await self._transport.send(body, more=more)
            else:
                if len(self.prelude) > self.limit_bytes:
                    raise PayloadTooLarge(self.source, self.limit_bytes, len(self.prelude))
                self.has_started = True
                await self._transport.start(self.prelude, body, more=more)
            self.has_ended = not more


class StreamingCycle(HTTPCycle):
    """A cycle whose response leaves as it is produced.

    ``send`` returns when the part is out of the process, so an application is as fast as its client
    and memory stays flat. Nothing leaves before the first body message, as ASGI asks.
    ``make_prelude`` is called with the cycle and whether the body is empty. Attributes:
    ``transport``; ``reply``, whose status and headers were sent.
    """

    make_prelude: Callable[[StreamingCycle, bool], bytes]

    sink: StreamingSink
    transport: Transport
    reply: Reply | None = None

    async def _send(self, message: Message) -> None:
        exchange = self.exchange
        try:
            content = exchange.advance(message)
            if message["type"] == START:
                return
            try:
                if self.scope["method"] == "HEAD" or is_bodiless(exchange.status):
                    content = b""
                if isinstance(content, str):
                    await self._send_file(content)
                else:
                    await self._write(content, more=exchange.state is ExchangeState.RESPONSE)
            except Exception as error:
                if self.sink.has_started and isinstance(error, OSError):
                    raise ClientDisconnected(f"nobody takes the response: {error}") from error
                exchange.fail(error)
                raise
        finally:
            if self._waiting and exchange.state not in UNDER_WAY:
                self._disconnect()

    async def _send_file(self, path: str) -> None:
        """Send a file in parts, each read in a thread: the file may be on a network."""
        in_thread = self._loop.run_in_executor
        file = await in_thread(None, open, path, "rb")
        try:
            part = await in_thread(None, file.read, _FILE_PART)
            while part:
                following = await in_thread(None, file.read, _FILE_PART)
                await self._write(part, more=bool(following))
                part = following
            if not self.sink.has_started:
                await self._write(b"", more=False)
        finally:
            file.close()

    async def _write(self, body: bytes, *, more: bool) -> None:
        if not self.sink.has_started:
            self.sink.prelude = self.make_prelude(self, not body and not more)
        await self.sink.write(body, more=more)
