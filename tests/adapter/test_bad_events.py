"""Events that are recognised and wrong: the client gets a 400, never an exception."""

from __future__ import annotations

import contextlib
import copy
import logging
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.adapter import UnsupportedEvent
from penstock.infra.gateway import SOURCES, ClientRequest, make_event, read_answer

if TYPE_CHECKING:
    from tests.adapter.conftest import Function

WITH_MAPS = [name for name in SOURCES if name != "edge"]
PROBE = ClientRequest(
    "POST",
    "/a%20b?x=1&x=2",
    (("Content-Type", "text/plain"), ("Cookie", "a=1"), ("X-A", "1")),
    b"hello",
)


def event_of(source: str) -> dict[str, Any]:
    return make_event(source, PROBE, request_id="id", time_ms=0)


def request_of(event: dict[str, Any]) -> dict[str, Any]:
    """The part of the event that holds the request's own facts."""
    request: dict[str, Any] = event["Records"][0]["cf"]["request"] if "Records" in event else event
    return request


def with_header(source: str, name: Any, value: Any) -> dict[str, Any]:
    event = event_of(source)
    request = request_of(event)
    if source == "edge":
        request["headers"][name] = [{"key": name, "value": value}]
    for key in ("headers", "multiValueHeaders"):
        if source != "edge" and key in request:
            lists = key != "headers" or source == "lattice-2"
            request[key][name] = [value] if lists else value
    return event


def with_method(source: str, method: Any) -> dict[str, Any]:
    event = event_of(source)
    if source in ("http-api", "function-url"):
        event["requestContext"]["http"]["method"] = method
    else:
        key = "method" if source in ("edge", "lattice-1", "lattice-2") else "httpMethod"
        request_of(event)[key] = method
    return event


def with_base64(source: str, text: str) -> dict[str, Any]:
    event = event_of(source)
    if source == "edge":
        request_of(event)["body"]["data"] = text
    else:
        flag = "is_base64_encoded" if source == "lattice-1" else "isBase64Encoded"
        event.update({"body": text, flag: True})
    return event


def is_refused(function: Function, source: str, event: Any) -> bool:
    function.scope = {}
    got = read_answer(source, function.answer(event), method="POST")
    if got.status == 400:
        assert (got.body, function.scope) == (b"Bad Request", {})
    return got.status == 400


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("text", ["%%%", "aGk", "aGk=\n", "aG k=", "a", "é", "aGk=====", "-_-_"])
def test_broken_base64_is_refused_and_nothing_cut_off(
    function: Function, source: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "penstock")
    assert is_refused(function, source, with_base64(source, text))
    [record] = caplog.records
    assert "request-1" in record.getMessage()
    assert "base64" in record.getMessage()


@pytest.mark.parametrize("source", SOURCES)
def test_the_log_has_no_values_of_a_refused_event(
    function: Function, source: str, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "s3cr3t"
    events = [
        with_base64(source, f"{secret}%"),
        with_header(source, "cookie", f"session={secret}\n"),
        with_header(source, "authorization", {"token": secret}),
    ]
    if source in ("http-api", "function-url"):
        events.append({**event_of(source), "cookies": [f"session={secret}\n"]})
        events.append({**event_of(source), "cookies": f"session={secret}"})
        events.append({**event_of(source), "rawQueryString": [f"token={secret}"]})
    for event in events:
        assert is_refused(function, source, event)
    assert len(caplog.records) == len(events)
    assert secret not in caplog.text


@pytest.mark.parametrize("source", SOURCES)
def test_a_last_character_with_spare_bits_is_accepted(function: Function, source: str) -> None:
    assert not is_refused(function, source, with_base64(source, "aGl="))
    assert function.body == b"hi"


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("method", ["", "GE T", "GET\r\nX: 1", "G\0T", "GÉT", "GET:", "(GET)"])
def test_a_method_that_is_none_is_refused(function: Function, source: str, method: str) -> None:
    assert is_refused(function, source, with_method(source, method))


@pytest.mark.parametrize("source", ["http-api", "function-url", "alb", "alb-multi", "edge"])
@pytest.mark.parametrize("method", [None, 5, ["GET"], {"GET": 1}])
def test_a_method_that_is_no_text_is_refused_or_no_request(
    function: Function, source: str, method: object
) -> None:
    assert is_refused(function, source, with_method(source, method))


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("value", ["a\rb", "a\nb", "a\r\nX-Admin: 1", "a\0b", "\n", "a\r"])
def test_header_values_cannot_split_a_request(function: Function, source: str, value: str) -> None:
    assert is_refused(function, source, with_header(source, "x-evil", value))


@pytest.mark.parametrize("source", ["http-api", "function-url"])
def test_cookies_cannot_split_a_request(function: Function, source: str) -> None:
    for cookies in (["a=1\r\nX: 1"], ["a=1", "b\0"], "a=1", {"a": 1}, 7):
        assert is_refused(function, source, {**event_of(source), "cookies": cookies})


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", ["", "x a", "x:a", "x\r\ny", "é", "x\0"])
def test_header_names_have_to_be_tokens(function: Function, source: str, name: str) -> None:
    assert is_refused(function, source, with_header(source, name, "1"))


@pytest.mark.parametrize("source", SOURCES)
def test_one_bad_header_among_many_is_found(function: Function, source: str) -> None:
    event = with_header(source, "x-evil", "a\nb")
    for number in range(20):
        event_with_more = with_header(source, f"x-{number}", "1")
        for key in ("headers", "multiValueHeaders"):
            headers = request_of(event_with_more).get(key)
            if headers:
                request_of(event)[key] = {**headers, **request_of(event)[key]}
    assert is_refused(function, source, event)


@pytest.mark.parametrize("source", WITH_MAPS)
@pytest.mark.parametrize(
    ("value", "expected"), [(5, b"5"), (1.5, b"1.5"), (True, b"true"), (False, b"false")]
)
def test_numbers_in_hand_made_events_become_text(
    function: Function, source: str, value: object, expected: bytes
) -> None:
    assert not is_refused(function, source, with_header(source, "x-n", value))
    assert [expected] == function.values("x-n")


@pytest.mark.parametrize("source", SOURCES)
def test_lists_within_lists_are_refused(function: Function, source: str) -> None:
    deep: Any = "1"
    for _ in range(900):
        deep = [deep]
    assert is_refused(function, source, with_header(source, "x-deep", deep))


@pytest.mark.parametrize("source", SOURCES)
def test_null_is_no_header(function: Function, source: str) -> None:
    assert not is_refused(function, source, with_header(source, "x-n", None))
    assert function.values("x-n") == []


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("value", ["é", "☕", "\ud800", "\x01\x7f", "\u2028", " \t "])
def test_other_text_passes_as_utf8(function: Function, source: str, value: str) -> None:
    assert not is_refused(function, source, with_header(source, "x-text", value))
    assert [value.encode("utf-8", "surrogatepass")] == function.values("x-text")


@pytest.mark.parametrize("source", SOURCES)
def test_lone_surrogates_in_a_body_pass(function: Function, source: str) -> None:
    event = event_of(source)
    if source == "edge":
        request_of(event)["body"] = {"encoding": "text", "data": "a\ud800"}
    else:
        event["body"] = "a\ud800"
    assert not is_refused(function, source, event)
    assert function.body == "a\ud800".encode("utf-8", "surrogatepass")


ODD_PATHS = ["/%00", "/..", "/../../etc/passwd", "//x", "/%2e%2e/", "/%", "/%f", "/%zz", "/%ff%fe"]
ODD_PATHS += ["/\n", "/é", "/ ", "/\ud800", "/\x00", "/\x7f", "x", "", "*", "http://a/b"]
PATH_KEYS = {
    "rest-api": "path",
    "http-api": "rawPath",
    "http-api-1": "path",
    "function-url": "rawPath",
    "alb": "path",
    "alb-multi": "path",
    "edge": "uri",
    "lattice-1": "raw_path",
    "lattice-2": "path",
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("path", ODD_PATHS)
def test_odd_paths_reach_the_application(function: Function, source: str, path: str) -> None:
    event = event_of(source)
    request_of(event)[PATH_KEYS[source]] = path
    assert not is_refused(function, source, event)
    scope = function.scope
    raw_path = scope["raw_path"].decode("ascii")
    assert scope["path"].startswith("/")
    assert (raw_path.startswith("/"), raw_path.isprintable(), " " in raw_path) == (
        True,
        True,
        False,
    )


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("path", [None, 5, ["/x"], {}])
def test_a_path_that_is_no_text_is_refused_or_no_request(
    function: Function, source: str, path: object
) -> None:
    event = event_of(source)
    request_of(event)[PATH_KEYS[source]] = path
    with contextlib.suppress(UnsupportedEvent):
        assert is_refused(function, source, event)


@pytest.mark.parametrize("source", WITH_MAPS)
@pytest.mark.parametrize("value", [None, "", "None", [], 5, True])
def test_maps_that_are_none_are_empty(function: Function, source: str, value: object) -> None:
    event = event_of(source)
    keys = ["headers", "multiValueHeaders", "queryStringParameters", "pathParameters"]
    for key in [*keys, "multiValueQueryStringParameters", "query_string_parameters"]:
        if key in event:
            event[key] = value
    assert not is_refused(function, "alb" if source == "alb-multi" else source, event)


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=4),
    st.sampled_from(["\r\n", "\ud800", "%", "é"]),
    st.lists(st.none() | st.integers() | st.text(max_size=2), max_size=2),
    st.dictionaries(st.text(max_size=2), st.none() | st.text(max_size=2), max_size=2),
)


@pytest.mark.parametrize("source", SOURCES)
@given(data=st.data())
@settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_one_key_holds_the_answer_is_well_formed(
    function: Function, source: str, data: st.DataObject
) -> None:
    event = copy.deepcopy(event_of(source))
    holder: Any = event
    while True:
        keys = list(range(len(holder)) if isinstance(holder, list) else holder)
        key = data.draw(st.sampled_from(keys))
        inner = holder[key]
        if not inner or not isinstance(inner, dict | list) or data.draw(st.booleans()):
            break
        holder = inner
    holder[key] = data.draw(JUNK)
    try:
        answer = function.answer(event)
    except UnsupportedEvent:
        return
    # A changed event can be another door's: the answer says which form it has.
    forms = [source, "alb", "alb-multi", "rest-api", "http-api-1", "http-api", "function-url"]
    assert any(is_answer_of(form, answer) for form in forms), answer


def is_answer_of(source: str, answer: Any) -> bool:
    from penstock.infra.gateway import MalformedAnswer

    try:
        return read_answer(source, answer, method="POST").status in (200, 400, 413)
    except MalformedAnswer:
        return False
