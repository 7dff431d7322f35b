"""One client in front of every front door, and the function behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from penstock.adapter import LambdaAdapter
from penstock.infra.gateway import SOURCES, ClientRequest, ClientResponse, make_event, read_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from penstock.adapter.asgi import ASGIApp

    Pairs = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Context:
    """What a Lambda runtime hands over beside the event."""

    aws_request_id: str = "request-1"
    remaining_ms: int = 60_000

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms


@dataclass(frozen=True)
class Seen:
    """What reached the application."""

    scope: dict[str, Any]
    body: bytes

    def values(self, name: str) -> list[bytes]:
        return [value for key, value in self.scope["headers"] if key == name.encode()]


class Door:
    """A client of one front door; whatever a function returns has to pass ``read_answer``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.context = Context()

    def event(
        self,
        *,
        method: str = "GET",
        target: str = "/",
        headers: Pairs = (),
        body: bytes = b"",
        **settings: Any,
    ) -> dict[str, Any]:
        request = ClientRequest(method, target, tuple(headers), body)
        return make_event(self.name, request, **settings)

    def adapter(self, app: ASGIApp, **options: Any) -> LambdaAdapter:
        return LambdaAdapter(app, **{"lifespan": "off", **options})

    def send(
        self,
        adapter: LambdaAdapter,
        *,
        method: str = "GET",
        context: Context | None = None,
        **request: Any,
    ) -> ClientResponse:
        answer = adapter(self.event(method=method, **request), context or self.context)
        return read_answer(self.name, answer, method=method)

    def ask(
        self,
        *,
        method: str = "GET",
        target: str = "/",
        headers: Pairs = (),
        body: bytes = b"",
        context: Context | None = None,
        settings: dict[str, Any] | None = None,
        **options: Any,
    ) -> Seen:
        """Send a request, and return what the application saw of it."""
        event = self.event(
            method=method, target=target, headers=headers, body=body, **(settings or {})
        )
        return self.ask_with(event, context=context, **options)

    def ask_with(self, event: Any, *, context: Context | None = None, **options: Any) -> Seen:
        seen: list[Seen] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            message = await receive()
            assert (message["type"], message["more_body"]) == ("http.request", False)
            seen.append(Seen(scope, message["body"]))
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})

        answer = self.adapter(app, **options)(event, context or self.context)
        assert read_answer(self.name, answer).status == 204
        return seen[0]

    def says(
        self, messages: Iterable[Any], *, method: str = "GET", **options: Any
    ) -> ClientResponse:
        """Return what the client gets from an application that sends exactly these messages."""
        return self.send(self.adapter(saying(messages), **options), method=method)

    def answers(
        self,
        *,
        status: int = 200,
        headers: Iterable[tuple[bytes, bytes]] = (),
        body: bytes = b"",
        method: str = "GET",
        **options: Any,
    ) -> ClientResponse:
        """Return what the client gets from an application that answers this."""
        return self.says(response(status, headers, body), method=method, **options)

    def raw(
        self,
        *,
        status: int = 200,
        headers: Iterable[tuple[bytes, bytes]] = (),
        body: bytes = b"",
        method: str = "GET",
        **options: Any,
    ) -> dict[str, Any]:
        """Return what the function returns, as the front door gets it."""
        adapter = self.adapter(saying(response(status, headers, body)), **options)
        answer: dict[str, Any] = adapter(self.event(method=method), self.context)
        return answer

    def is_base64(self, answer: dict[str, Any]) -> bool:
        if self.name == "edge":
            return bool(answer["bodyEncoding"] == "base64")
        return bool(answer["isBase64Encoded"])


def response(status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> list[Any]:
    return [
        {"type": "http.response.start", "status": status, "headers": list(headers)},
        {"type": "http.response.body", "body": body},
    ]


def saying(messages: Iterable[Any]) -> ASGIApp:
    script = list(messages)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in script:
            await send(message)

    return app


@pytest.fixture(params=SOURCES)
def door(request: pytest.FixtureRequest) -> Door:
    return Door(request.param)


@pytest.fixture
def context() -> Callable[..., Context]:
    return Context
