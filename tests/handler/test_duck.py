"""Middleware written for Duck."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.handler import ASGIHandler, HttpResponse, ImproperlyConfigured, path
from penstock.handler.duck import duck_middleware
from penstock.handler.testing import Client

pytestmark = pytest.mark.conformance("C186")
log: list[str] = []


def named(name: str, **hooks: Any) -> Any:
    """Return a middleware class of Duck's shape that notes what is called."""

    class Middleware:
        @classmethod
        def process_request(cls, request: Any) -> int:
            log.append(f"{name} in")
            return 0 if request.GET.get("bad") == name else 1

        @classmethod
        def get_error_response(cls, request: Any) -> HttpResponse:
            log.append(f"{name} refuses")
            return HttpResponse(f"refused by {request.META['FAILED_MIDDLEWARE']}", status=403)

        @classmethod
        def process_response(cls, response: Any, request: Any) -> None:
            log.append(f"{name} out")
            response[f"X-{name}"] = "1"

    for hook, function in hooks.items():
        setattr(Middleware, hook, staticmethod(function))
    Middleware.__qualname__ = name
    return duck_middleware(Middleware)


async def view(_request: Any) -> HttpResponse:
    log.append("view")
    return HttpResponse("hello")


def client(*middleware: Any) -> Client:
    log.clear()
    return Client(ASGIHandler([path("", view)], middleware=middleware))


def test_the_way_in_and_out() -> None:
    answer = client(named("A"), named("B")).get("/")
    assert log == ["A in", "B in", "view", "B out", "A out"]
    assert (answer.text, answer.headers["x-a"], answer.headers["x-b"]) == ("hello", "1", "1")


def test_a_refusal_is_answered_and_inner_layers_see_nothing() -> None:
    answer = client(named("A"), named("B"), named("C")).get("/?bad=B")
    assert (answer.status_code, answer.text) == (403, "refused by B")
    assert log == ["A in", "B in", "B refuses", "B out", "A out"]


def test_async_hooks() -> None:
    async def process_request(_request: Any) -> int:
        log.append("async in")
        return 1

    async def process_response(_response: Any, _request: Any) -> HttpResponse:
        return HttpResponse("another")

    layer = named("A", process_request=process_request, process_response=process_response)
    assert client(layer).get("/").text == "another"
    assert log == ["async in", "view"]


def test_a_failure_on_the_way_out_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def process_response(_response: Any, _request: Any) -> None:
        raise ZeroDivisionError

    answer = client(named("A"), named("B", process_response=process_response)).get("/")
    assert (answer.status_code, answer.text, answer.headers["x-a"]) == (200, "hello", "1")
    assert "B.process_response failed" in caplog.text


def test_a_failure_on_the_way_in_is_a_500_for_the_layers_above() -> None:
    def process_request(_request: Any) -> int:
        raise ZeroDivisionError

    answer = client(named("A"), named("B", process_request=process_request)).get("/")
    assert (answer.status_code, answer.headers["x-a"]) == (500, "1")
    assert log == ["A in", "A out"]


@pytest.mark.parametrize("state", [None, 2, "ok"])
def test_a_state_that_duck_does_not_know(state: Any, caplog: pytest.LogCaptureFixture) -> None:
    answer = client(named("A", process_request=lambda _request: state)).get("/")
    assert answer.status_code == 500
    assert f"A.process_request returned {state!r}" in caplog.text
    assert log == []


def test_one_hook_is_enough() -> None:
    class Out:
        @staticmethod
        def process_response(response: Any, _request: Any) -> None:
            response["X-Out"] = "1"

    class In:
        @staticmethod
        def process_request(_request: Any) -> int:
            return 1

    answer = client(duck_middleware(Out), duck_middleware(In)).get("/")
    assert answer.headers["x-out"] == "1"


def test_a_class_without_hooks() -> None:
    with pytest.raises(ImproperlyConfigured, match="expected process_request"):
        duck_middleware(object)
