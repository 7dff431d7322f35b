"""Where HEAD goes, when several routes have the path."""

from __future__ import annotations

from typing import Any

import pytest
from asgi_calls import exchange

from penstock.handler import ASGIHandler, HttpResponse, path


def named(name: str) -> Any:
    async def view(request: Any) -> HttpResponse:
        return HttpResponse("x", headers={"X-View": name})

    return view


@pytest.mark.conformance("C183")
@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ([("get", ["GET"]), ("any", None)], "get"),
        ([("any", None), ("get", ["GET"])], "any"),
        ([("get", ["GET"]), ("head", ["HEAD"])], "head"),
        ([("post", ["POST"]), ("get", ["GET"]), ("other", ["GET"])], "get"),
        ([("post", ["POST"]), ("any", None)], "any"),
    ],
)
def test_head_goes_where_get_goes_unless_there_is_a_view_for_it(
    routes: list[tuple[str, list[str] | None]], expected: str
) -> None:
    handler = ASGIHandler([path("a", named(name), methods=methods) for name, methods in routes])
    result = exchange(handler, "/a", "HEAD")
    assert (200, expected, b"") == (result.status, result.header("x-view"), result.body)
