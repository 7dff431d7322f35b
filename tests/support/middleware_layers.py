"""Views and layers that log when they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.handler import ASGIHandler, HttpResponse
from penstock.handler.threads import Lease

if TYPE_CHECKING:
    import pytest


async def view(request: Any) -> HttpResponse:
    request.log.append("view")
    return HttpResponse("view")


def sync_view(request: Any) -> HttpResponse:
    request.log.append("view")
    return HttpResponse("view")


async def failing(request: Any) -> HttpResponse:
    request.log.append("view")
    raise LookupError("from the view")


class Logging(ASGIHandler):
    """A handler whose requests share one log."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.log: list[str] = []
        super().__init__(*args, **kwargs)

    def create_request(self, scope: Any, body_file: Any) -> tuple[Any, Any]:
        request, response = super().create_request(scope, body_file)
        request.log = self.log
        return request, response


def layer(name: str, **hooks: Any) -> type:
    """A middleware class that logs its way in and out, with these hooks."""

    class Layer:
        sync_capable = False
        async_capable = True

        def __init__(self, get_response: Any) -> None:
            self.get_response = get_response

        async def __call__(self, request: Any) -> Any:
            request.log.append(f"{name} in")
            response = await self.get_response(request)
            request.log.append(f"{name} out {response.status_code}")
            return response

    Layer.__name__ = Layer.__qualname__ = name
    for hook, function in hooks.items():
        setattr(Layer, hook, function)
    return Layer


def sync_only(get_response: Any) -> Any:
    def middleware(request: Any) -> Any:
        request.log.append("sync in")
        response = get_response(request)
        request.log.append("sync out")
        return response

    return middleware


class Hops:
    """Counts the calls that are posted to request threads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        original = Lease.post

        def post(lease: Lease, call: Any) -> None:
            self.count += 1
            original(lease, call)

        monkeypatch.setattr(Lease, "post", post)
