"""Bodies in both directions, byte by byte."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.contract.conftest import Context, Door

EVERY_BYTE = bytes(range(256))
BODIES = {
    "text": (b"hello", "text/plain"),
    "unicode": ("crème brûlée ☕ \x07 \u2028".encode(), "text/plain; charset=utf-8"),
    "json": (b'{"a": "\\u00e9"}', "application/json"),
    "form": (b"a=1&b=%20", "application/x-www-form-urlencoded"),
    "binary": (EVERY_BYTE, "application/octet-stream"),
    "crlf": (b"a\r\nb\n\r", "text/plain"),
    "no type": (b"hello", ""),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_arrives_byte_by_byte(door: Door, name: str) -> None:
    body, content_type = BODIES[name]
    headers = (("Content-Type", content_type),) if content_type else ()
    seen = door.ask(method="POST", body=body, headers=headers)
    assert body == seen.body


def test_no_body_is_an_empty_one(door: Door) -> None:
    assert door.ask().body == b""


def test_a_large_body_arrives_whole(door: Door) -> None:
    size = {"alb": 990_000, "alb-multi": 990_000, "edge": 40_000}.get(door.name, 4_500_000)
    body = random.Random(7).randbytes(size)
    assert body == door.ask(method="POST", body=body).body


@pytest.mark.parametrize("name", BODIES)
def test_a_body_leaves_byte_by_byte(door: Door, name: str) -> None:
    body, content_type = BODIES[name]
    headers = [(b"content-type", content_type.encode())] if content_type else []
    assert body == door.answers(headers=headers, body=body).body


def test_a_body_in_many_pieces_is_put_together(door: Door) -> None:
    pieces = [b"one, ", b"", bytearray(b"two, "), memoryview(b"three")]
    messages: list[dict[str, Any]] = [
        {"type": "http.response.body", "body": piece, "more_body": True} for piece in pieces
    ]
    start = {"type": "http.response.start", "status": 200}
    end = {"type": "http.response.body"}
    assert door.says([start, *messages, end]).body == b"one, two, three"


def test_a_buffer_that_the_application_uses_again_is_copied(door: Door) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        buffer = bytearray(b"first")
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": buffer, "more_body": True})
        buffer[:] = b"XXXXX"
        await send({"type": "http.response.body"})

    assert door.send(door.adapter(app)).body == b"first"


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_that_has_no_body_is_sent_without(door: Door, status: int) -> None:
    got = door.answers(status=status, headers=[(b"x-kept", b"1")], body=b"not to be seen")
    assert (status, b"", ["1"]) == (got.status, got.body, got.values("x-kept"))


@pytest.mark.parametrize("status", [100, 101, 103, 199])
def test_an_interim_status_has_no_body_either(door: Door, status: int) -> None:
    got = door.answers(status=status, headers=[(b"content-length", b"3")], body=b"abc")
    # CloudFront takes none of them: there the application's mistake shows as an error.
    assert (500 if door.name == "edge" else status, b"") == (got.status, got.body)
    assert got.values("content-length") == (["0"] if door.name == "edge" else [])


def test_head_is_answered_without_a_body(door: Door) -> None:
    got = door.answers(method="HEAD", headers=[(b"x-kept", b"1")], body=EVERY_BYTE)
    assert (200, b"", ["1"]) == (got.status, got.body, got.values("x-kept"))


def test_head_keeps_the_length_that_the_application_gives(door: Door) -> None:
    got = door.answers(method="HEAD", headers=[(b"content-length", b"1234")])
    # At the edge the header is read-only, and an answer that has it is refused.
    assert ([] if door.name == "edge" else ["1234"]) == got.values("content-length")


def test_a_file_is_sent_by_its_path(door: Door, tmp_path: Path) -> None:
    file = tmp_path / "naïve name.bin"
    file.write_bytes(EVERY_BYTE)
    start = {"type": "http.response.start", "status": 200}
    got = door.says([start, {"type": "http.response.pathsend", "path": str(file)}])
    assert (200, EVERY_BYTE) == (got.status, got.body)


def test_an_empty_file_is_an_empty_body(door: Door, tmp_path: Path) -> None:
    file = tmp_path / "empty"
    file.touch()
    start = {"type": "http.response.start", "status": 200}
    got = door.says([start, {"type": "http.response.pathsend", "path": str(file)}])
    assert (200, b"") == (got.status, got.body)


def test_a_file_that_is_not_there_is_an_error_of_the_application(
    door: Door, tmp_path: Path
) -> None:
    for path in (tmp_path / "missing", tmp_path):
        start = {"type": "http.response.start", "status": 200}
        got = door.says([start, {"type": "http.response.pathsend", "path": str(path)}])
        assert (500, b"Internal Server Error") == (got.status, got.body)


def test_receive_tells_of_the_end_once_the_response_is_complete(door: Door) -> None:
    received: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        received.append(await receive())
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"done"})
        received.extend([await receive(), await receive()])

    assert door.send(door.adapter(app)).body == b"done"
    assert [message["type"] for message in received] == ["http.request"] + ["http.disconnect"] * 2


def test_who_waits_for_the_disconnect_is_woken_by_the_end(door: Door) -> None:
    import asyncio

    received: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def listen() -> None:
            received.append(await receive())

        await receive()
        listener = asyncio.create_task(listen())
        await send({"type": "http.response.start", "status": 200})
        await asyncio.sleep(0)
        assert received == []
        await send({"type": "http.response.body", "body": b"done"})
        await listener

    assert door.send(door.adapter(app)).body == b"done"
    assert received == [{"type": "http.disconnect"}]


def test_work_after_the_response_is_done_before_the_next_event(door: Door) -> None:
    import asyncio

    done: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"first"})
        await asyncio.sleep(0.001)
        done.append("after")

    assert door.send(door.adapter(app)).body == b"first"
    assert done == ["after"]


def test_an_application_that_swallows_a_refusal_is_told_that_nobody_listens(
    door: Door, context: Callable[..., Context]
) -> None:
    received: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        try:
            await send({"type": "http.response.body", "body": b"before the start"})
        except RuntimeError:
            received.append(await receive())

    # Without that the application would wait until its deadline.
    assert door.send(door.adapter(app), context=context(remaining_ms=30_000)).status == 500
    assert received == [{"type": "http.disconnect"}]


def test_who_waits_for_the_disconnect_is_woken_by_a_refusal(
    door: Door, context: Callable[..., Context]
) -> None:
    import asyncio

    received: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def listen() -> None:
            received.append(await receive())

        await receive()
        listener = asyncio.create_task(listen())
        await asyncio.sleep(0)
        try:
            await send({"type": "http.response.body", "body": b"before the start"})
        except RuntimeError:
            await listener

    assert door.send(door.adapter(app), context=context(remaining_ms=1000)).status == 500
    assert received == [{"type": "http.disconnect"}]
