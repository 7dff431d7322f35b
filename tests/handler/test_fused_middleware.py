"""Neighbouring mixin-style middleware shares hops, and nothing else about it changes."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from asgi_calls import exchange
from middleware_layers import Hops, Logging, failing, sync_only, sync_view, view

from penstock.handler import HttpResponse, MiddlewareMixin, path
from penstock.handler.fusion import can_be_fused

pytestmark = pytest.mark.usefixtures("no_django")


def mixin(name: str, request_does: Any = None, response_does: Any = None, **flags: Any) -> type:
    """A mixin-style middleware; what it does is an answer, an exception or nothing."""

    class Layer(MiddlewareMixin):
        def process_request(self, request: Any) -> Any:
            request.log.append(f"{name} request")
            request.threads.add(threading.get_ident())
            if isinstance(request_does, Exception):
                raise request_does
            return request_does and HttpResponse(request_does)

        def process_response(self, request: Any, response: Any) -> Any:
            request.log.append(f"{name} response {response.status_code}")
            if isinstance(response_does, Exception):
                raise response_does
            return response_does or response

    if flags.get("overrides"):
        # Does the same, and may not be fused, because it might do anything.
        async def acall(self: Any, request: Any) -> Any:
            return await MiddlewareMixin.__acall__(self, request)

        Layer.__acall__ = acall  # type: ignore[method-assign]
    Layer.__name__ = Layer.__qualname__ = name
    return Layer


class Threads(Logging):
    def create_request(self, scope: Any, body_file: Any) -> tuple[Any, Any]:
        request, response = super().create_request(scope, body_file)
        request.threads = set()
        return request, response


MISBEHAVIOUR = [
    {},
    {"request_does": "short"},
    {"request_does": LookupError()},
    {"response_does": LookupError()},
    {"response_does": "no response"},
]


@pytest.mark.conformance("C110")
@pytest.mark.parametrize("index", range(3))
@pytest.mark.parametrize("behaviour", MISBEHAVIOUR)
@pytest.mark.parametrize("core", [view, sync_view, failing])
def test_fused_and_unfused_chains_give_the_same(index: int, behaviour: Any, core: Any) -> None:
    seen = []
    for overrides in (False, True):
        layers = [
            mixin(name, overrides=overrides, **(behaviour if place == index else {}))
            for place, name in enumerate("abc")
        ]
        assert can_be_fused(layers[0](core)) == (not overrides)
        handler = Threads(core, middleware=layers)
        result = exchange(handler)
        seen.append((result.status, result.body, handler.log))
    assert seen[0] == seen[1]


@pytest.mark.conformance("C110")
def test_an_answer_that_is_no_response_fails_at_its_layer() -> None:
    class Odd(MiddlewareMixin):
        def process_request(self, request: Any) -> Any:
            return "no response"

    handler = Threads(view, middleware=[mixin("a"), Odd, mixin("c")])
    assert 500 == exchange(handler).status
    assert ["a request", "a response 500"] == handler.log


@pytest.mark.conformance("C111")
def test_seven_fused_layers_cost_two_hops(monkeypatch: pytest.MonkeyPatch) -> None:
    hops = Hops(monkeypatch)
    layers = [mixin(name) for name in "abcdefg"]
    assert b"view" == exchange(Threads(view, middleware=layers)).body
    assert 2 == hops.count
    assert b"view" == exchange(Threads(sync_view, middleware=layers)).body
    assert 2 + 3 == hops.count


def test_a_sync_view_below_sync_layers_costs_one_hop(monkeypatch: pytest.MonkeyPatch) -> None:
    hops = Hops(monkeypatch)
    assert b"view" == exchange(Logging(sync_view, middleware=[sync_only] * 5)).body
    assert 1 == hops.count


def test_a_sync_view_below_a_sync_layer_does_not_go_back_to_the_loop() -> None:
    tasks: list[set[Any]] = []

    def outermost(get_response: Any) -> Any:
        async def middleware(request: Any) -> Any:
            request.loop = asyncio.get_running_loop()
            tasks.append(asyncio.all_tasks())
            return await get_response(request)

        return middleware

    outermost.sync_capable, outermost.async_capable = False, True  # type: ignore[attr-defined]

    def core(request: Any) -> HttpResponse:
        tasks.append(asyncio.all_tasks(request.loop))
        return HttpResponse("view")

    handler = Logging(core, middleware=[outermost, sync_only])
    assert b"view" == exchange(handler, extensions={"penstock": {"no_disconnect": True}}).body
    assert tasks[0] == tasks[1]


def test_all_layers_of_a_request_run_on_one_thread() -> None:
    handler = Threads([path("", sync_view)], middleware=[mixin("a"), mixin("b")])
    requests: list[Any] = []
    original = handler.run_get_response

    async def run_get_response(request: Any) -> Any:
        requests.append(request)
        return await original(request)

    handler.run_get_response = run_get_response  # type: ignore[method-assign]
    exchange(handler)
    assert 1 == len(requests[0].threads)
    assert threading.get_ident() not in requests[0].threads
