"""Headers and cookies on their way to the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.contract.conftest import Door

REPEATED = {
    "http-api": [b"one,two"],
    "function-url": [b"one,two"],
    "alb": [b"two"],
    "lattice-1": [b"one, two"],
}
COOKIE_LINES = {"alb": [b"b=2"], "lattice-1": [b"a=1, b=2"]}


def test_a_repeated_header_arrives_as_the_front_door_still_has_it(door: Door) -> None:
    seen = door.ask(headers=(("X-Many", "one"), ("X-Many", "two")))
    assert seen.values("x-many") == REPEATED.get(door.name, [b"one", b"two"])


def test_commas_in_a_value_are_data(door: Door) -> None:
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    assert door.ask(headers=(("If-Modified-Since", date),)).values("if-modified-since") == [
        date.encode()
    ]


def test_an_empty_value_stays_a_header(door: Door) -> None:
    assert door.ask(headers=(("X-Empty", ""),)).values("x-empty") == [b""]


def test_cookies_come_in_one_line_and_once(door: Door) -> None:
    seen = door.ask(headers=(("Cookie", "a=1; b=2"), ("X-Other", "1")))
    assert seen.values("cookie") == [b"a=1; b=2"]


def test_a_comma_in_a_cookie_is_data(door: Door) -> None:
    assert door.ask(headers=(("Cookie", "a=1,2; b=3"),)).values("cookie") == [b"a=1,2; b=3"]


def test_cookie_lines_of_http2_clients_are_joined_as_rfc_9113_says(door: Door) -> None:
    seen = door.ask(headers=(("Cookie", "a=1"), ("Cookie", "b=2")))
    assert seen.values("cookie") == COOKIE_LINES.get(door.name, [b"a=1; b=2"])


def test_no_cookie_is_no_header(door: Door) -> None:
    assert door.ask().values("cookie") == []


def test_the_content_length_is_that_of_the_body(door: Door) -> None:
    for body in ("é".encode(), b"\xff\x00", b"x" * 3000):
        seen = door.ask(method="POST", body=body)
        assert seen.values("content-length") == [b"%d" % len(body)]


def test_a_content_length_that_is_wrong_is_corrected(door: Door) -> None:
    event = door.event(method="POST", body=b"hello", headers=(("Content-Type", "text/plain"),))
    _set_header(event, "content-length", "999")
    seen = door.ask_with(event)
    assert (seen.body, seen.values("content-length")) == (b"hello", [b"5"])


def test_a_content_length_without_a_body_becomes_zero(door: Door) -> None:
    event = door.event(method="POST")
    _set_header(event, "content-length", "999")
    seen = door.ask_with(event)
    assert (seen.body, seen.values("content-length")) == (b"", [b"0"])


def test_an_empty_body_gets_no_content_length_of_ours(door: Door) -> None:
    assert door.ask().values("content-length") in ([], [b"0"])


def test_transfer_encoding_is_dropped_as_the_body_is_complete(door: Door) -> None:
    event = door.event(method="POST", body=b"hello")
    _set_header(event, "transfer-encoding", "chunked")
    seen = door.ask_with(event)
    assert seen.values("transfer-encoding") == []
    assert seen.values("content-length") == [b"5"]


def test_forwarding_headers_are_passed_on(door: Door) -> None:
    headers = (("Forwarded", "for=192.0.2.1"), ("X-Forwarded-Host", "shop.example"))
    seen = door.ask(headers=headers)
    assert seen.values("forwarded") == [b"for=192.0.2.1"]
    assert seen.values("x-forwarded-host") == [b"shop.example"]


def test_headers_can_be_filled_from_others(door: Door) -> None:
    seen = door.ask(
        headers=(("Host", "origin.example"), ("X-Public-Host", "shop.example:8443")),
        headers_from={"Host": "X-Public-Host", "authorization": "x-missing"},
    )
    assert seen.values("host") == [b"shop.example:8443"]
    assert seen.values("authorization") == []
    assert seen.scope["server"] == ("shop.example", 8443)


def test_a_header_that_was_eaten_by_the_gateway_can_be_restored(door: Door) -> None:
    seen = door.ask(
        headers=(("X-Authorization", "Bearer abc"),),
        headers_from={"authorization": "x-authorization"},
    )
    assert seen.values("authorization") == [b"Bearer abc"]
    assert seen.values("x-authorization") == [b"Bearer abc"]


def test_the_client_is_what_the_front_door_asserts(door: Door) -> None:
    seen = door.ask(headers=(("X-Forwarded-For", "192.0.2.66"),))
    assert seen.scope["client"] == ("203.0.113.7", 0)


def test_trusted_hops_count_from_the_right_behind_balancers(door: Door) -> None:
    seen = door.ask(headers=(("X-Forwarded-For", "192.0.2.66, 198.51.100.9"),), trusted_hops=2)
    trusted = door.name.startswith(("alb", "lattice"))
    assert seen.scope["client"] == ("198.51.100.9" if trusted else "203.0.113.7", 0)


def test_more_trusted_hops_than_there_are_give_no_client(door: Door) -> None:
    client = door.ask(trusted_hops=5).scope["client"]
    trusted = door.name.startswith(("alb", "lattice"))
    assert client == (None if trusted else ("203.0.113.7", 0))


def _set_header(event: dict[str, object], name: str, value: str) -> None:
    """Write a header into an event of any kind, as a door or a tester might."""
    records = event.get("Records")
    if isinstance(records, list):
        entry = {"key": name, "value": value}
        records[0]["cf"]["request"]["headers"][name] = [entry]
        return
    for key in ("headers", "multiValueHeaders"):
        headers = event.get(key)
        if isinstance(headers, dict):
            for spelling in [old for old in headers if old.lower() == name]:
                del headers[spelling]
            lists = any(isinstance(old, list) for old in headers.values())
            headers[name] = [value] if lists else value
