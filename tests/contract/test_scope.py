"""The scope that an application sees behind any front door."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.contract.conftest import Door

PROBE: dict[str, Any] = {
    "method": "POST",
    "target": "/caf%C3%A9/a%20b+c?x=1&y=%20&x=2",
    "headers": (("User-Agent", "curl/8"), ("X-Probe", "é"), ("Content-Type", "text/plain")),
    "body": b"hello",
}
STAGES = {"rest-api": "/prod"}
DOMAINS = {
    "rest-api": "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
    "function-url": "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6.lambda-url.us-east-1.on.aws",
}
KEYS = {
    "type",
    "asgi",
    "http_version",
    "method",
    "scheme",
    "path",
    "raw_path",
    "query_string",
    "root_path",
    "headers",
    "client",
    "server",
    "state",
    "extensions",
    "aws.event",
    "aws.context",
}


def test_the_scope_has_every_key_of_asgi_and_no_other(door: Door) -> None:
    assert set(door.ask(**PROBE).scope) == KEYS


def test_every_value_has_the_type_that_asgi_asks_for(door: Door) -> None:
    scope = door.ask(**PROBE).scope
    assert scope["type"] == "http"
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}
    types = {name: type(scope[name]) for name in ("http_version", "method", "scheme", "path")}
    assert dict.fromkeys(types, str) == types
    assert type(scope["raw_path"]) is bytes
    assert type(scope["query_string"]) is bytes
    assert type(scope["root_path"]) is str
    assert type(scope["state"]) is dict
    assert type(scope["extensions"]) is dict
    assert scope["http_version"] in {"1.0", "1.1", "2"}
    assert scope["scheme"] == "https"


def test_client_and_server_are_a_host_and_a_port(door: Door) -> None:
    scope = door.ask(**PROBE).scope
    assert scope["client"] == ("203.0.113.7", 0)
    host, port = scope["server"]
    assert host == DOMAINS.get(door.name, host)
    assert (type(host), port) == (str, 443)


def test_header_names_are_lower_case_bytes(door: Door) -> None:
    headers = door.ask(**PROBE).scope["headers"]
    assert all(type(name) is bytes and type(value) is bytes for name, value in headers)
    assert all(name == name.lower() for name, _ in headers)
    assert all(len(pair) == 2 for pair in headers)


def test_header_values_that_are_not_ascii_are_utf8(door: Door) -> None:
    assert door.ask(**PROBE).values("x-probe") == ["é".encode()]


def test_the_path_is_decoded_once_and_begins_with_the_root_path(door: Door) -> None:
    scope = door.ask(**PROBE).scope
    root_path = STAGES.get(door.name, "")
    assert scope["root_path"] == root_path
    assert scope["path"] == f"{root_path}/café/a b+c"


def test_the_raw_path_is_ascii_and_has_no_query(door: Door) -> None:
    scope = door.ask(**PROBE).scope
    assert scope["raw_path"] == STAGES.get(door.name, "").encode() + b"/caf%C3%A9/a%20b+c"


@pytest.mark.parametrize("target", ["/", "/%25", "/%2541", "/a//b", "/a/../b", "/%00", "/%ff"])
def test_the_raw_path_decodes_to_the_path(door: Door, target: str) -> None:
    from urllib.parse import unquote

    scope = door.ask(target=target).scope
    decoded = unquote(scope["raw_path"].decode("ascii"))
    # An HTTP API has replaced what is not UTF-8 before the function sees it.
    assert decoded == scope["path"]
    assert scope["path"] == STAGES.get(door.name, "") + unquote(target)


def test_the_query_is_still_encoded(door: Door) -> None:
    queries = {
        "rest-api": b"x=1&x=2&y=%20",
        "http-api-1": b"x=1&x=2&y=%20",
        "alb": b"x=2&y=%20",
        "alb-multi": b"x=1&x=2&y=%20",
    }
    # Maps lose the order between names, a map of single values all but the last of each.
    assert door.ask(**PROBE).scope["query_string"] == queries.get(door.name, b"x=1&y=%20&x=2")


def test_no_query_is_an_empty_one(door: Door) -> None:
    assert door.ask(target="/x").scope["query_string"] == b""


def test_plus_and_blank_stay_two_different_characters(door: Door) -> None:
    query = door.ask(target="/?plus=%2B").scope["query_string"]
    assert query == b"plus=%2B"


def test_the_method_is_upper_case(door: Door) -> None:
    methods = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE")
    assert [door.ask(method=method).scope["method"] for method in methods] == list(methods)


def test_a_method_of_ones_own_is_passed_on(door: Door) -> None:
    assert door.ask(method="propfind").scope["method"] == "PROPFIND"


def test_the_event_is_the_same_object_and_stays_as_it_was(door: Door) -> None:
    event = door.event(**PROBE)
    before = copy.deepcopy(event)
    seen = door.ask_with(event, base_path="/caf%C3%A9", headers_from={"host": "x-probe"})
    assert seen.scope["aws.event"] is event
    assert event == before


def test_the_context_is_the_one_that_lambda_gave(door: Door) -> None:
    assert door.ask(**PROBE).scope["aws.context"] is door.context


def test_an_invocation_without_a_context_is_served(door: Door) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    door.adapter(app)(door.event())
    assert seen[0]["aws.context"] is None
    assert seen[0]["extensions"]["penstock"]["request_id"] is None


def test_the_extension_says_what_the_adapter_knows(door: Door) -> None:
    extensions = door.ask(**PROBE).scope["extensions"]
    assert set(extensions) == {"http.response.pathsend", "penstock"}
    facts = extensions["penstock"]
    assert set(facts) == {"deadline", "no_disconnect", "event_source", "request_id"}
    assert facts["event_source"] == door.name
    assert facts["request_id"] == "request-1"
    assert facts["no_disconnect"] is True
    assert type(facts["deadline"]) is float


def test_the_state_is_a_copy_for_each_request(door: Door) -> None:
    states: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            scope["state"]["pool"] = ["shared"]
            assert (await receive())["type"] == "lifespan.startup"
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        states.append(scope["state"])
        scope["state"]["mine"] = len(states)
        scope["state"]["pool"].append("used")
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    adapter = door.adapter(app, lifespan="on")
    for _ in range(2):
        assert door.send(adapter).status == 204
    adapter.close()
    assert [state["mine"] for state in states] == [1, 2]
    assert states[0]["pool"] is states[1]["pool"]


def test_the_header_of_non_http_events_cannot_be_sent_by_clients(door: Door) -> None:
    headers = (("X-Penstock-Event-Source", "aws:sqs"), ("X-Other", "1"))
    seen = door.ask(headers=headers)
    assert seen.values("x-penstock-event-source") == []
    assert seen.values("x-other") == [b"1"]
