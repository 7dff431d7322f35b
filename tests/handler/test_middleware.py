"""Middleware and what is around the view: C099 to C117."""

from __future__ import annotations

import asyncio
import warnings
from contextvars import ContextVar
from itertools import product
from typing import Any

import pytest
from asgi_calls import exchange, http_scope
from asgiref.sync import markcoroutinefunction
from middleware_layers import Logging, layer, sync_only, sync_view, view

from penstock.handler import (
    ASGIHandler,
    HandlerConfig,
    HttpResponse,
    ImproperlyConfigured,
    MiddlewareMixin,
    MiddlewareNotUsed,
    Router,
    path,
)

pytestmark = pytest.mark.usefixtures("no_django")


@pytest.mark.conformance("C099")
def test_order_of_three_layers() -> None:
    handler = Logging(view, middleware=[layer("a"), layer("b"), layer("c")])
    assert b"view" == exchange(handler).body
    assert ["a in", "b in", "c in", "view", "c out 200", "b out 200", "a out 200"] == handler.log


@pytest.mark.conformance("C104")
def test_factories_are_checked_at_construction(caplog: pytest.LogCaptureFixture) -> None:
    def none(get_response: Any) -> Any:
        return None

    def unused(get_response: Any) -> Any:
        raise MiddlewareNotUsed("not here")

    def incapable(get_response: Any) -> Any:
        return get_response

    incapable.sync_capable = False  # type: ignore[attr-defined]
    with pytest.raises(ImproperlyConfigured, match=r"none.*returned None"):
        ASGIHandler(view, middleware=[none])
    with pytest.raises(RuntimeError, match="incapable"):
        ASGIHandler(view, middleware=[incapable])
    with pytest.raises(ImproperlyConfigured, match=r"no\.such\.middleware"):
        ASGIHandler(view, middleware=["no.such.middleware"])
    with pytest.raises(ImproperlyConfigured, match="expected"):
        ASGIHandler(view, middleware=[42])
    with caplog.at_level("DEBUG", "penstock.request"):
        handler = Logging(view, middleware=[unused], config=HandlerConfig(debug=True))
    assert b"view" == exchange(handler).body
    assert "not here" in caplog.text


def test_a_chain_that_cannot_be_built_is_not_there() -> None:
    handler = ASGIHandler(view)
    handler._middleware_chain = None
    handler.middleware = (lambda get_response: None,)
    with pytest.raises(ImproperlyConfigured):
        handler.load_middleware(is_async=True)
    assert handler._middleware_chain is None


@pytest.mark.conformance("C105")
def test_a_failing_layer_is_a_response_for_the_one_above(signals: Any) -> None:
    def broken(get_response: Any) -> Any:
        async def middleware(request: Any) -> Any:
            raise LookupError

        return middleware

    broken.async_capable = True  # type: ignore[attr-defined]
    handler = Logging(view, middleware=[layer("a"), broken])
    assert 500 == exchange(handler).status
    assert ["a in", "a out 500"] == handler.log


@pytest.mark.conformance("C106")
@pytest.mark.parametrize("answer", [None, "text", 42])
def test_a_layer_that_returns_no_response_is_named(signals: Any, answer: Any) -> None:
    class Named:
        async_capable = True

        def __init__(self, get_response: Any) -> None:
            pass

        async def __call__(self, request: Any) -> Any:
            return answer

    handler = Logging(view, middleware=[layer("a"), Named])
    assert 500 == exchange(handler).status
    assert ["a in", "a out 500"] == handler.log
    assert "Named" in str(signals.of("failed")[0]["exception"])
    assert ["complete"] == signals.outcomes


def async_only(get_response: Any) -> Any:
    async def middleware(request: Any) -> Any:
        request.log.append("async in")
        response = await get_response(request)
        request.log.append("async out")
        return response

    return middleware


async_only.sync_capable = False  # type: ignore[attr-defined]
async_only.async_capable = True  # type: ignore[attr-defined]


def either(get_response: Any) -> Any:
    if asyncio.iscoroutinefunction(get_response):
        return async_only(get_response)
    return sync_only(get_response)


either.async_capable = True  # type: ignore[attr-defined]


class Marked:
    """An instance whose `__call__` is sync, and that is marked as a coroutine function."""

    async_capable = True

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response
        self.is_async = asyncio.iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        middleware = async_only if self.is_async else sync_only
        return middleware(self.get_response)(request)


def unmarked(get_response: Any) -> Any:
    """Make an async middleware, and say so nowhere: what most would write first."""
    return async_only(get_response)


class UnmarkedClass:
    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    async def __call__(self, request: Any) -> Any:
        return await async_only(self.get_response)(request)


KINDS = [sync_only, async_only, either, Marked, unmarked, UnmarkedClass]


@pytest.mark.conformance("C107")
@pytest.mark.parametrize("order", list(product(KINDS, repeat=3)))
@pytest.mark.parametrize("core", [view, sync_view])
@pytest.mark.filterwarnings("ignore:'asyncio.iscoroutinefunction':DeprecationWarning")
def test_every_mixture_gives_the_same(order: Any, core: Any) -> None:
    handler = Logging(core, middleware=order)
    assert b"view" == exchange(handler).body
    plain = [entry.partition(" ")[2] or entry for entry in handler.log]
    assert ["in"] * 3 + ["view"] + ["out"] * 3 == plain


class AsyncInstance:
    async def __call__(self, request: Any) -> HttpResponse:
        return HttpResponse("instance")


@pytest.mark.conformance("C108")
def test_an_instance_with_an_async_call_is_awaited() -> None:
    assert b"instance" == exchange(ASGIHandler(AsyncInstance())).body
    assert b"view" == exchange(Logging(view, middleware=[layer("a")])).body


# The view's result.


def returns_none(request: Any) -> Any:
    return None


class NoneView:
    def __call__(self, request: Any) -> Any:
        return None


@pytest.mark.conformance("C112")
def test_a_view_that_returns_none_is_named(signals: Any) -> None:
    assert 500 == exchange(ASGIHandler(returns_none)).status
    assert 500 == exchange(ASGIHandler(NoneView())).status
    messages = [str(fields["exception"]) for fields in signals.of("failed")]
    assert "test_middleware.returns_none returned None" in messages[0]
    assert "test_middleware.NoneView.__call__ returned None" in messages[1]


@pytest.mark.conformance("C113")
def test_an_unawaited_coroutine_is_a_failure_without_a_warning(signals: Any) -> None:
    def lazy(request: Any) -> Any:
        return view(request)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert 500 == exchange(ASGIHandler(lazy)).status
    assert "unawaited coroutine" in str(signals.of("failed")[0]["exception"])


@pytest.mark.conformance("C114")
@pytest.mark.parametrize(
    ("value", "body"), [({"a": 1}, b'{"a": 1}'), ([1], b"[1]"), ("text", b"text"), (b"b", b"b")]
)
def test_what_is_no_response_is_a_failure_unless_asked_for(value: Any, body: bytes) -> None:
    async def plain(request: Any) -> Any:
        return value

    assert 500 == exchange(ASGIHandler(plain)).status
    result = exchange(ASGIHandler(plain, config=HandlerConfig(coerce_response=True)))
    assert (200, body) == (result.status, result.body)


@pytest.mark.conformance("C115")
def test_a_router_that_middleware_sets_is_used() -> None:
    async def other(request: Any) -> HttpResponse:
        return HttpResponse("other")

    def switch(get_response: Any) -> Any:
        async def middleware(request: Any) -> Any:
            request.urlconf = Router([path("", other)])
            return await get_response(request)

        return middleware

    switch.async_capable = True  # type: ignore[attr-defined]
    assert b"other" == exchange(Logging([path("", view)], middleware=[switch])).body


@pytest.mark.conformance("C116")
def test_get_response_without_a_loop() -> None:
    handler = Logging(view, middleware=[either, sync_only, async_only, unmarked])
    request, _ = handler.create_request(http_scope(), b"")
    response = handler.get_response(request)
    assert b"view" == response.content
    assert "view" in handler.log
    response.close()


@pytest.mark.conformance("C117")
@pytest.mark.parametrize("core", ["sync", "async"])
def test_context_variables_go_both_ways(core: str) -> None:
    down: ContextVar[str] = ContextVar("down", default="")
    up: ContextVar[str] = ContextVar("up", default="")

    def sync(request: Any) -> HttpResponse:
        up.set("from the view")
        return HttpResponse(down.get())

    async def async_(request: Any) -> HttpResponse:
        return sync(request)

    def outer(get_response: Any) -> Any:
        async def middleware(request: Any) -> Any:
            down.set("from the middleware")
            response = await get_response(request)
            response["X-Up"] = up.get()
            return response

        return middleware

    outer.async_capable = True  # type: ignore[attr-defined]
    outer.sync_capable = False  # type: ignore[attr-defined]
    chosen = sync if core == "sync" else async_
    result = exchange(ASGIHandler(chosen, middleware=[outer, sync_only_plain]))
    assert (b"from the middleware", "from the view") == (result.body, result.header("x-up"))


def sync_only_plain(get_response: Any) -> Any:
    def middleware(request: Any) -> Any:
        return get_response(request)

    return middleware


def test_a_mixin_that_answers_in_sync_code_keeps_the_view_from_running() -> None:
    class Answering(MiddlewareMixin):
        def process_request(self, request: Any) -> HttpResponse:
            return HttpResponse("early")

    handler = Logging(sync_view, middleware=[Answering])
    request, _ = handler.create_request(http_scope(), b"")
    response = handler.get_response(request)
    assert (b"early", []) == (response.content, handler.log)
    response.close()
