"""Middleware and what is around the view: C099 to C117."""

from __future__ import annotations

import asyncio
import threading
import warnings
from contextvars import ContextVar
from itertools import product
from typing import Any

import pytest
from asgi_calls import exchange, http_scope
from asgiref.sync import markcoroutinefunction

from penstock.handler import (
    ASGIHandler,
    HandlerConfig,
    Http404,
    HttpResponse,
    ImproperlyConfigured,
    MiddlewareMixin,
    MiddlewareNotUsed,
    Router,
    path,
)
from penstock.handler.fusion import can_be_fused

pytestmark = pytest.mark.usefixtures("no_django")


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


@pytest.mark.conformance("C099")
def test_order_of_three_layers() -> None:
    handler = Logging(view, middleware=[layer("a"), layer("b"), layer("c")])
    assert b"view" == exchange(handler).body
    assert ["a in", "b in", "c in", "view", "c out 200", "b out 200", "a out 200"] == handler.log


@pytest.mark.conformance("C100")
def test_process_view_may_answer() -> None:
    def hook(name: str, answer: Any) -> Any:
        async def process_view(self: Any, request: Any, view: Any, args: Any, kwargs: Any) -> Any:
            request.log.append(name)
            return answer

        return process_view

    layers = [
        layer("a", process_view=hook("view a", None)),
        layer("b", process_view=hook("view b", HttpResponse("b", status=202))),
        layer("c", process_view=hook("view c", None)),
    ]
    handler = Logging(view, middleware=layers)
    assert (202, b"b") == ((result := exchange(handler)).status, result.body)
    expected = ["a in", "b in", "c in", "view a", "view b", "c out 202", "b out 202", "a out 202"]
    assert expected == handler.log


@pytest.mark.conformance("C100")
def test_a_failing_process_view_is_not_offered_to_process_exception() -> None:
    def process_view(self: Any, request: Any, *args: Any) -> Any:
        raise ValueError

    def process_exception(self: Any, request: Any, error: Exception) -> Any:
        request.log.append("offered")

    handler = Logging(
        view,
        middleware=[layer("a", process_view=process_view, process_exception=process_exception)],
    )
    assert 500 == exchange(handler).status
    assert ["a in", "a out 500"] == handler.log


def exception_hook(name: str, answer: Any = None) -> Any:
    def process_exception(self: Any, request: Any, error: Exception) -> Any:
        request.log.append(f"{name} {type(error).__name__}")
        if isinstance(answer, Exception):
            raise answer
        return answer

    return process_exception


@pytest.mark.conformance("C101")
def test_process_exception_runs_backwards_until_one_answers(signals: Any) -> None:
    layers = [
        layer("a", process_exception=exception_hook("a")),
        layer("b", process_exception=exception_hook("b", HttpResponse("b", status=418))),
        layer("c", process_exception=exception_hook("c")),
    ]
    handler = Logging(failing, middleware=layers)
    assert 418 == exchange(handler).status
    assert ["c LookupError", "b LookupError"] == handler.log[4:6]
    assert [] == signals.of("failed")


@pytest.mark.conformance("C101")
def test_a_failing_process_exception_replaces_the_error(signals: Any) -> None:
    error = ValueError("from the hook")
    handler = Logging(
        failing, middleware=[layer("a", process_exception=exception_hook("a", error))]
    )
    assert 500 == exchange(handler).status
    assert [error] == [fields["exception"] for fields in signals.of("failed")]


@pytest.mark.conformance("C102")
def test_a_404_of_the_view_is_offered_and_one_of_routing_is_not() -> None:
    async def missing(request: Any) -> HttpResponse:
        raise Http404

    hook = exception_hook("a", HttpResponse("caught"))
    handler = Logging([path("there", missing)], middleware=[layer("a", process_exception=hook)])
    assert b"caught" == exchange(handler, "/there").body
    assert 404 == exchange(handler, "/elsewhere").status


class Template(HttpResponse):
    """A response that is rendered late."""

    def __init__(self, log: list[str]) -> None:
        super().__init__("unrendered")
        self.log = log
        self.is_rendered = False

    def render(self) -> Template:
        self.log.append("render")
        self.is_rendered = True
        self.content = b"rendered"
        return self


@pytest.mark.conformance("C103")
@pytest.mark.parametrize("is_async", [True, False])
def test_template_responses(is_async: bool) -> None:
    def hook(name: str) -> Any:
        async def process(self: Any, request: Any, response: Any) -> Any:
            request.log.append(name)
            return response

        def process_sync(self: Any, request: Any, response: Any) -> Any:
            request.log.append(name)
            return response

        return process if is_async else process_sync

    async def template(request: Any) -> Any:
        return Template(request.log)

    layers = [layer(name, process_template_response=hook(name)) for name in "ab"]
    handler = Logging(template, middleware=layers)
    assert b"rendered" == exchange(handler).body
    assert ["a in", "b in", "b", "a", "render", "b out 200", "a out 200"] == handler.log


@pytest.mark.conformance("C103")
def test_a_template_hook_that_returns_none_is_named(signals: Any) -> None:
    def process_template_response(self: Any, request: Any, response: Any) -> Any:
        return None

    async def template(request: Any) -> Any:
        return Template(request.log)

    named = layer("Named", process_template_response=process_template_response)
    assert 500 == exchange(Logging(template, middleware=[named])).status
    assert "Named.process_template_response" in str(signals.of("failed")[0]["exception"])


def test_a_failing_render_is_offered_to_process_exception() -> None:
    class Broken(Template):
        def render(self) -> Template:
            raise LookupError

    async def template(request: Any) -> Any:
        return Broken(request.log)

    hook = exception_hook("a", HttpResponse("caught"))
    handler = Logging(template, middleware=[layer("a", process_exception=hook)])
    assert b"caught" == exchange(handler).body


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


def sync_only(get_response: Any) -> Any:
    def middleware(request: Any) -> Any:
        request.log.append("sync in")
        response = get_response(request)
        request.log.append("sync out")
        return response

    return middleware


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


@pytest.mark.conformance("C109")
@pytest.mark.parametrize("is_async", [True, False])
def test_where_process_exception_runs(is_async: bool) -> None:
    threads: list[int] = []

    async def process(self: Any, request: Any, error: Exception) -> Any:
        threads.append(threading.get_ident())
        return HttpResponse()

    def process_sync(self: Any, request: Any, error: Exception) -> Any:
        threads.append(threading.get_ident())
        return HttpResponse()

    hook = process if is_async else process_sync
    exchange(Logging(failing, middleware=[layer("a", process_exception=hook)]))
    assert is_async == (threads == [threading.get_ident()])


# Fusion.


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


class Hops:
    """Counts the calls that are posted to request threads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from penstock.handler.threads import Lease

        self.count = 0
        original = Lease.post

        def post(lease: Lease, call: Any) -> None:
            self.count += 1
            original(lease, call)

        monkeypatch.setattr(Lease, "post", post)


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
