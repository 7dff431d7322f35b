"""Answers that are too large for the front door, or just fit."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.infra.gateway import ClientResponse
    from tests.contract.conftest import Door

LAMBDA_LIMIT = 6_291_556
LIMITS = {"alb": 1_000_000, "alb-multi": 1_000_000, "edge": 40_000}
TEXT = [(b"content-type", b"text/plain")]


@pytest.fixture(autouse=True)
def on_no_lambda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_EXECUTION_ENV", raising=False)


def limit_of(door: Door) -> int:
    return LIMITS.get(door.name, LAMBDA_LIMIT)


def sent_by_lambda(answer: Any, *, escapes: bool) -> int:
    """The bytes that AWS's client posts."""
    return len(json.dumps(answer, ensure_ascii=escapes).encode())


def room_for(door: Door, character: str, *, escapes: bool) -> int:
    """How often the character fits into an answer."""
    empty = sent_by_lambda(door.raw(headers=TEXT, body=b"x"), escapes=escapes) - 1
    each = sent_by_lambda(character, escapes=escapes) - 2
    return (limit_of(door) - empty) // each


def refused(door: Door, got: ClientResponse) -> bool:
    """Whether the client is told that the response is too large, and what the limit is."""
    if got.status == 200:
        return False
    assert got.status == 502
    assert b"too large" in got.body
    assert str(limit_of(door)).encode() in got.body
    return True


@pytest.mark.parametrize("character", ["x", '"', "\n", "\x00", "é", "☕", "🐘"])
def test_text_is_measured_as_the_json_that_leaves(door: Door, character: str) -> None:
    most = room_for(door, character, escapes=True)
    fits = door.answers(headers=TEXT, body=(character * most).encode())
    exceeds = door.answers(headers=TEXT, body=(character * (most + 1)).encode())
    assert (character * most).encode() == fits.body
    assert (False, True) == (refused(door, fits), refused(door, exceeds))


@pytest.mark.parametrize("image", ["AWS_Lambda_python3.12", "AWS_Lambda_python3.13"])
def test_newer_images_send_text_without_escapes(
    door: Door, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EXECUTION_ENV", image)
    most = room_for(door, "é", escapes=False)
    assert most > 2 * room_for(door, "é", escapes=True)
    assert not refused(door, door.answers(headers=TEXT, body=b"\xc3\xa9" * most))
    assert refused(door, door.answers(headers=TEXT, body=b"\xc3\xa9" * (most + 1)))


@pytest.mark.parametrize("character", ["\u2028", "\u2029"])
def test_newer_images_escape_two_characters_all_the_same(
    door: Door, character: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EXECUTION_ENV", "AWS_Lambda_python3.13")
    most = room_for(door, character, escapes=True)
    assert not refused(door, door.answers(headers=TEXT, body=(character * most).encode()))
    assert refused(door, door.answers(headers=TEXT, body=(character * (most + 1)).encode()))


def test_older_images_send_text_with_escapes(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EXECUTION_ENV", "AWS_Lambda_python3.11")
    most = room_for(door, "é", escapes=True)
    assert not refused(door, door.answers(headers=TEXT, body=b"\xc3\xa9" * most))
    assert refused(door, door.answers(headers=TEXT, body=b"\xc3\xa9" * (most + 1)))


def test_base64_counts_four_thirds(door: Door) -> None:
    empty = sent_by_lambda(door.raw(body=b"\xff"), escapes=True) - 4
    most = (limit_of(door) - empty) // 4 * 3
    fits = door.answers(body=b"\xff" * most)
    assert (200, most) == (fits.status, len(fits.body))
    assert refused(door, door.answers(body=b"\xff" * (most + 1)))


def test_headers_count_as_well(door: Door) -> None:
    headers = [(b"x-large", b"v" * limit_of(door))]
    assert refused(door, door.answers(headers=headers, body=b"x"))


def test_headers_that_json_doubles_count_double(door: Door) -> None:
    size = limit_of(door) // 2
    assert not refused(door, door.answers(headers=[(b"x-large", b"v" * size)]))
    assert refused(door, door.answers(headers=[(b"x-large", b'"' * size)]))


def test_an_endless_stream_is_stopped_early(door: Door) -> None:
    pieces: list[int] = []
    raised: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": TEXT})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x" * 10_000, "more_body": True})
                pieces.append(10_000)
        except Exception as error:
            raised.append(type(error).__name__)
            raise

    assert refused(door, door.send(door.adapter(app)))
    assert sum(pieces) <= limit_of(door)
    assert raised == ["PayloadTooLarge"]


def test_an_endless_stream_that_goes_on_regardless_is_refused_each_time(door: Door) -> None:
    refusals: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": TEXT})
        while len(refusals) < 3:
            try:
                body = b"x" * (limit_of(door) // 2)
                await send({"type": "http.response.body", "body": body, "more_body": True})
            except Exception as error:
                refusals.append(type(error).__name__)

    assert refused(door, door.send(door.adapter(app)))
    assert refusals == ["PayloadTooLarge"] * 3


def test_a_file_that_is_too_large_is_not_read(door: Door, tmp_path: Path) -> None:
    file = tmp_path / "large"
    with file.open("wb") as writer:
        writer.truncate(limit_of(door) + 1)
    raised: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        try:
            await send({"type": "http.response.pathsend", "path": str(file)})
        except Exception as error:
            raised.append(type(error).__name__)
            raise

    assert refused(door, door.send(door.adapter(app)))
    assert raised == ["PayloadTooLarge"]


def test_the_log_names_request_size_and_limit(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "penstock")
    most = room_for(door, "x", escapes=True)
    door.answers(headers=TEXT, body=b"x" * (most + 5))
    [record] = caplog.records
    message = record.getMessage()
    expected = ("request-1", str(limit_of(door) + 5), str(limit_of(door)))
    assert [text for text in expected if text not in message] == []


def test_the_next_answer_is_sent_again(door: Door) -> None:
    sizes = iter([limit_of(door), 5])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": TEXT})
        await send({"type": "http.response.body", "body": b"x" * next(sizes)})

    adapter = door.adapter(app)
    assert refused(door, door.send(adapter))
    assert door.send(adapter).body == b"xxxxx"
