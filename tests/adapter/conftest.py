"""One function, invoked with events of any kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from penstock.adapter import LambdaAdapter, UnsupportedEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from penstock.adapter.asgi import ASGIApp


@dataclass(frozen=True)
class Context:
    """What a Lambda runtime hands over beside the event."""

    aws_request_id: str = "request-1"
    remaining_ms: int = 60_000

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms


class Function:
    """A Lambda function whose application records what it sees and answers as it is told."""

    def __init__(self) -> None:
        self.context = Context()
        self.scope: dict[str, Any] = {}
        self.body = b""

    def adapter(
        self,
        *,
        status: int = 200,
        headers: Iterable[tuple[bytes, bytes]] = (),
        body: bytes = b"",
        **options: Any,
    ) -> LambdaAdapter:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            self.scope, self.body = scope, (await receive())["body"]
            start = {"type": "http.response.start", "status": status, "headers": list(headers)}
            await send(start)
            await send({"type": "http.response.body", "body": body})

        return self.around(app, **options)

    def around(self, app: ASGIApp, **options: Any) -> LambdaAdapter:
        return LambdaAdapter(app, **{"lifespan": "off", **options})

    def answer(self, event: Any, **answer_and_options: Any) -> Any:
        """Return what the function returns for the event."""
        return self.adapter(**answer_and_options)(event, self.context)

    def read(self, event: Any, **options: Any) -> dict[str, Any]:
        """Return the scope that the application sees for the event."""
        self.scope = {}
        answer = self.answer(event, **options)
        assert self.scope, f"the event was refused: {answer}"
        return self.scope

    def values(self, name: str) -> list[bytes]:
        """Every value of a header of the request that was last read."""
        return [value for key, value in self.scope["headers"] if key == name.encode()]

    def source_of(self, event: Any) -> str:
        """Return the name of the event's source, ``websocket`` and ``event`` for what is none."""
        try:
            scope = self.read(event)
        except UnsupportedEvent as error:
            return "websocket" if error.kind == "websocket" else "event"
        name = scope["extensions"]["penstock"]["event_source"]
        assert isinstance(name, str)
        return name


@pytest.fixture
def function() -> Function:
    return Function()


@pytest.fixture
def context() -> Callable[..., Context]:
    return Context
