"""Responses that leave while the application is running: at their end, or as they are produced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.adapter.cycle import HTTPCycle
from penstock.adapter.errors import ClientDisconnected, PayloadTooLarge
from penstock.adapter.exchange import ExchangeState
from penstock.adapter.reply import is_bodiless

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.adapter.asgi import Message
    from penstock.adapter.transport import Transport

_FILE_PART = 1 << 18


class EarlyCycle(HTTPCycle):
    """A cycle that has its response taken when it is complete, while the application goes on.

    Attributes: ``on_complete``, called with the cycle inside the application's last ``send``;
    ``is_taken``, whether that has happened.
    """

    on_complete: Callable[[EarlyCycle], object]
    is_taken = False

    async def _send(self, message: Message) -> None:
        await super()._send(message)
        if self.exchange.state is ExchangeState.COMPLETE and not self.is_taken:
            self.is_taken = True
            self.on_complete(self)


class StreamingSink:
    """Passes a response on, part by part.

    ``source`` names the front door; ``make_prelude`` is called with whether the body is empty.
    ``limit_bytes`` is for the prelude: the body is counted by the service, which cuts it.
    """

    def __init__(
        self,
        source: str,
        limit_bytes: int,
        transport: Transport,
        make_prelude: Callable[[bool], bytes],
    ) -> None:
        self.source = source
        self.limit_bytes = limit_bytes
        self.has_started = False
        self._transport = transport
        self._make_prelude = make_prelude

    async def write(self, body: bytes, *, more: bool) -> None:
        """Pass a part on; returns when it has left.

        Raises: PayloadTooLarge before anything has left; OSError if nobody takes it.
        """
        if self.has_started:
            await self._transport.send(body, more=more)
            return
        prelude = self._make_prelude(not body and not more)
        if len(prelude) > self.limit_bytes:
            raise PayloadTooLarge(self.source, self.limit_bytes, len(prelude))
        self.has_started = True
        await self._transport.start(prelude, body, more=more)


class StreamingCycle(HTTPCycle):
    """A cycle whose response leaves as it is produced.

    ``send`` returns when the part is out of the process, so an application is as fast as its client
    and memory stays flat. Nothing leaves before the first body message, as ASGI asks.
    """

    sink: StreamingSink  # type: ignore[assignment] # both are this cycle's own

    async def _send(self, message: Message) -> None:
        exchange = self.exchange
        was = exchange.state
        try:
            content = exchange.advance(message)
            if was is ExchangeState.REQUEST:
                return
            more = exchange.state is ExchangeState.RESPONSE
            try:
                if isinstance(content, str):
                    await self._send_file(content)
                elif self.scope["method"] == "HEAD" or is_bodiless(exchange.status):
                    await self.sink.write(b"", more=more)
                else:
                    await self.sink.write(content, more=more)
            except OSError as error:
                if self.sink.has_started:
                    raise ClientDisconnected(f"nobody takes the response: {error}") from error
                exchange.fail(error)
                raise
            except Exception as error:
                exchange.fail(error)
                raise
        finally:
            if self._waiting and exchange.state is not ExchangeState.RESPONSE:
                self._disconnect()

    async def _send_file(self, path: str) -> None:
        """Send a file in parts, each read in a thread: the file may be on a network."""
        executor = self._loop.run_in_executor
        file = await executor(None, open, path, "rb")
        try:
            if self.scope["method"] == "HEAD" or is_bodiless(self.exchange.status):
                await self.sink.write(b"", more=False)
                return
            part = await executor(None, file.read, _FILE_PART)
            while part:
                following = await executor(None, file.read, _FILE_PART)
                await self.sink.write(part, more=bool(following))
                part = following
            if not self.sink.has_started:
                await self.sink.write(b"", more=False)
        finally:
            file.close()
