"""``Mangum``: penstock behind the constructor of Mangum, so that switching is one import line.

What it does differently on purpose is listed in docs/mangum.md, and nothing else is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.adapter.adapter import LambdaAdapter
from penstock.adapter.body import decode_body
from penstock.adapter.settings import Settings
from penstock.adapter.sources import EventSource

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from penstock.adapter.asgi import ASGIApp, Scope
    from penstock.adapter.cycle import HTTPCycle
    from penstock.adapter.delivery import Delivery
    from penstock.adapter.reply import Reply
    from penstock.adapter.transport import Transport

# Mangum's own list. Custom handlers read it from their config; for penstock's answers only the last
# one matters, as its rules cover the others.
_TEXT_TYPES = (
    "text/",
    "application/json",
    "application/javascript",
    "application/xml",
    "application/vnd.api+json",
    "application/vnd.oai.openapi",
)


class Mangum(LambdaAdapter):
    """A drop-in replacement for ``mangum.Mangum``.

    Same constructor, and the same ``path`` (the base path stripped, the stage left alone) with an
    empty ``root_path``. Start-up (lifespan) waits for the first invocation, and then runs once an
    execution environment. ``PENSTOCK_…`` variables work for the options that Mangum has no
    argument for. ``custom_handlers`` are classes of Mangum's protocol: ``infer``, ``scope``,
    ``body``, ``__call__``.
    """

    def __init__(
        self,
        app: ASGIApp,
        lifespan: str = "auto",
        api_gateway_base_path: str = "/",
        custom_handlers: Iterable[type[Any]] | None = None,
        text_mime_types: list[str] | None = None,
        exclude_headers: list[str] | None = None,
    ) -> None:
        base_path = "/" + (api_gateway_base_path or "").strip("/")
        text_types: Any = _TEXT_TYPES[-1:]
        if text_mime_types:

            def text_types(content_type: str) -> bool:
                return any(part in content_type for part in text_mime_types)

        self._settings = Settings(
            lifespan=lifespan,
            root_path="",
            base_path=base_path,
            text_types=text_types,
            exclude_headers=exclude_headers or (),
        )
        self._prepare(app, (), None)
        self.lifespan = lifespan
        self.custom_handlers = list(custom_handlers or ())
        self.config: dict[str, Any] = {
            "api_gateway_base_path": api_gateway_base_path or "/",
            "text_mime_types": list(text_mime_types or _TEXT_TYPES),
            "exclude_headers": [header.lower() for header in exclude_headers or ()],
        }

    def _source_of(self, event: Any, context: Any) -> EventSource:
        for handler_class in self.custom_handlers:
            if handler_class.infer(event, context, self.config):
                return _CustomHandler(handler_class(event, context, self.config))
        return super()._source_of(event, context)

    def _cycle(
        self,
        source: EventSource,
        event: Any,
        context: Any,
        loop: asyncio.AbstractEventLoop,
        transport: Transport | None = None,
        delivery: Delivery | None = None,
    ) -> HTTPCycle:
        cycle = super()._cycle(source, event, context, loop, transport, delivery)
        scope = cycle.scope
        if not isinstance(source, _CustomHandler) and scope["root_path"]:
            # penstock leaves the base path in the path, as ASGI wants it; Mangum takes it out.
            scope["path"] = scope["path"][len(scope["root_path"]) :]
            scope["root_path"] = ""
        return cycle


class _CustomHandler(EventSource):
    """One event in the hands of a handler that was written for Mangum."""

    name = "custom"

    def __init__(self, handler: Any) -> None:
        self._handler = handler

    def read(self, event: Any, settings: Settings) -> tuple[Scope, bytes]:
        return self._handler.scope, self._handler.body or b""

    def write(self, reply: Reply, scope: Scope, settings: Settings) -> Any:
        return self._handler(
            {
                "status": reply.status,
                "headers": [[name.encode(), value.encode()] for name, value in reply.headers],
                "body": decode_body(self.name, reply.body, is_base64=reply.is_base64),
            }
        )
