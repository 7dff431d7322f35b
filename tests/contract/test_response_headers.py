"""Headers and cookies on their way to the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.contract.conftest import Door

JOINED = ("http-api", "function-url", "alb", "lattice-1", "lattice-2")
HOP_BY_HOP = (
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"transfer-encoding",
    b"upgrade",
    b"te",
    b"trailer",
)


def test_status_headers_and_body_reach_the_client(door: Door) -> None:
    got = door.answers(
        status=418,
        headers=[(b"Content-Type", b"text/plain"), (b"X-Tea", b"Darjeeling, first flush")],
        body=b"short and stout",
    )
    assert (418, b"short and stout") == (got.status, got.body)
    assert got.values("content-type") == ["text/plain"]
    assert got.values("x-tea") == ["Darjeeling, first flush"]


@pytest.mark.parametrize("status", [200, 201, 206, 226, 299, 301, 400, 404, 418, 451, 500, 599])
def test_any_status_from_200_to_599_passes(door: Door, status: int) -> None:
    assert door.answers(status=status, body=b"x").status == status


def test_repeated_headers_are_kept_apart_or_joined_where_the_door_has_one(door: Door) -> None:
    got = door.answers(headers=[(b"x-many", b"one"), (b"x-other", b"1"), (b"X-Many", b"two")])
    expected = ["one, two"] if door.name in JOINED else ["one", "two"]
    assert (expected, ["1"]) == (got.values("x-many"), got.values("x-other"))


def test_every_cookie_is_a_line_of_its_own(door: Door) -> None:
    lines = ["a=1; Expires=Wed, 21 Oct 2015 07:28:00 GMT", "b=2; Path=/", "c=3"]
    got = door.answers(headers=[(b"Set-Cookie", line.encode()) for line in lines])
    # VPC Lattice's first event version has no way to send more than one.
    assert (lines[-1:] if door.name == "lattice-1" else lines) == got.values("set-cookie")


def test_one_cookie_is_one_line(door: Door) -> None:
    got = door.answers(headers=[(b"set-cookie", b"a=1")])
    assert got.values("set-cookie") == ["a=1"]


def test_a_list_of_an_application_may_be_any_iterable(door: Door) -> None:
    start = {"type": "http.response.start", "status": 200, "headers": iter([[b"x-a", b"1"]])}
    got = door.says([start, {"type": "http.response.body"}])
    assert got.values("x-a") == ["1"]


def test_headers_may_be_left_out(door: Door) -> None:
    start = {"type": "http.response.start", "status": 200}
    got = door.says([start, {"type": "http.response.body", "body": b"ok"}])
    assert (200, b"ok") == (got.status, got.body)


@pytest.mark.parametrize("name", HOP_BY_HOP)
def test_headers_of_one_connection_are_left_out(door: Door, name: bytes) -> None:
    got = door.answers(headers=[(name.title(), b"chunked"), (b"x-kept", b"1")], body=b"x")
    assert ([], ["1"]) == (got.values(name.decode()), got.values("x-kept"))


def test_the_length_is_left_to_the_door(door: Door) -> None:
    raw = door.raw(headers=[(b"content-length", b"999")], body=b"x")
    assert "content-length" not in str(raw)


def test_of_several_content_types_the_first_is_sent(door: Door) -> None:
    headers = [(b"content-type", b"text/html"), (b"x-a", b"1"), (b"Content-Type", b"image/png")]
    raw = door.raw(headers=headers, body=b"<p>")
    assert ("image/png" in str(raw), "text/html" in str(raw)) == (False, True)
    assert not door.is_base64(raw)


def test_no_content_type_is_invented(door: Door) -> None:
    assert "content-type" not in str(door.raw(body=b"x"))


def test_values_that_are_not_utf8_are_latin1(door: Door) -> None:
    got = door.answers(headers=[(b"x-latin", b"caf\xe9"), (b"x-utf", "café ☕".encode())])
    assert (["café"], ["café ☕"]) == (got.values("x-latin"), got.values("x-utf"))


def test_excluded_headers_do_not_leave(door: Door) -> None:
    headers = [(b"X-Powered-By", b"penstock"), (b"set-cookie", b"a=1"), (b"x-kept", b"1")]
    got = door.answers(headers=headers, exclude_headers=["x-powered-by", "Set-Cookie"])
    assert ([], [], ["1"]) == (
        got.values("x-powered-by"),
        got.values("set-cookie"),
        got.values("x-kept"),
    )


def test_every_cookie_can_be_excluded_where_there_are_several(door: Door) -> None:
    headers = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    assert door.answers(headers=headers, exclude_headers=["set-cookie"]).values("set-cookie") == []


def test_names_without_letters_keep_their_values(door: Door) -> None:
    assert door.answers(headers=[(b"1", b"a")]).values("1") == ["a"]
