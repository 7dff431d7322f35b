"""Which bodies leave as text: JSON has no bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.contract.conftest import Door

ASCII = b"<a/>"
UTF8 = "é☕".encode()
LATIN1 = b"caf\xe9"

TEXT: list[tuple[str, bytes]] = [
    ("text/plain", ASCII),
    ("text/html; charset=utf-8", UTF8),
    ("text/html;charset=UTF-8", UTF8),
    ('text/html; charset="utf-8"', UTF8),
    ("text/html; Charset=utf8; version=1", UTF8),
    ("text/plain; charset=us-ascii", ASCII),
    ("TEXT/HTML", ASCII),
    ("text/x-whatever", UTF8),
    ("text/event-stream", ASCII),
    ("application/json", UTF8),
    ("Application/JSON; charset=utf-8", UTF8),
    ("application/problem+json", ASCII),
    ("application/vnd.api+json; version=1", ASCII),
    ("model/gltf+json", ASCII),
    ("application/xml", ASCII),
    ("application/atom+xml", ASCII),
    ("image/svg+xml", ASCII),
    ("application/javascript", ASCII),
    ("application/x-javascript", ASCII),
    ("application/ecmascript", ASCII),
    ("application/x-www-form-urlencoded", ASCII),
    ("application/yaml", ASCII),
    ("application/graphql", ASCII),
    ("application/x-ndjson", ASCII),
    ("", UTF8),
]
BASE64: list[tuple[str, bytes]] = [
    ("text/plain", LATIN1),
    ("application/json", b"\xff"),
    ("", b"\x89PNG\xff"),
    ("text/html; charset=iso-8859-1", ASCII),
    ("text/html; charset=utf-16", ASCII),
    ("application/json; charset=shift_jis", ASCII),
    ("application/octet-stream", ASCII),
    ("application/octet-stream; x=text/", ASCII),
    ("image/png", ASCII),
    ("application/pdf", UTF8),
    ("application/jsonx", ASCII),
    ("application/xhtml", ASCII),
    ("font/woff2", ASCII),
    ("multipart/form-data; boundary=x", ASCII),
]


def typed(content_type: str) -> list[tuple[bytes, bytes]]:
    return [(b"content-type", content_type.encode())] if content_type else []


@pytest.mark.parametrize(("content_type", "body"), TEXT)
def test_text_leaves_as_text(door: Door, content_type: str, body: bytes) -> None:
    raw = door.raw(headers=typed(content_type), body=body)
    assert not door.is_base64(raw)
    assert raw["body"] == body.decode()


@pytest.mark.parametrize(("content_type", "body"), BASE64)
def test_everything_else_leaves_as_base64(door: Door, content_type: str, body: bytes) -> None:
    assert door.is_base64(door.raw(headers=typed(content_type), body=body))
    assert body == door.answers(headers=typed(content_type), body=body).body


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"deflate", b"aws-chunked"])
def test_an_encoded_body_is_base64_whatever_it_looks_like(door: Door, coding: bytes) -> None:
    headers = [*typed("text/plain"), (b"Content-Encoding", coding)]
    assert door.is_base64(door.raw(headers=headers, body=ASCII))
    got = door.answers(headers=headers, body=ASCII)
    assert (ASCII, [coding.decode()]) == (got.body, got.values("content-encoding"))


def test_an_encoding_called_identity_is_none(door: Door) -> None:
    headers = [*typed("text/plain"), (b"content-encoding", b"identity")]
    assert not door.is_base64(door.raw(headers=headers, body=ASCII))


@pytest.mark.parametrize(
    ("content_type", "is_text"),
    [
        ("application/x-foo", True),
        ("Application/X-Foo; a=b", True),
        ("model/stl", True),
        ("application/x-foobar", False),
        ("application/x-foo; charset=utf-16", False),
        ("text/plain", True),
        ("models/stl", False),
    ],
)
def test_more_types_can_be_named(door: Door, content_type: str, *, is_text: bool) -> None:
    types = ["Application/x-foo", "model/*"]
    raw = door.raw(headers=typed(content_type), body=ASCII, text_types=types)
    assert is_text is not door.is_base64(raw)


def test_a_type_that_is_named_still_has_to_be_utf8(door: Door) -> None:
    raw = door.raw(headers=typed("a/b"), body=LATIN1, text_types=["a/b"])
    assert door.is_base64(raw)


def test_a_callable_decides_alone(door: Door) -> None:
    asked: list[str] = []

    def is_text(content_type: str) -> bool:
        asked.append(content_type)
        return content_type == "image/x; y=Z"

    image = door.raw(headers=typed("image/x; y=Z"), body=ASCII, text_types=is_text)
    html = door.raw(headers=typed("text/html"), body=ASCII, text_types=is_text)
    assert (False, True) == (door.is_base64(image), door.is_base64(html))
    assert asked == ["image/x; y=Z", "text/html"]


def test_a_callable_that_raises_costs_no_answer(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    def is_text(content_type: str) -> bool:
        raise LookupError("no such type")

    assert door.is_base64(door.raw(headers=typed("a/b"), body=ASCII, text_types=is_text))
    assert "no such type" in caplog.text


def test_no_body_is_text(door: Door) -> None:
    raw = door.raw(headers=typed("image/png"))
    assert "body" not in raw if door.name == "edge" else raw["body"] == ""
    assert door.answers(headers=typed("image/png")).body == b""
