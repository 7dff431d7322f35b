"""What applications do under the runtime, right and wrong, and what they are set up with."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from penstock.infra.gateway import ClientRequest, make_event
from penstock.infra.runtime_api import FunctionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from penstock.infra.runtime_api import LocalRuntimeAPI

    Run = Callable[[Coroutine[Any, Any, None]], None]
    Serve = Callable[..., LocalRuntimeAPI]
    Get = Callable[..., dict[str, Any]]

LIMIT = 6_291_556
"""What Lambda takes as an answer, inclusive (Lambda quotas, and its emulator)."""

APP = """
import asyncio, base64, hashlib, json, os

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError
    path, query = scope["path"], scope["query_string"].decode()

    async def start(status=200, kind=b"text/plain"):
        headers = [(b"content-type", kind), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
        await send({"type": "http.response.start", "status": status, "headers": headers})

    async def body(data=b"", more=False):
        await send({"type": "http.response.body", "body": data, "more_body": more})

    if path == "/silent":
        return
    if path == "/started-only":
        await start()
        return
    if path == "/twice":
        await start()
        await body(b"first")
        try:
            await start(500)
        except Exception as error:
            print("refused:", type(error).__name__, flush=True)
        return
    if path == "/twice-raising":
        await start()
        await body(b"first")
        await body(b"second")
    if path == "/status":
        await start(int(query))
        await body(b"not for HEAD" if scope["method"] == "HEAD" else b"")
        return
    if path == "/digest":
        message = await receive()
        assert message["more_body"] is False
        await start()
        await body(hashlib.sha256(message["body"]).hexdigest().encode())
        return
    if path == "/binary":
        await start(200, b"application/octet-stream")
        await body(bytes(int(query)))
        return
    await start()
    await body(json.dumps([path, scope["root_path"]]).encode())
"""


@pytest.fixture
def ask(serve: Serve, run: Run, slots: int | None) -> Callable[..., Any]:
    """Send one event, and return the answer; the same process serves another one.

    ``says`` is waited for in the log.
    """

    def ask(event: Any, code: str = APP, says: str = "", **options: Any) -> Any:
        answers: list[Any] = []

        async def main() -> None:
            async with serve(code, concurrency=slots, **options) as api:
                try:
                    answers.append(await api.start(event).payload())
                except FunctionFailed as failed:
                    answers.append(failed.error)
                await api.log.wait_for(says)
                assert await api.invoke(make_event("http-api", ClientRequest("GET", "/")))

        run(main())
        return answers[0]

    return ask


class TestBreaches:
    @pytest.mark.parametrize("path", ["/silent", "/started-only"])
    def test_an_application_that_does_not_answer(
        self, ask: Callable[..., Any], get: Get, path: str
    ) -> None:
        answer = json.loads(ask(get(path), says="the application returned before it had sent"))
        assert (answer["statusCode"], answer["body"]) == (500, "Internal Server Error")

    @pytest.mark.parametrize("path", ["/twice", "/twice-raising"])
    @pytest.mark.parametrize("streams", [False, True])
    def test_an_application_that_answers_twice(
        self, serve: Serve, run: Run, get: Get, slots: int | None, path: str, streams: bool
    ) -> None:
        """The first answer has left; application and log are told, once."""

        async def main() -> None:
            async with serve(APP, concurrency=slots, streams=streams) as api:
                pending = api.start(get(path), streaming=streams, request_id="twice-1")
                assert b"first" in await pending.payload()
                await pending.ended()
                record = await api.log.wait_for("expected no message after the end")
                assert "request twice-1" in record.text
                assert ("refused: ProtocolError" in api.log.text) == (path == "/twice")
                await api.invoke(make_event("http-api", ClientRequest("GET", "/")))
                assert api.log.text.count("request twice-1 (GET") == 1

        run(main())


class TestAnswers:
    @pytest.mark.parametrize("status", [200, 204, 304])
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_without_a_body(
        self, ask: Callable[..., Any], get: Get, method: str, status: int
    ) -> None:
        answer = json.loads(ask(get(f"/status?{status}", method=method)))
        assert (answer["statusCode"], answer["body"]) == (status, "")
        assert answer["cookies"] == ["a=1", "b=2"]

    @pytest.mark.parametrize("more", [0, 1])
    def test_as_long_as_lambda_takes_and_one_more(
        self, ask: Callable[..., Any], get: Get, more: int
    ) -> None:
        """Base64 has four bytes for three, so a header pads the rest."""
        event = get("/binary?9")
        small = len(ask(event))
        room = LIMIT - small + len(base64.b64encode(bytes(9)))
        count = room // 4 * 3
        padding = room - room // 4 * 4 + more
        code = APP.replace('b"b=2"', f'b"b=2{"x" * padding}"')
        answer = ask(get(f"/binary?{count}"), code, says=str(LIMIT + 1) if more else "")
        if more:
            assert json.loads(answer)["statusCode"] == 502
            assert str(LIMIT + 1) in json.loads(answer)["body"]
        else:
            assert len(answer) == LIMIT
            assert base64.b64decode(json.loads(answer)["body"]) == bytes(count)


class TestEvents:
    @pytest.mark.parametrize("size", [0, 1, 1500, 4_400_000])
    def test_of_every_size_arrive_whole(self, ask: Callable[..., Any], size: int) -> None:
        """Short ones by their length, long ones in chunks; 4.4 MB are 6 MB of base64."""
        body = (bytes(range(256)) * (size // 256 + 1))[:size]
        request = ClientRequest(
            "POST", "/digest", headers=(("content-type", "application/octet-stream"),), body=body
        )
        answer = json.loads(ask(make_event("http-api", request)))
        assert answer["body"] == hashlib.sha256(body).hexdigest()

    def test_that_no_application_can_be_shown(self, ask: Callable[..., Any]) -> None:
        event = make_event("http-api", ClientRequest("POST", "/", body=b"x"))
        event.update(body="no base64!", isBase64Encoded=True)
        assert json.loads(ask(event))["statusCode"] == 400

    def test_that_are_no_requests(self, ask: Callable[..., Any]) -> None:
        error = ask({"Records": [{"eventSource": "aws:sqs"}]})
        assert error.error_type == "Function.UnsupportedEvent"

    @pytest.mark.parametrize("streams", [False, True])
    def test_that_are_no_requests_are_passed_on_if_asked_for(
        self, ask: Callable[..., Any], streams: bool
    ) -> None:
        """Nobody waits for a stream there."""
        answer = ask(
            {"Records": [{"eventSource": "aws:sqs"}]},
            streams=streams,
            environ={"PENSTOCK_EVENTS_PATH": "/events"},
        )
        assert json.loads(answer) == ["/events", ""]

    @pytest.mark.parametrize("streams", [False, True])
    def test_whose_answer_says_that_they_failed(
        self, ask: Callable[..., Any], streams: bool
    ) -> None:
        """A complete answer with such a status fails the invocation, so that Lambda retries."""
        error = ask(
            {"Records": [{"eventSource": "aws:sqs"}]},
            streams=streams,
            environ={"PENSTOCK_EVENTS_PATH": "/status"},
            code=APP.replace("int(query)", "500"),
        )
        assert error.error_type == "Function.EventFailed"
