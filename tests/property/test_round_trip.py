"""Any request reaches the application, and any answer the client, but for what events cannot hold.

``LOSSES`` is the whole list of what they cannot hold; docs/losses.md is the same list for users.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote_from_bytes, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.adapter import LambdaAdapter
from penstock.infra.gateway import SOURCES, ClientRequest, ClientResponse, make_event, read_answer

REPEATS_JOINED = "repeated headers are one value, joined with commas"
REPEATS_LAST = "of repeated headers and cookie lines the last is left"
HEADERS_DROPPED = "some headers are dropped"
QUERY_ORDER = "the order between different query names"
QUERY_FLAG = "`?flag` is `?flag=`"
QUERY_ESCAPES = "how the query was escaped, and bytes in it that are not UTF-8"
QUERY_LAST = "of a repeated query name the last is left"
PATH_ESCAPES = "how the path was escaped (`%2F` is `/`), and bytes in it that are not UTF-8"
PATH_CUT = "the path from an encoded `?` (`%3F`) on"
PATH_SLASHES = "slashes at the beginning of the path but one"
ANSWER_JOINED = "repeated headers of the answer are one value, joined with commas"
ANSWER_COOKIE = "of several cookies of the answer the last is left"
ANSWER_RENAMED = "some headers of the answer are renamed or dropped"
ANSWER_REFUSED = "headers of the answer that would be refused are left out"

LOSSES: dict[str, set[str]] = {
    "rest-api": {
        HEADERS_DROPPED,
        QUERY_ORDER,
        QUERY_FLAG,
        QUERY_ESCAPES,
        PATH_SLASHES,
        ANSWER_RENAMED,
    },
    "http-api": {REPEATS_JOINED, PATH_ESCAPES, PATH_CUT, ANSWER_JOINED},
    "http-api-1": {QUERY_ORDER, QUERY_FLAG, QUERY_ESCAPES},
    "function-url": {REPEATS_JOINED, ANSWER_JOINED},
    "alb": {REPEATS_LAST, QUERY_ORDER, QUERY_FLAG, QUERY_LAST, ANSWER_JOINED},
    "alb-multi": {QUERY_ORDER, QUERY_FLAG},
    "edge": {ANSWER_REFUSED},
    "lattice-1": {REPEATS_JOINED, ANSWER_JOINED, ANSWER_COOKIE},
    "lattice-2": {ANSWER_JOINED},
}

TOKEN = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
DROPPED = ["connection", "content-md5", "expect", "max-forwards", "server", "te", "trailer"]
DROPPED += ["upgrade", "www-authenticate"]
RENAMED = ["authorization", "content-md5", "date", "max-forwards", "server", "user-agent"]
RENAMED += ["www-authenticate"]
NOT_SENT_ON = ["expect", "host", "proxy-authenticate"]
REFUSED = ["via", "host", "expect", "x-cache", "x-real-ip", "accept-encoding", "if-range"]
REFUSED += ["x-edge-a", "x-amz-cf-id", "proxy-authenticate", "x-forwarded-proto", "if-none-match"]
# What the door itself says, whatever the client sent; and what has a test of its own.
DOORS_OWN = re.compile(
    "host|via|cookie|content-(length|type|encoding)|transfer-encoding|x-forwarded-.*|forwarded"
    "|x-amzn-.*|x-http-method-override|x-penstock-event-source",
    re.IGNORECASE,
)
HOP_BY_HOP = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"]
HOP_BY_HOP += ["te", "trailer"]
OWN_OF_ANSWERS = {*HOP_BY_HOP, "content-length", "content-type", "set-cookie", "content-encoding"}

tokens = st.text(TOKEN, min_size=1, max_size=10)
values = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], include_characters="\t"),
    max_size=12,
).map(str.strip)
header_maps = st.dictionaries(
    (tokens | st.sampled_from(DROPPED)).filter(lambda name: not DOORS_OWN.fullmatch(name)),
    st.lists(values, min_size=1, max_size=3),
    max_size=5,
).filter(lambda headers: len({name.lower() for name in headers}) == len(headers))
cookies = st.lists(
    st.builds(
        "{}={}".format, st.text("abc_", min_size=1, max_size=3), st.text("xyz,=\"'", max_size=4)
    ),
    min_size=1,
    max_size=3,
).map("; ".join)
escapes = st.integers(0, 255).map(lambda byte: f"%{byte:02X}")
texts = st.text(max_size=4).map(lambda text: quote_from_bytes(text.encode("utf-8", "replace")))
path_pieces = st.text("abz/.:@!$&'()*+,;=-_~", max_size=4) | escapes | texts
paths = st.lists(path_pieces, max_size=6).map(lambda pieces: "/" + "".join(pieces))
query_pieces = st.text("abz=&+,;[]{}|?/.:@!$'()*-_~", max_size=4) | escapes | texts
queries = st.lists(query_pieces, max_size=8).map("".join)
bodies = st.tuples(st.just("application/octet-stream"), st.binary(max_size=60)) | st.tuples(
    st.sampled_from(["text/plain", "application/json", "application/x-www-form-urlencoded", ""]),
    st.text(max_size=30).map(lambda text: text.encode("utf-8", "replace")),
)
answer_values = st.binary(max_size=12).map(lambda value: re.sub(rb"[\r\n\0]", b" ", value))
answer_names = tokens | st.sampled_from([*RENAMED, *NOT_SENT_ON, *REFUSED])
answer_headers = st.dictionaries(
    answer_names.filter(lambda name: name.lower() not in OWN_OF_ANSWERS),
    st.lists(answer_values, min_size=1, max_size=3),
    max_size=5,
).filter(lambda headers: len({name.lower() for name in headers}) == len(headers))


class Echo:
    """A function that keeps what its application saw, and answers what it is told."""

    def __init__(self) -> None:
        self.status = 204
        self.headers: list[tuple[bytes, bytes]] = []
        self.content = b""
        self.scope: dict[str, Any] = {}
        self.body = b""
        self.adapter = LambdaAdapter(self.app, lifespan="off")

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope, self.body = scope, (await receive())["body"]
        start = {"type": "http.response.start", "status": self.status, "headers": self.headers}
        await send(start)
        await send({"type": "http.response.body", "body": self.content})

    def ask(self, source: str, request: ClientRequest) -> dict[str, Any]:
        answer = self.adapter(make_event(source, request))
        assert read_answer(source, answer).status == 204
        return self.scope

    def values(self, name: str) -> list[bytes]:
        return [value for key, value in self.scope["headers"] if key == name.lower().encode()]


def encoded(lines: list[str]) -> list[bytes]:
    return [line.encode() for line in lines]


@pytest.mark.parametrize("source", SOURCES)
@given(headers=header_maps)
@settings(deadline=None, max_examples=60)
def test_headers_arrive(source: str, headers: dict[str, list[str]]) -> None:
    echo, losses = Echo(), LOSSES[source]
    pairs = tuple((name, value) for name, lines in headers.items() for value in lines)
    echo.ask(source, ClientRequest("GET", "/", pairs))
    for name, lines in headers.items():
        expected = encoded(lines)
        if HEADERS_DROPPED in losses and name.lower() in DROPPED:
            expected = []
        elif REPEATS_LAST in losses:
            expected = expected[-1:]
        elif REPEATS_JOINED in losses:
            expected = [(b", " if source == "lattice-1" else b",").join(expected)]
        assert expected == echo.values(name)


@pytest.mark.parametrize("source", SOURCES)
@given(lines=st.lists(cookies, max_size=2))
@settings(deadline=None, max_examples=40)
def test_cookies_arrive(source: str, lines: list[str]) -> None:
    echo, losses = Echo(), LOSSES[source]
    echo.ask(source, ClientRequest("GET", "/", tuple(("Cookie", line) for line in lines)))
    expected = lines[-1:] if REPEATS_LAST in losses else lines
    # Only API Gateway and Function URLs know what a cookie is, and take the lines apart.
    joint = ", " if REPEATS_JOINED in losses and source == "lattice-1" else "; "
    assert ([joint.join(expected).encode()] if lines else []) == echo.values("cookie")


@pytest.mark.parametrize("source", SOURCES)
@given(path=paths)
@settings(deadline=None, max_examples=80)
def test_the_path_arrives(source: str, path: str) -> None:
    echo, losses = Echo(), LOSSES[source]
    scope = echo.ask(source, ClientRequest("GET", path))
    root = "/prod" if source == "rest-api" else ""
    if PATH_SLASHES in losses:
        path = "/" + path.lstrip("/")
    if PATH_CUT in losses:
        path = re.split("%3f", path, flags=re.IGNORECASE)[0]
    assert (root + unquote(path), root) == (scope["path"], scope["root_path"])
    raw_path = scope["raw_path"].decode("ascii")
    if PATH_ESCAPES in losses:
        assert unquote(path) == unquote(raw_path)
    else:
        assert root + path == raw_path


@pytest.mark.parametrize("source", SOURCES)
@given(query=queries)
@settings(deadline=None, max_examples=80)
def test_the_query_arrives(source: str, query: str) -> None:
    echo, losses = Echo(), LOSSES[source]
    arrived = echo.ask(source, ClientRequest("GET", f"/?{query}"))["query_string"].decode("ascii")
    if QUERY_ESCAPES in losses:
        expected, actual = (parse_qs(text, keep_blank_values=True) for text in (query, arrived))
        assert expected == actual
    elif QUERY_ORDER in losses:
        expected = by_name(query)
        if QUERY_LAST in losses:
            expected = {name: lines[-1:] for name, lines in expected.items()}
        assert expected == by_name(arrived)
    else:
        assert query == arrived


def by_name(query: str) -> dict[str, list[str]]:
    """The values of a query, still escaped, under each name; a flag is an empty value."""
    found: dict[str, list[str]] = {}
    for piece in query.split("&"):
        name, _, value = piece.partition("=")
        if piece:
            found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("source", SOURCES)
@given(typed=bodies, method=st.sampled_from(["POST", "PUT", "PATCH", "DELETE", "GET"]))
@settings(deadline=None, max_examples=60)
def test_the_body_arrives(source: str, typed: tuple[str, bytes], method: str) -> None:
    echo = Echo()
    content_type, body = typed
    headers = (("Content-Type", content_type),) if content_type else ()
    scope = echo.ask(source, ClientRequest(method, "/", headers, body))
    assert (method, body) == (scope["method"], echo.body)
    assert encoded([content_type] if content_type else []) == echo.values("content-type")
    lengths = echo.values("content-length")
    assert lengths == [b"%d" % len(body)] if body else lengths in ([], [b"0"])


def answered(source: str, echo: Echo) -> ClientResponse:
    return read_answer(source, echo.adapter(make_event(source, ClientRequest("GET", "/"))))


def decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


@pytest.mark.parametrize("source", SOURCES)
@given(headers=answer_headers, status=st.integers(200, 599))
@settings(deadline=None, max_examples=60)
def test_status_and_headers_leave(
    source: str, headers: dict[str, list[bytes]], status: int
) -> None:
    echo, losses = Echo(), LOSSES[source]
    echo.status = status
    echo.headers = [(name.encode(), value) for name, lines in headers.items() for value in lines]
    got = answered(source, echo)
    assert status == got.status
    for name, lines in headers.items():
        sent, expected = name.lower(), [decoded(line) for line in lines]
        if ANSWER_JOINED in losses:
            expected = [", ".join(expected)]
        if ANSWER_RENAMED in losses and sent in RENAMED:
            sent = f"x-amzn-remapped-{sent}"
        elif (ANSWER_RENAMED in losses and sent in NOT_SENT_ON) or (
            ANSWER_REFUSED in losses and sent in REFUSED
        ):
            expected = []
        assert expected == got.values(sent)


@pytest.mark.parametrize("source", SOURCES)
@given(lines=st.lists(answer_values, max_size=5, unique=True))
@settings(deadline=None, max_examples=40)
def test_cookies_leave(source: str, lines: list[bytes]) -> None:
    echo = Echo()
    echo.headers = [(b"Set-Cookie", line) for line in lines]
    expected = [decoded(line) for line in lines]
    if ANSWER_COOKIE in LOSSES[source]:
        expected = expected[-1:]
    assert expected == answered(source, echo).values("set-cookie")


@pytest.mark.parametrize("source", SOURCES)
@given(
    body=st.binary(max_size=60)
    | st.text(max_size=30).map(lambda text: text.encode("utf-8", "replace")),
    content_type=st.sampled_from(
        [b"", b"text/html", b"text/plain; charset=latin-1", b"image/png", b"application/json"]
    ),
    coding=st.sampled_from([b"", b"gzip", b"identity"]),
)
@settings(deadline=None, max_examples=60)
def test_the_body_leaves(source: str, body: bytes, content_type: bytes, coding: bytes) -> None:
    echo = Echo()
    echo.status, echo.content = 200, body
    pairs = ((b"content-type", content_type), (b"content-encoding", coding))
    echo.headers = [pair for pair in pairs if pair[1]]
    got = answered(source, echo)
    assert (200, body) == (got.status, got.body)
    if content_type:
        assert [content_type.decode()] == got.values("content-type")


def test_the_documentation_has_the_same_losses() -> None:
    page = Path(__file__).parents[2] / "docs" / "losses.md"
    table = page.read_text(encoding="utf-8").partition("On every front door")[0]
    documented: dict[str, set[str]] = {name: set() for name in SOURCES}
    for source, loss in re.findall(r"^\| `([a-z0-9-]+)` \| (.+?) \|", table, re.MULTILINE):
        documented[source].add(loss)
    assert documented == LOSSES


EXAMPLES: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    REPEATS_JOINED: ("/", (("X-A", "1"), ("X-A", "2"))),
    REPEATS_LAST: ("/", (("X-A", "1"), ("X-A", "2"))),
    HEADERS_DROPPED: ("/", (("Max-Forwards", "1"),)),
    QUERY_ORDER: ("/?b=1&a=2", ()),
    QUERY_FLAG: ("/?flag", ()),
    QUERY_ESCAPES: ("/?a=%7e", ()),
    QUERY_LAST: ("/?a=1&a=2", ()),
    PATH_ESCAPES: ("/a%2Fb", ()),
    PATH_CUT: ("/a%3Fb", ()),
    PATH_SLASHES: ("//a", ()),
}


@pytest.mark.parametrize(
    ("source", "loss"),
    [(source, loss) for source in SOURCES for loss in EXAMPLES if loss in LOSSES[source]],
)
def test_a_loss_of_requests_is_really_one(source: str, loss: str) -> None:
    target, headers = EXAMPLES[loss]
    echo = Echo()
    scope = echo.ask(source, ClientRequest("GET", target, headers))
    path, _, query = target.partition("?")
    arrived = (
        scope["raw_path"].decode().removeprefix(scope["root_path"]),
        scope["query_string"].decode(),
        [value.decode() for name in dict(headers) for value in echo.values(name)],
    )
    assert arrived != (path, query, [value for _, value in headers])
