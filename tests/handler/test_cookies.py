"""Cookies in both directions; the standard library and Django are the reference."""

from __future__ import annotations

import http.cookies
from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.http.cookie import parse_cookie
from hypothesis import given
from hypothesis import strategies as st

from penstock.handler.cookies import ResponseCookies, parse_cookies
from penstock.handler.response import HttpResponse

TOKEN = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@given(st.text(st.characters(max_codepoint=126, min_codepoint=32), max_size=40))
def test_ascii_headers_are_read_as_django_reads_them(header: str) -> None:
    assert parse_cookies(header) == parse_cookie(header)


@given(st.text(st.sampled_from('ab=;" \\0123\x80é'), max_size=30))
def test_quotes_and_escapes_never_raise(header: str) -> None:
    cookies = parse_cookies(header)
    if header.isascii():
        assert cookies == parse_cookie(header)


@pytest.mark.conformance("C051")
def test_pairs_are_utf_8_each_on_its_own() -> None:
    header = b"a=\xc3\xa9; b=\xe9; c=\xe2\x98\x83".decode("latin-1")
    assert parse_cookies(header) == {"a": "é", "b": "é", "c": "☃"}


@pytest.mark.conformance("C052")
def test_cookies_without_name_repeated_and_quoted() -> None:
    assert parse_cookies('lonely; a=1; a=2; q="x\\"y\\054z"; open="; ;=;') == {
        "": "lonely",
        "a": "2",
        "q": 'x"y,z',
        "open": '"',
    }


RESERVED = http.cookies.Morsel().keys()  # names that http.cookies refuses; browsers do not
names = st.text(TOKEN, min_size=1, max_size=8).filter(lambda name: name.lower() not in RESERVED)


@given(names, st.text(st.characters(max_codepoint=255)))
def test_values_are_coded_as_http_cookies_does(name: str, value: str) -> None:
    theirs: http.cookies.SimpleCookie = http.cookies.SimpleCookie()
    theirs[name] = value
    ours = ResponseCookies()
    ours[name] = value
    assert ours.raw() == [theirs[name].OutputString().encode()]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(str.strip))
def test_any_value_comes_back(value: str) -> None:
    cookies = ResponseCookies()
    cookies["a"] = value
    [raw] = cookies.raw()
    assert parse_cookies(raw.decode("latin-1"))["a"] == value
    assert b";" not in raw
    assert not set(raw) & set(range(32))


@pytest.mark.conformance("C129")
def test_attributes_of_a_cookie() -> None:
    response = HttpResponse()
    response.set_cookie(
        "a",
        "1",
        max_age=timedelta(minutes=1.5),
        path="/p",
        domain="example.org",
        secure=True,
        httponly=True,
        samesite="None",
        partitioned=True,
    )
    text = response.cookies["a"].OutputString()
    start, expires, *rest = text.split("; ")[1:]
    assert (start, rest) == (
        "Domain=example.org",
        ["HttpOnly", "Max-Age=90", "Partitioned", "Path=/p", "SameSite=None", "Secure"],
    )
    when = datetime.strptime(expires, "expires=%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    assert timedelta(seconds=80) < when - datetime.now(UTC) < timedelta(seconds=91)


@pytest.mark.conformance("C129")
@pytest.mark.parametrize("zone", [UTC, None, timezone(timedelta(hours=3))], ids=str)
def test_a_datetime_becomes_max_age(zone: timezone | None) -> None:
    """One without a zone is in UTC."""
    expires = (datetime.now(UTC) + timedelta(hours=1)).astimezone(zone or UTC)
    if zone is None:
        expires = expires.replace(tzinfo=None)
    response = HttpResponse()
    response.set_cookie("a", expires=expires)
    assert 3000 < response.cookies["a"]["max-age"] <= 3600


@pytest.mark.conformance("C129")
def test_what_set_cookie_refuses() -> None:
    response = HttpResponse()
    with pytest.raises(ValueError, match="got both"):
        response.set_cookie("a", expires=datetime.now(UTC), max_age=1)
    with pytest.raises(ValueError, match="samesite"):
        response.set_cookie("a", samesite="sometimes")
    for name in ("", "a b", "a=b", "a;b", "é", "a\n"):
        with pytest.raises(ValueError, match="cookie name"):
            response.set_cookie(name, "1")
    for attribute in ("/;x", "/\r\nx", "/\0"):
        with pytest.raises(ValueError, match="path"):
            response.set_cookie("a", path=attribute)
        with pytest.raises(ValueError, match="domain"):
            response.set_cookie("a", domain=attribute)
        with pytest.raises(ValueError, match="expires"):
            response.set_cookie("a", expires=attribute)
    with pytest.raises(ValueError, match="expected one of"):
        response.cookies["a"]["colour"] = "blue"


@pytest.mark.conformance("C129")
def test_three_cookies_in_the_order_of_setting_and_one_set_twice() -> None:
    response = HttpResponse()
    response.set_cookie("b", "1", path=None)
    response.set_cookie("a", "2", path=None, secure=True)
    response.set_cookie("c", "☃", path=None)
    response.set_cookie("a", "3", path=None)
    assert response.cookies.raw() == [b"b=1", b"a=3", 'c="☃"'.encode()]
    assert response.headers.raw() == [(b"content-type", b"text/html; charset=utf-8")]
    assert str(response.cookies["b"]) == "Set-Cookie: b=1"
    assert response.cookies["b"]["path"] == ""
    with pytest.raises(KeyError):
        response.cookies["b"]["colour"]


@pytest.mark.conformance("C130")
@pytest.mark.parametrize(
    ("name", "samesite", "secure"),
    [
        ("a", None, False),
        ("a", "lax", False),
        ("a", "None", True),
        ("__Secure-a", None, True),
        ("__Host-a", "strict", True),
    ],
)
def test_deleting_is_secure_where_browsers_ask_for_it(
    name: str, samesite: str | None, *, secure: bool
) -> None:
    response = HttpResponse()
    response.delete_cookie(name, path="/p", domain="x.org", samesite=samesite)
    cookie = response.cookies[name]
    assert bool(cookie["secure"]) is secure
    assert cookie["expires"] == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert (cookie["max-age"], cookie["path"], cookie["domain"]) == (0, "/p", "x.org")
