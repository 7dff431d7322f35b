"""Invocations as the Runtime API hands them out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.adapter.runtime.protocol import Invocation, ResponseParser

if TYPE_CHECKING:
    from collections.abc import Mapping


def make_invocation(headers: Mapping[str, str], event: bytes = b"{}") -> Invocation:
    """Return the invocation that comes with these ``Lambda-Runtime-…`` headers."""
    lines = "".join(f"Lambda-Runtime-{name}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 200 OK\r\n{lines}Content-Length: {len(event)}\r\n\r\n"
    response = ResponseParser().feed(head.encode() + event)
    assert response is not None
    return Invocation(response)
