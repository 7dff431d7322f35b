"""Accept headers and header parameters; Django is the reference."""

from __future__ import annotations

import django.conf
import pytest
from django.http import HttpRequest as DjangoRequest
from django.http.request import MediaType as DjangoMediaType
from django.utils.http import parse_header_parameters as django_parameters
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.http import parse_accept_header

from penstock.handler.negotiation import (
    MediaType,
    accepted_codings,
    accepted_type,
    accepted_types,
    parse_header_parameters,
    preferred_type,
)

if not django.conf.settings.configured:
    django.conf.settings.configure()

qualities = st.sampled_from(["", ";q=0", ";q=0.5", "; q=0.25", ";q=1", ";q=x", ";q=-1", ";q=7"])
ranges = st.tuples(
    st.sampled_from(["*/*", "text/*", "text/html", "TEXT/plain", "text/html;level=1", "a/b", "x"]),
    qualities,
).map("".join)
accepts = st.lists(ranges, max_size=5).map(", ".join)
offers = st.lists(
    st.sampled_from(["text/html", "text/plain", "text/html;level=1", "a/b", "c/d"]), max_size=4
)


@pytest.mark.conformance("C066")
@given(accepts, offers)
def test_media_types_are_chosen_as_django_chooses_them(header: str, offered: list[str]) -> None:
    request = DjangoRequest()
    request.META["HTTP_ACCEPT"] = header
    types = accepted_types(header)
    assert [str(one) for one in types] == [str(one) for one in request.accepted_types]
    assert preferred_type(types, offered) == request.get_preferred_type(offered)
    for one in offered:
        ours, theirs = accepted_type(types, one), request.accepted_type(one)
        assert str(ours) == str(theirs)


@pytest.mark.conformance("C066")
def test_quality_then_specificity() -> None:
    types = accepted_types("*/*;q=0.1, text/*, text/html;level=1, text/html, a/b;q=0, c/d;q=none")
    assert [str(one) for one in types] == [
        "text/html; level=1",
        "text/html",
        "c/d; q=none",
        "text/*",
        "*/*; q=0.1",
    ]
    assert accepted_type(types, "a/b") is types[-1]
    assert accepted_type(accepted_types("a/b;q=0"), "a/b") is None
    assert preferred_type(types, ["image/png", "text/plain"]) == "text/plain"
    assert repr(types[0]) == "<MediaType: text/html; level=1>"


@given(ranges, ranges)
def test_matching_is_djangos(one: str, other: str) -> None:
    ours = MediaType(one).match(other)
    assert ours == DjangoMediaType(one).match(other)


names = st.text("abcXYZ-", min_size=1, max_size=5)
texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)


@given(st.lists(st.tuples(names, texts), max_size=4, unique_by=lambda pair: pair[0].lower()))
def test_quoted_parameters_come_back(parameters: list[tuple[str, str]]) -> None:
    line = "form-data"
    for name, text in parameters:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        line += f'; {name}="{escaped}"'
    expected = {name.lower(): text for name, text in parameters}
    assert parse_header_parameters(line) == ("form-data", expected)


@pytest.mark.parametrize(
    "line",
    [
        "text/html",
        " Text/HTML ; Charset=UTF-8",
        "a/b; filename*=utf-8''%e2%82%ac.txt",
        "a/b; filename*=iso-8859-1'en'%E9",
        'a/b; x*0="1"; x*1="2"; y=3',
        "a/b; x*0*=utf-8''%C3%A9; x*1*=%C3%A8",
        "a/b; c=d;;; e=f",
        "a/b; q",
        'a/b; q="0.5" ; x = 3',
        "",
    ],
)
def test_parameters_are_read_as_django_reads_them(line: str) -> None:
    assert parse_header_parameters(line) == django_parameters(line)


@given(st.text(st.sampled_from("a;=\"'\\*0%é ,/"), max_size=30))
def test_reading_parameters_never_raises(line: str) -> None:
    value, parameters = parse_header_parameters(line)
    assert ";" not in value
    assert all(name == name.lower() for name in parameters)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["gzip", "br", "identity", "*", "X-GZIP"]),
            st.sampled_from(["", ";q=0", ";q=0.5", "; q=1", ";q=0.001"]),
        ),
        max_size=5,
        unique_by=lambda pair: pair[0],
    )
)
def test_codings_are_read_as_werkzeug_reads_them(codings: list[tuple[str, str]]) -> None:
    header = ", ".join(map("".join, codings))
    theirs = {name.lower(): quality for name, quality in parse_accept_header(header)}
    assert accepted_codings(header) == theirs
