"""What a demonstration of a difference is, and the words in which they are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.infra.gateway import ClientRequest, make_event
from tests.differential.both import HELLO, PLAIN, Options, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.differential.both import Seen

GET = ClientRequest("GET", "/")
TEXT = (b"content-type", b"text/plain")
TWO_COOKIES = (("Cookie", "a=1"), ("Cookie", "b=2"))


@dataclass(frozen=True)
class Demo:
    """An invocation, where to look, and what is to be seen there."""

    id: str
    look: Callable[[Seen], Any]
    theirs: Any
    ours: Any
    source: str
    event: Any
    response: Response = HELLO
    options: Options = PLAIN


def scope(key: str) -> Callable[[Seen], Any]:
    def look(seen: Seen) -> Any:
        assert seen.scope is not None
        return seen.scope.get(key, "absent")

    return look


def header(name: bytes) -> Callable[[Seen], Any]:
    def look(seen: Seen) -> Any:
        assert seen.scope is not None
        return [value for key, value in seen.scope["headers"] if key == name]

    return look


def names(seen: Seen) -> Any:
    assert seen.scope is not None
    return [name for name, _ in seen.scope["headers"]]


def answer(*keys: str) -> Callable[[Seen], Any]:
    def look(seen: Seen) -> Any:
        found = [seen.answer.get(key, "absent") for key in keys]
        return found[0] if len(found) == 1 else found

    return look


def event(source: str, request: ClientRequest = GET, **changes: Any) -> Any:
    """The event of a request, with top-level keys replaced (a dict updates a map)."""
    made = make_event(source, request)
    for key, value in changes.items():
        made[key] = {**made[key], **value} if isinstance(value, dict) else value
    return made


def edge(request: ClientRequest = GET, **changes: Any) -> Any:
    made = make_event("edge", request)
    made["Records"][0]["cf"]["request"].update(changes)
    return made


def get(target: str = "/", *headers: tuple[str, str]) -> ClientRequest:
    return ClientRequest("GET", target, headers)


def sends(
    *headers: tuple[Any, bytes], status: Any = 200, body: bytes = b"hello", plain: bool = True
) -> Response:
    return Response(status, (TEXT, *headers) if plain else headers, (body,))
