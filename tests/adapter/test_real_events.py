"""Events as AWS sends them: our own, and the recorded ones where they lie beside the checkout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from penstock.adapter import UnsupportedEvent
from penstock.infra.gateway import (
    SOURCES,
    TRIGGERS,
    ClientRequest,
    make_event,
    make_trigger_event,
    read_answer,
)

if TYPE_CHECKING:
    from tests.adapter.conftest import Function

RECORDED = Path(__file__).parents[2].parent / "shared" / "events"
FOLDERS = {
    "alb": {"alb", "alb-multi"},
    "api-gateway-rest": {"rest-api"},
    "function-url": {"function-url"},
    "http-api-v1": {"http-api-1"},
    "http-api-v2": {"http-api"},
    "lambda-edge": {"edge"},
    "vpc-lattice-v1": {"lattice-1"},
    "vpc-lattice-v2": {"lattice-2"},
    "websocket": {"websocket"},
    "lookalikes": {"event"},
    "non-http": {"event"},
}
REQUESTS = {
    "plain": ClientRequest("GET", "/"),
    "query": ClientRequest("GET", "/a%20b/?x=1&x=%20&flag"),
    "form": ClientRequest(
        "POST", "/form", (("Content-Type", "application/x-www-form-urlencoded"),), b"a=1"
    ),
    "upload": ClientRequest("PUT", "/upload", (("Content-Type", "image/png"),), b"\x89PNG\r\n\xff"),
    "cookies": ClientRequest("GET", "/", (("Cookie", "a=1; b=2"), ("Cookie", "c=3"))),
    "preflight": ClientRequest("OPTIONS", "/", (("Origin", "https://a.example"),)),
    "head": ClientRequest("HEAD", "/"),
    "no body type": ClientRequest("DELETE", "/", (), b"text"),
    "browser": ClientRequest(
        "GET", "/", (("Accept", "text/html,*/*;q=0.8"), ("User-Agent", "Mozilla/5.0 (X11)"))
    ),
}


def check(function: Function, event: Any, sources: set[str]) -> None:
    """Send the event through, and read what comes out as its front door would."""
    headers = [(b"content-type", b"text/plain"), (b"set-cookie", b"a=1")]
    answer = function.answer(event, headers=headers, body=b"ok", events_path="/events")
    scope = function.scope
    source = scope["extensions"]["penstock"]["event_source"]
    assert source in sources
    if source == "event":
        assert answer == "ok"
        return
    got = read_answer(source, answer, method=scope["method"])
    assert (200, ["a=1"]) == (got.status, got.values("set-cookie"))
    assert got.body == (b"" if scope["method"] == "HEAD" else b"ok")
    assert scope["path"].startswith(scope["root_path"] + "/")
    assert not {name for name, _ in scope["headers"] if name != name.lower()}
    lengths = function.values("content-length")
    assert lengths in ([], [b"%d" % len(function.body)])


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_recorded_event_goes_through(function: Function, folder: str) -> None:
    if not RECORDED.exists():
        pytest.skip("the folder of recorded events is not beside this checkout")
    paths = sorted((RECORDED / folder).glob("*.json"))
    assert paths
    for path in paths:
        event = json.loads(path.read_text(encoding="utf-8"))
        if folder == "websocket":
            with pytest.raises(UnsupportedEvent, match="WebSocket"):
                function.answer(event, events_path="/events")
        else:
            check(function, event, FOLDERS[folder])


def test_every_folder_of_recorded_events_is_known() -> None:
    if not RECORDED.exists():
        pytest.skip("the folder of recorded events is not beside this checkout")
    assert {path.parent.name for path in RECORDED.rglob("*.json")} == set(FOLDERS)


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("source", SOURCES)
def test_an_event_of_our_own_goes_through(function: Function, source: str, name: str) -> None:
    check(function, make_event(source, REQUESTS[name]), {source})
    assert REQUESTS[name].body == function.body


@pytest.mark.parametrize("kind", TRIGGERS)
def test_a_trigger_of_our_own_goes_through(function: Function, kind: str) -> None:
    data: dict[str, list[Any]] = {"schedule": [], "eventbridge": [{}], "dynamodb": [{"id": "1"}]}
    check(function, make_trigger_event(kind, data.get(kind, ["x"])), {"event"})
    assert function.scope["path"] == "/events"
