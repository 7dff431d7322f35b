"""The class is a drop-in replacement: constructor, attributes, custom handlers."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import mangum
import mangum.exceptions
import pytest
from mangum.handlers import APIGateway

from penstock.adapter import ConfigurationError, LambdaAdapter
from penstock.adapter.mangum import Mangum
from penstock.infra.gateway import ClientRequest, make_event
from tests.differential.both import HELLO, PLAIN, Response, Seen, app_that_sends, invoke

if TYPE_CHECKING:
    from collections.abc import Callable

APP = app_that_sends(HELLO, Seen())
CLASSES = (mangum.Mangum, Mangum)
QUEUE_EVENT = {
    "queue": "orders",
    "path": "/orders",
    "payload": "café",
}


class QueueHandler:
    """A handler of Mangum's protocol, for events of a system of one's own."""

    def __init__(self, event: Any, context: Any, config: Any) -> None:
        self.event = event
        self.context = context
        self.config = config

    @classmethod
    def infer(cls, event: Any, context: Any, config: Any) -> bool:
        return isinstance(event, dict) and "queue" in event

    @property
    def body(self) -> bytes:
        return str(self.event["payload"]).encode()

    @property
    def scope(self) -> Any:
        return {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "headers": [[b"x-queue", self.event["queue"].encode()]],
            "path": self.event["path"],
            "raw_path": None,
            "root_path": "/queue",
            "scheme": "https",
            "query_string": b"",
            "server": ("queue", 443),
            "client": ("queue", 0),
            "asgi": {"version": "3.0"},
            "aws.event": self.event,
            "aws.context": self.context,
        }

    def __call__(self, response: Any) -> Any:
        return {
            "ok": response["status"] < 400,
            "headers": [[name.decode(), value.decode()] for name, value in response["headers"]],
            "bytes": list(response["body"]),
            "config": dict(self.config),
        }


class StageHandler(APIGateway):
    """One that changes a handler of Mangum's own."""

    @property
    def scope(self) -> Any:
        return {**super().scope, "path": "/changed"}


def test_same_parameters() -> None:
    theirs, ours = (inspect.signature(class_).parameters.values() for class_ in CLASSES)
    expected = [(parameter.name, parameter.kind, parameter.default) for parameter in theirs]
    assert expected == [(parameter.name, parameter.kind, parameter.default) for parameter in ours]


@pytest.mark.parametrize(
    ("positional", "named"),
    [
        ((), {}),
        (("off", "/api/", [QueueHandler], ["text/"], ["X-B", "x-a"]), {}),
        (
            (),
            {
                "lifespan": "on",
                "api_gateway_base_path": "",
                "custom_handlers": None,
                "text_mime_types": [],
                "exclude_headers": ["Server"],
            },
        ),
    ],
)
def test_same_attributes(positional: tuple[Any, ...], named: dict[str, Any]) -> None:
    theirs, ours = (class_(APP, *positional, **named) for class_ in CLASSES)
    assert isinstance(ours, LambdaAdapter)
    for name in ("app", "lifespan", "custom_handlers", "config"):
        assert getattr(theirs, name) == getattr(ours, name)


def test_a_wrong_lifespan_is_refused_at_once() -> None:
    with pytest.raises(mangum.exceptions.ConfigurationError):
        mangum.Mangum(APP, lifespan="maybe")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="expected auto, on or off"):
        Mangum(APP, lifespan="maybe")


def test_nothing_is_started_by_the_constructor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1")
    seen = Seen()
    Mangum(app_that_sends(HELLO, seen), lifespan="on")
    assert seen.scope is None


@pytest.mark.parametrize("mode", ["off", "auto"])
@pytest.mark.parametrize(
    "response",
    [
        HELLO,
        Response(
            404, ((b"content-type", b"image/png"), (b"x-a", b"1"), (b"x-a", b"2")), (b"\xff",)
        ),
        Response(204, (), ()),
    ],
    ids=["text", "binary", "empty"],
)
def test_a_custom_handler_runs_unchanged(mode: str, response: Response) -> None:
    answers, scopes, bodies = [], [], []
    for class_ in CLASSES:
        seen = Seen()
        made: Callable[..., Any] = class_
        adapter = made(
            app_that_sends(response, seen), lifespan=mode, custom_handlers=[QueueHandler]
        )
        answers.append(adapter(QUEUE_EVENT, None))
        assert seen.scope is not None
        bodies.append(seen.body)
        scopes.append({key: seen.scope[key] for key in QueueHandler(QUEUE_EVENT, None, {}).scope})
    assert answers[0] == answers[1]
    assert list(response.body) == answers[1]["bytes"]
    assert scopes[0] == scopes[1]
    assert [QUEUE_EVENT["payload"].encode()] * 2 == bodies


def test_a_handler_that_inherits_from_mangums_own_runs_unchanged() -> None:
    event = make_event("rest-api", ClientRequest("GET", "/original"))
    answers, paths = [], []
    for class_ in CLASSES:
        seen = Seen()
        adapter = class_(
            app_that_sends(HELLO, seen), lifespan="off", custom_handlers=[StageHandler]
        )
        answers.append(adapter(event, None))  # type: ignore[arg-type]
        assert seen.scope is not None
        paths.append(seen.scope["path"])
    assert answers[0] == answers[1]
    assert ["/changed", "/changed"] == paths


def test_other_events_go_to_the_usual_handlers() -> None:
    event = make_event("http-api", ClientRequest("GET", "/x"))
    for class_ in CLASSES:
        seen = Seen()

        def make(app: Any, class_: Any = class_, **options: Any) -> Any:
            return class_(app, custom_handlers=[QueueHandler], **options)

        invoke(make, app_that_sends(HELLO, seen), event, PLAIN, seen)
        assert seen.scope is not None
        assert "/x" == seen.scope["path"]


def test_a_scope_with_the_required_keys_only_is_enough() -> None:
    class Handler(QueueHandler):
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}  # noqa: RUF012

    adapter = Mangum(APP, lifespan="off", custom_handlers=[Handler])
    assert adapter(QUEUE_EVENT, None)["ok"] is True
