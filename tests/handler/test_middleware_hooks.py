"""Hooks of middleware around the view and its response."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from asgi_calls import exchange, http_scope
from middleware_layers import Hops, Logging, failing, layer, view

from penstock.handler import Http404, HttpResponse, path

pytestmark = pytest.mark.usefixtures("no_django")


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


def test_a_failing_render_is_offered_to_process_exception_in_sync_code_too() -> None:
    class Failing(Template):
        def render(self) -> Template:
            raise LookupError("no template")

    def view(request: Any) -> HttpResponse:
        return Failing(request.log)

    class Layer:
        def __init__(self, get_response: Any) -> None:
            self.get_response = get_response

        def __call__(self, request: Any) -> Any:
            return self.get_response(request)

        def process_exception(self, request: Any, error: Exception) -> HttpResponse:
            return HttpResponse(str(error), status=503)

    handler = Logging(view, middleware=[Layer])
    request, _ = handler.create_request(http_scope(), b"")
    response = handler.get_response(request)
    assert (503, b"no template") == (response.status_code, response.content)
    response.close()


def test_neighbouring_sync_hooks_share_a_hop(monkeypatch: pytest.MonkeyPatch) -> None:
    hops = Hops(monkeypatch)

    def process_view(self: Any, request: Any, view: Any, args: Any, kwargs: Any) -> None:
        request.log.append("hook")

    layers = [layer(name, process_view=process_view) for name in "abc"]
    handler = Logging(view, middleware=layers)
    assert 200 == exchange(handler).status
    assert (3, 1) == (handler.log.count("hook"), hops.count)
