"""The same event and application through Mangum and through penstock's class of that name."""

from __future__ import annotations

import asyncio
import copy
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import mangum

from penstock.adapter.mangum import Mangum

if TYPE_CHECKING:
    from collections.abc import Callable

Pair = tuple[bytes, bytes]


class Context:
    """What Lambda hands over beside the event."""

    aws_request_id = "8f507cfc-xmpl-4697-b07a-ac58fc914c95"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000

    def __deepcopy__(self, memo: Any) -> Context:
        return self


CONTEXT = Context()


@dataclass(frozen=True)
class Response:
    """What an application sends: messages made from these, the body in one or more."""

    status: Any = 200
    headers: tuple[Any, ...] = ((b"content-type", b"text/plain; charset=utf-8"),)
    chunks: tuple[Any, ...] = (b"hello",)

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key.lower() == name]


HELLO = Response()


@dataclass(frozen=True)
class Options:
    """The constructor's arguments that change what an invocation gives."""

    lifespan: str = "off"
    base_path: str = "/"
    text_mime_types: tuple[str, ...] = ()
    exclude_headers: tuple[str, ...] = ()

    def make(self, class_: Callable[..., Any], app: Any) -> Callable[[Any, Any], Any]:
        adapter: Callable[[Any, Any], Any] = class_(
            app,
            lifespan=self.lifespan,
            api_gateway_base_path=self.base_path,
            text_mime_types=list(self.text_mime_types) or None,
            exclude_headers=list(self.exclude_headers) or None,
        )
        return adapter


PLAIN = Options()


@dataclass
class Seen:
    """What one of the two did: what reached the application, and what came of it."""

    scope: dict[str, Any] | None = None
    body: bytes | None = None
    answer: Any = None
    raised: BaseException | None = None


def app_that_sends(response: Response, seen: Seen) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise ValueError(f"expected a request, got {scope['type']}")
        seen.scope = {
            key: value if key.startswith("aws.") else copy.deepcopy(value)
            for key, value in scope.items()
        }
        seen.body = (await receive())["body"]
        await send(
            {
                "type": "http.response.start",
                "status": response.status,
                "headers": response.headers,
            }
        )
        for chunk in response.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})

    return app


_loops: list[asyncio.AbstractEventLoop] = []


def penstocks_loop() -> asyncio.AbstractEventLoop:
    """The loop that synchronous calls of penstock run on; it lives as long as the process."""
    if not _loops or _loops[-1].is_closed():

        async def app(scope: Any, receive: Any, send: Any) -> None:
            _loops.append(asyncio.get_running_loop())
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})

        Mangum(app, lifespan="off")({"httpMethod": "GET", "path": "/"}, CONTEXT)
    return _loops[-1]


def invoke(class_: Callable[..., Any], app: Any, event: Any, options: Options, seen: Seen) -> Seen:
    """Run one invocation; what it raises is kept, not raised."""
    asyncio.set_event_loop(penstocks_loop())  # Mangum takes the current one
    try:
        seen.answer = options.make(class_, app)(event, CONTEXT)
    except BaseException as error:
        seen.raised = error
    return seen


@dataclass
class Case:
    """One event and one application, and what both adapters made of them."""

    source: str
    event: Any
    response: Response = HELLO
    options: Options = PLAIN
    theirs: Seen = field(default_factory=Seen)
    ours: Seen = field(default_factory=Seen)

    @property
    def method(self) -> str:
        assert self.ours.scope is not None
        return str(self.ours.scope["method"])


def run(source: str, event: Any, response: Response = HELLO, options: Options = PLAIN) -> Case:
    case = Case(source, event, response, options)
    loggers = [logging.getLogger(name) for name in ("mangum", "penstock")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        for class_, seen in ((mangum.Mangum, case.theirs), (Mangum, case.ours)):
            invoke(class_, app_that_sends(response, seen), copy.deepcopy(event), options, seen)
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
    return case
