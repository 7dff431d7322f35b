"""Header maps of responses and requests, dates."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.handler.dates import http_date, parse_http_date
from penstock.handler.exceptions import BadHeaderError
from penstock.handler.headers import RequestHeaders, ResponseHeaders

TOKEN = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
names = st.text(TOKEN, min_size=1, max_size=12)
values = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=20)


@pytest.mark.conformance("C127")
@pytest.mark.parametrize("value", ["a\rb", "a\nb", "a\0b", b"a\nb", "é\n", "☃\r"])
def test_values_that_would_split_a_response_are_refused(value: str | bytes) -> None:
    headers = ResponseHeaders()
    with pytest.raises(BadHeaderError, match="CR, LF and NUL"):
        headers["X-A"] = value
    with pytest.raises(BadHeaderError):
        headers.add("X-A", value)
    assert headers.raw() == []


@pytest.mark.conformance("C127")
@pytest.mark.parametrize("name", ["", "a b", "a:", "é", "a\r\nb", "a\0", "(a)"])
def test_names_that_are_no_token_are_refused(name: str) -> None:
    with pytest.raises(BadHeaderError, match="token"):
        ResponseHeaders()[name] = "x"


@pytest.mark.conformance("C127")
def test_values_are_latin_1_or_an_encoded_word() -> None:
    headers = ResponseHeaders({"a": "é", "b": "snow ☃ man", "c": b"\xe9", "d": 7})
    assert headers.raw() == [
        (b"a", b"\xe9"),
        (b"b", b"=?utf-8?b?c25vdyDimIMgbWFu?="),
        (b"c", b"\xe9"),
        (b"d", b"7"),
    ]


@given(value=values)
def test_any_clean_text_can_be_read_back(value: str) -> None:
    """As latin-1, or by the standard library's reader of encoded words."""
    [(_, raw)] = ResponseHeaders({"a": value}).raw()
    text = raw.decode("latin-1")
    if text != value:
        assert text.isascii()
        assert str(make_header(decode_header(text))) == value


@pytest.mark.conformance("C128")
def test_added_values_are_pairs_of_their_own_and_setting_replaces_them() -> None:
    headers = ResponseHeaders()
    headers.add("Link", "<a>")
    headers["X-B"] = "1"
    headers.add("link", "<b>")
    assert headers.raw() == [(b"link", b"<a>"), (b"link", b"<b>"), (b"x-b", b"1")]
    assert headers.getlist("LINK") == ["<a>", "<b>"]
    assert headers["link"] == "<a>, <b>"
    assert headers.get("link") == "<a>, <b>"
    headers["LINK"] = "<c>"
    assert headers.raw() == [(b"link", b"<c>"), (b"x-b", b"1")]
    assert headers.raw(preserve_case=True) == [(b"LINK", b"<c>"), (b"X-B", b"1")]


def test_the_raw_list_is_the_callers_own() -> None:
    headers = ResponseHeaders({"a": "1"})
    headers.raw().append((b"set-cookie", b"x"))
    assert headers.raw() == [(b"a", b"1")]
    headers["a"] = "2"
    assert headers.raw() == [(b"a", b"2")]


@given(st.lists(st.tuples(st.sampled_from(["set", "add", "del"]), names, values), max_size=12))
def test_headers_behave_as_a_list_of_pairs_would(changes: list[tuple[str, str, str]]) -> None:
    headers = ResponseHeaders()
    model: dict[str, list[str]] = {}
    for change, name, value in changes:
        if change == "set":
            headers[name] = value
            model[name.lower()] = [value]
        elif change == "add":
            headers.add(name, value)
            model.setdefault(name.lower(), []).append(value)
        else:
            del headers[name]
            model.pop(name.lower(), None)
    twin = copy.copy(headers)
    for one in (headers, twin):
        assert [name.decode() for name, _ in one.raw()] == [
            name for name, held in model.items() for _ in held
        ]
        assert len(one) == len(model)
        for name, held in model.items():
            assert len(one.getlist(name.upper())) == len(held)
    twin["only-here"] = "1"
    assert "only-here" not in headers


def test_mapping_methods_of_response_headers() -> None:
    headers = ResponseHeaders([("A", "1")])
    headers.add("a", "2")
    assert list(headers.items()) == [("A", "1"), ("A", "2")]
    assert len(headers.items()) == 2
    assert ("A", "2") in headers.items()
    assert list(headers) == ["A"]
    assert headers.setdefault("A", "3") == "1, 2"
    assert headers.pop("a") == "1, 2"
    assert headers.pop("a", None) is None
    assert "a" not in headers
    with pytest.raises(KeyError):
        headers["a"]
    assert repr(ResponseHeaders({"A": "1"})) == "ResponseHeaders([('A', '1')])"


@pytest.mark.conformance("C054")
def test_request_headers_are_found_by_any_spelling() -> None:
    raw = [(b"x-a", b"1"), (b"X-A", b"\xe9"), (b"x_a", b"hidden"), (b"cookie", b"a=1; ")]
    headers = RequestHeaders([*raw, (b"cookie", b"b=2")])
    assert headers["x_a"] == headers["X-A"] == headers.get("x-a") == "1,é"
    assert headers.getlist("X_A") == ["1", "é"]
    assert headers["Cookie"] == "a=1; b=2"
    assert "x-a" in headers
    assert "X-B" not in headers
    assert headers.get("x-b", "none") == "none"
    assert dict(headers) == {"X-A": "1,é", "Cookie": "a=1; b=2"}
    assert len(headers) == 2
    with pytest.raises(TypeError):
        headers["x-a"] = "2"  # type: ignore[index]


moments = st.datetimes(
    min_value=datetime(1, 1, 2),  # noqa: DTZ001 - the strategy adds the zone
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.just(UTC),
).map(lambda moment: moment.replace(microsecond=0))


@given(moments)
def test_dates_are_written_and_read_as_the_standard_library_does(moment: datetime) -> None:
    seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    text = http_date(seconds)
    assert text == format_datetime(moment, usegmt=True)
    assert parse_http_date(text) == seconds
    asctime = f"{moment.strftime('%a %b')} {moment.day:2d} {text[17:25]} {text[12:16]}"
    assert parse_http_date(asctime) == seconds


@given(moments.filter(lambda moment: 1980 <= moment.year <= 2060))
def test_the_two_obsolete_forms_of_dates_are_read(moment: datetime) -> None:
    day, month = f"{moment.day:02d}", moment.strftime("%b")
    clock = moment.strftime("%H:%M:%S")
    rfc_850 = f"{moment.strftime('%A')}, {day}-{month}-{moment.year % 100:02d} {clock} GMT"
    asctime = f"{moment.strftime('%a')} {month} {moment.day:2d} {clock} {moment.year}"
    assert parse_http_date(rfc_850) == parse_http_date(asctime) == moment.timestamp()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Wed, 29 Feb 1995 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, ०६ Nov 1994 08:49:37 GMT",
    ],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_http_date(text) is None


@given(st.text(max_size=40) | st.from_regex(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"))
def test_reading_a_date_never_raises(text: str) -> None:
    seconds = parse_http_date(text)
    if seconds is not None and "GMT" in text and ":60" not in text:
        assert parsedate_to_datetime(text).timestamp() == pytest.approx(seconds)
