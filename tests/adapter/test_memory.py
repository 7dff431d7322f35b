"""What is remembered from one request to the next is bounded, whatever clients and answers hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from penstock.adapter import headers, reply
from penstock.adapter.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.adapter.conftest import Function

MOST = 1024


@pytest.fixture
def names() -> Iterator[tuple[Any, Any]]:
    """The two memories of header names, empty at first."""
    memories: tuple[Any, Any] = (headers._request_names, headers._response_names)
    kept = [dict(memory) for memory in memories]
    for memory in memories:
        memory.clear()
    yield memories
    for memory, before in zip(memories, kept, strict=True):
        memory.clear()
        memory.update(before)


def test_header_names_are(function: Function, names: tuple[Any, Any]) -> None:
    for first in range(0, 3 * MOST, 100):
        sent = {f"x-{number}": "1" for number in range(first, first + 100)}
        answered = [(name.encode(), b"1") for name in sent]
        event = {"httpMethod": "GET", "path": "/", "headers": sent}
        answer = function.answer(event, headers=answered)
        assert sent == answer["headers"]
        assert set(sent) <= {name.decode() for name, _ in function.scope["headers"]}
    assert [MOST, MOST] == [len(memory) for memory in names]


def test_long_header_names_are_not_kept(function: Function, names: tuple[Any, Any]) -> None:
    name = "x" * 5000
    event = {"httpMethod": "GET", "path": "/", "headers": {name: "1"}}
    answer = function.answer(event, headers=[(name.encode(), b"1")])
    assert ({name: "1"}, [b"1"]) == (answer["headers"], function.values(name))
    assert [0, 0] == [len(memory) for memory in names]


def test_content_types_are() -> None:
    is_text = reply.TextRule(Settings().text_types)
    assert all(is_text(f"text/{number}") for number in range(MOST))
    assert 0 < len(is_text._decided) < MOST
