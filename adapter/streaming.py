"""Responses that leave while the application is running: at their end, or as they are produced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.adapter.cycle import UNDER_WAY, HTTPCycle
from penstock.adapter.errors import ClientDisconnected, PayloadTooLarge
from penstock.adapter.exchange import START, ExchangeState
from penstock.adapter.reply import is_bodiless

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.adapter.asgi import Message
    from penstock.adapter.transport import Transport

_FILE_PART = 1 << 18


class EarlyCycle(HTTPCycle):
    """A cycle that has its response taken when it is complete, while the application goes on.

    Attributes: ``on_complete``, called once, inside the application's last ``send``; ``is_taken``,
    whether that has happened; ``failure``, what it raised.
    """

    on_complete: Callable[[], object]
    is_taken = False
    failure: BaseException | None = None

    async def _send(self, message: Message) -> None:
        await super()._send(message)
        if self.exchange.state is ExchangeState.COMPLETE and not self.is_taken:
            self.is_taken = True
            try:
                self.on_complete()
            except BaseException as error:
                self.failure = error  # not the application's: its response is complete


class StreamingSink:
    """Passes a response on, part by part.

    ``source`` names the front door; ``make_prelude`` is called with whether the body is empty.
    ``limit_bytes`` is for the prelude: the body is counted by the service, which cuts it.
    Attributes: ``has_started``, ``has_ended``, of what has left.
    """

    has_started = False
    has_ended = False

    def __init__(
        self,
        source: str,
        limit_bytes: int,
        transport: Transport,
        make_prelude: Callable[[bool], bytes],
    ) -> None:
        self.source = source
        self.limit_bytes = limit_bytes
        self._transport = transport
        self._make_prelude = make_prelude

    async def write(self, body: bytes, *, more: bool) -> None:
        """Pass a part on; returns when it has left.

        Raises: PayloadTooLarge before anything has left; OSError if nobody takes it.
        """
        if self.has_started:
            await self._transport.send(body, more=more)
        else:
            prelude = self._make_prelude(not body and not more)
            if len(prelude) > self.limit_bytes:
                raise PayloadTooLarge(self.source, self.limit_bytes, len(prelude))
            self.has_started = True
            await self._transport.start(prelude, body, more=more)
        self.has_ended = not more


class StreamingCycle(HTTPCycle):
    """A cycle whose response leaves as it is produced.

    ``send`` returns when the part is out of the process, so an application is as fast as its client
    and memory stays flat. Nothing leaves before the first body message, as ASGI asks.
    """

    sink: StreamingSink

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
                    await self.sink.write(content, more=exchange.state is ExchangeState.RESPONSE)
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
                await self.sink.write(part, more=bool(following))
                part = following
            if not self.sink.has_started:
                await self.sink.write(b"", more=False)
        finally:
            file.close()
