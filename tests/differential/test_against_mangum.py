"""Every difference between Mangum and penstock's ``Mangum`` is an intended one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.infra.gateway import ClientRequest, RequestRefused, make_event
from tests.differential.both import PLAIN, Options, Response, run
from tests.differential.corpus import (
    BASE_PATH_TARGETS,
    BASE_PATHS,
    OPTIONS,
    REQUESTS,
    RESPONSES,
    SOURCES,
    recorded_events,
)
from tests.differential.difference import unexplained
from tests.differential.differences import DIFFERENCES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.differential.both import Case

METHODS = (ClientRequest("GET", "/"), ClientRequest("HEAD", "/"))
DOORS: tuple[tuple[str, dict[str, Any]], ...] = (
    *((source, {}) for source in SOURCES),
    ("rest-api", {"stage": "dev"}),
    ("rest-api", {"domain": "api.example.com"}),
    ("rest-api", {"domain": "api.example.com", "base_path_mapping": "shop"}),
    ("rest-api", {"binary_media_types": ()}),
    ("rest-api", {"binary_media_types": ("*/*",)}),
    ("http-api", {"stage": "dev"}),
    ("http-api", {"stage": "dev", "domain": "api.example.com"}),
    ("http-api-1", {"stage": "dev"}),
    ("http-api-1", {"stage": "dev", "domain": "api.example.com"}),
    ("alb", {"scheme": "http"}),
    ("alb-multi", {"scheme": "http"}),
    ("edge", {"edge_event_type": "origin-request"}),
)


def report(case: Case) -> list[str]:
    lines, _ = unexplained(case, DIFFERENCES)
    told = json.dumps(case.event)[:2000]
    about = f"{case.source}, {case.options}, sent {str(case.response)[:300]}, event {told}"
    return [f"{line}\n    in {about}" for line in lines]


def check(cases: Iterable[Case], *, at_least: int) -> None:
    problems, count = [], 0
    for case in cases:
        count += 1
        problems += report(case)
    assert not problems, f"{len(problems)} unexplained:\n" + "\n".join(problems[:10])
    assert count >= at_least


def let_in(source: str, requests: Iterable[ClientRequest], **door: Any) -> Iterable[Any]:
    for request in requests:
        try:
            yield make_event(source, request, **door)
        except RequestRefused:
            continue


@pytest.mark.parametrize(("source", "door"), DOORS, ids=str)
def test_requests(source: str, door: dict[str, Any]) -> None:
    check(
        (
            run(source, event, options=options)
            for event in let_in(source, REQUESTS, **door)
            for options in OPTIONS[:2]
        ),
        at_least=2 * len(REQUESTS) - 4,
    )


@pytest.mark.parametrize("source", SOURCES)
def test_responses(source: str) -> None:
    check(
        (
            run(source, event, response, options)
            for event in let_in(source, METHODS)
            for response in RESPONSES
            for options in OPTIONS
        ),
        at_least=2 * len(RESPONSES) * len(OPTIONS),
    )


@pytest.mark.parametrize("base_path", BASE_PATHS)
def test_base_paths(base_path: str) -> None:
    requests = [ClientRequest("GET", target) for target in BASE_PATH_TARGETS]
    check(
        (
            run(source, event, options=Options(base_path=base_path))
            for source in SOURCES
            for event in let_in(source, requests)
        ),
        at_least=len(SOURCES) * len(requests),
    )


@pytest.mark.parametrize("options", [PLAIN, OPTIONS[1], Options(base_path="/dev")], ids=str)
def test_recorded_events(options: Options) -> None:
    events = recorded_events()
    if not events:
        pytest.skip("the folder of recorded events is not beside this checkout")
    check((run(source, event, options=options) for source, _, event in events), at_least=150)


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
NAMES = st.sampled_from(
    [
        "x-a",
        "X-A",
        "x-b",
        "cookie",
        "Cookie",
        "accept",
        "content-type",
        "if-none-match",
        "date",
        "x-forwarded-for",
        "via",
        "authorization",
        "user-agent",
        "origin",
        "referer",
        "x-forwarded-proto",
        "content-encoding",
    ]
)
PIECES = st.one_of(
    st.sampled_from(
        [
            "/",
            "//",
            "%2F",
            "%2f",
            "%25",
            "%2541",
            "%00",
            "%E9",
            "%FF",
            "%C3%A9",
            "%zz",
            "%",
            "+",
            "%20",
            ";",
            "=",
            ",",
            ":",
            "@",
            "~",
            "a",
            "..",
            ".",
            "%3F",
        ]
    ),
    st.text("abcXYZ019-._~!$&'()*", min_size=1, max_size=4),
)
QUERIES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "a=1",
                "a=2",
                "b=",
                "c",
                "=d",
                "&",
                "=",
                "+",
                "%20",
                "%2B",
                "%26",
                "%E9",
                "%C3%A9",
                "a+b=1",
                "a%20b=2",
                "x;y",
                "?",
            ]
        ),
        st.text("abz09=&+%", max_size=4),
    ),
    max_size=5,
).map("&".join)


@st.composite
def requests(draw: st.DrawFn) -> ClientRequest:
    path = "/" + "".join(draw(st.lists(PIECES, max_size=6)))
    query = draw(QUERIES)
    return ClientRequest(
        draw(st.sampled_from(("GET", "POST", "HEAD", "PUT"))),
        f"{path}?{query}" if query else path,
        tuple(draw(st.lists(st.tuples(NAMES, TEXT), max_size=6))),
        draw(st.one_of(st.binary(max_size=40), TEXT.map(str.encode))),
        draw(st.sampled_from(("203.0.113.7", "2001:db8::1"))),
    )


HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            b"x-a X-A x-b set-cookie Set-Cookie content-type Content-Type content-encoding vary"
            b" connection content-length transfer-encoding via location etag".split()
        ),
        st.one_of(
            st.sampled_from(
                [
                    b"text/plain",
                    b"text/html; charset=UTF-8",
                    b"application/json",
                    b"image/png",
                    b"a/b+json",
                    b"text/x; charset=latin-1",
                    b"gzip",
                    b"identity",
                    b"",
                    b"caf\xc3\xa9",
                    b"caf\xe9",
                ]
            ),
            st.text("abc =;,", max_size=8).map(str.encode),
        ),
    ),
    max_size=6,
).map(tuple)
ANSWERS = st.builds(
    Response,
    st.sampled_from((200, 201, 204, 301, 304, 404, 500, 599)),
    HEADERS,
    st.lists(st.one_of(st.binary(max_size=20), TEXT.map(str.encode)), max_size=3).map(tuple),
)


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(DOORS), requests(), ANSWERS, st.sampled_from(OPTIONS))
def test_whatever_comes(
    door: tuple[str, dict[str, Any]], request_: ClientRequest, response: Response, options: Options
) -> None:
    source, settings_ = door
    for event in let_in(source, [request_], **settings_):
        problems = report(run(source, event, response, options))
        assert not problems, "\n".join(problems)
