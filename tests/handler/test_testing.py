"""The test client, with applications of other frameworks and without any."""

from __future__ import annotations

import asyncio
import io
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute

from penstock.handler import ASGIHandler, HttpResponse, path
from penstock.handler.testing import (
    AsyncClient,
    Client,
    LifespanFailed,
    TooManyRedirects,
    WebSocketDenied,
    WebSocketDisconnect,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.requests import Request
    from starlette.websockets import WebSocket

    from penstock.handler import ASGIRequest

log: list[str] = []


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
    log.append("started")
    yield {"answer": 42}
    log.append("stopped")


async def echo(request: Request) -> JSONResponse:
    form = {}
    if request.headers.get("content-type", "").partition(";")[0] in {
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    }:
        async with request.form() as fields:
            for name, value in fields.multi_items():
                if isinstance(value, UploadFile):
                    content = (await value.read()).decode()
                    form[name] = [value.filename, content, value.content_type]
                else:
                    form.setdefault(name, []).append(value)
    return JSONResponse(
        {
            "method": request.method,
            "path": request.url.path,
            "raw_path": request.scope["raw_path"].decode(),
            "query": request.url.query,
            "headers": dict(request.headers),
            "cookies": request.cookies,
            "body": None if form else (await request.body()).decode(),
            "form": form,
            "state": getattr(request.state, "answer", None),
        }
    )


async def visit(request: Request) -> PlainTextResponse:
    response = PlainTextResponse(request.cookies.get("seen", "new"))
    response.set_cookie("seen", "yes")
    response.set_cookie("theme", "dark")
    if "forget" in request.query_params:
        response.delete_cookie("theme")
    return response


async def hop(request: Request) -> RedirectResponse:
    return RedirectResponse("/echo/there?hop=1", int(request.query_params.get("status", "302")))


async def loop(_request: Request) -> RedirectResponse:
    return RedirectResponse("/loop")


async def endless(_request: Request) -> StreamingResponse:
    async def numbers() -> AsyncIterator[str]:
        number = 0
        try:
            while True:
                log.append(f"made {number}")
                yield f"{number},"
                number += 1
        finally:
            log.append("ended")

    return StreamingResponse(numbers())


async def boom(_request: Request) -> PlainTextResponse:
    raise ZeroDivisionError("on purpose")


async def talk(ws: WebSocket) -> None:
    if "refuse" in ws.query_params:
        await ws.send_denial_response(PlainTextResponse("members only", 401))
        return
    await ws.accept(subprotocol=next(iter(ws.scope["subprotocols"]), None))
    try:
        while True:
            message = await ws.receive_text()
            if message == "bye":
                await ws.close(4000, "as you wish")
                return
            await ws.send_text(f"{ws.url.path} {message}")
            await ws.send_bytes(message.encode())
    except Exception as error:  # the test asserts which
        log.append(repr(error))


APP = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/echo/{rest:path}", echo, methods=["GET", "POST", "PUT"]),
        Route("/visit", visit),
        Route("/hop", hop, methods=["GET", "POST"]),
        Route("/loop", loop),
        Route("/endless", endless),
        Route("/boom", boom),
        WebSocketRoute("/talk", talk),
    ],
)


@pytest.fixture
def client() -> Iterator[Client]:
    log.clear()
    with Client(APP, extensions={"websocket.http.response": {}}) as client:
        yield client


class TestRequests:
    def test_a_target_arrives_raw_and_decoded(self, client: Client) -> None:
        seen = client.get("/echo/caf%C3%A9 x?a=1", params={"b": ["2", "ä"]}).json()
        assert seen["path"] == "/echo/café x"
        assert seen["raw_path"] == "/echo/caf%C3%A9%20x"
        assert seen["query"] == "a=1&b=2&b=%C3%A4"
        assert seen["headers"]["host"] == "testserver"

    def test_json(self, client: Client) -> None:
        seen = client.post("/echo/", json={"a": [1, None]}).json()
        assert seen["body"] == '{"a": [1, null]}'
        assert seen["headers"]["content-type"] == "application/json"
        assert seen["headers"]["content-length"] == "16"

    def test_a_form(self, client: Client) -> None:
        seen = client.post("/echo/", data={"a": ["1", "2"], "b": "é&"}).json()
        assert seen["form"] == {"a": ["1", "2"], "b": ["é&"]}

    def test_files(self, client: Client) -> None:
        file = io.BytesIO(b"second")
        file.name = "/tmp/two.txt"
        files = {"one": ('a "b".txt', "first", "text/plain"), "two": file}
        seen = client.post("/echo/", data={"c": "d"}, files=files).json()
        assert seen["form"] == {
            "c": ["d"],
            "one": ["a %22b%22.txt", "first", "text/plain"],
            "two": ["two.txt", "second", "application/octet-stream"],
        }

    def test_a_body_in_several_messages_has_no_length(self, client: Client) -> None:
        seen = client.request("PUT", "/echo/", data=[b"one,", b"two"]).json()
        assert seen["body"] == "one,two"
        assert "content-length" not in seen["headers"]

    def test_headers_replace_computed_ones(self) -> None:
        with Client(APP, headers={"X-A": "client", "X-B": "client"}) as client:
            headers = {"X-A": "request", "Host": "other", "Content-Type": "text/x"}
            seen = client.post("/echo/", json=1, headers=headers).json()["headers"]
        assert (seen["x-a"], seen["x-b"]) == ("request", "client")
        assert (seen["host"], seen["content-type"]) == ("other", "text/x")

    def test_cookies_are_kept_and_forgotten(self, client: Client) -> None:
        assert client.get("/visit").text == "new"
        assert client.cookies == {"seen": "yes", "theme": "dark"}
        assert client.get("/visit?forget=1").text == "yes"
        assert client.cookies == {"seen": "yes"}
        seen = client.get("/echo/", cookies={"own": "1"}).json()
        assert seen["cookies"] == {"seen": "yes", "own": "1"}

    def test_redirects_are_followed_only_when_asked(self, client: Client) -> None:
        assert client.get("/hop").status_code == 302
        answer = client.post("/hop", data=b"x", follow_redirects=True)
        assert [one.status_code for one in answer.history] == [302]
        seen = answer.json()
        assert (seen["method"], seen["query"], seen["body"]) == ("GET", "hop=1", "")

    def test_a_redirect_that_keeps_the_method(self, client: Client) -> None:
        seen = client.post("/hop?status=307", data=b"x", follow_redirects=True).json()
        assert (seen["method"], seen["body"]) == ("POST", "x")

    def test_redirects_in_a_circle(self, client: Client) -> None:
        with pytest.raises(TooManyRedirects):
            client.get("/loop", follow_redirects=True)

    def test_what_the_application_raises_is_raised(self, client: Client) -> None:
        with pytest.raises(ZeroDivisionError):
            client.get("/boom")

    def test_each_value_of_a_header(self, client: Client) -> None:
        answer = client.get("/visit")
        assert len(answer.values("Set-Cookie")) == 2
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"


VERBS = ["get", "post", "put", "patch", "delete", "head", "options"]


async def method(request: ASGIRequest) -> HttpResponse:
    return HttpResponse(headers={"X-Method": request.method or ""})


@pytest.mark.parametrize("verb", VERBS)
def test_every_method_has_its_verb(verb: str) -> None:
    client = Client(ASGIHandler([path("", method)]))
    assert getattr(client, verb)("/").headers["x-method"] == verb.upper()


@pytest.mark.parametrize("verb", VERBS)
def test_every_method_has_its_asynchronous_verb(verb: str) -> None:
    client = AsyncClient(ASGIHandler([path("", method)]))
    assert asyncio.run(getattr(client, verb)("/")).headers["x-method"] == verb.upper()


class TestStreams:
    def test_the_application_waits_for_the_reader(self, client: Client) -> None:
        with client.stream("GET", "/endless") as answer:
            parts = iter(answer)
            assert answer.status_code == 200
            assert [next(parts), next(parts)] == [b"0,", b"1,"]
            assert len([entry for entry in log if entry.startswith("made")]) <= 4

    def test_leaving_the_block_disconnects(self, client: Client) -> None:
        with client.stream("GET", "/endless"):
            pass
        assert log[0] == "started"
        assert "made 0" in log

    def test_without_a_loop_there_is_no_stream(self) -> None:
        client = Client(APP)
        with (
            pytest.raises(RuntimeError, match="with Client"),
            client.stream("GET", "/endless"),
        ):
            pass


class TestWebSockets:
    def test_text_and_bytes(self, client: Client) -> None:
        with client.websocket("/talk", subprotocols=["chat", "other"]) as ws:
            assert ws.subprotocol == "chat"
            ws.send("hello")
            assert ws.receive() == "/talk hello"
            assert ws.receive() == b"hello"
            ws.close(4001)
        assert log[-1] == "WebSocketDisconnect(4001, '')"

    def test_the_application_closes(self, client: Client) -> None:
        with client.websocket("/talk") as ws:
            ws.send("bye")
            with pytest.raises(WebSocketDisconnect) as raised:
                ws.receive()
        assert (raised.value.code, raised.value.reason) == (4000, "as you wish")

    def test_a_denied_handshake(self, client: Client) -> None:
        with pytest.raises(WebSocketDenied) as raised, client.websocket("/talk?refuse=1"):
            pass
        assert (raised.value.answer.status_code, raised.value.answer.text) == (401, "members only")

    def test_a_plain_refusal_is_a_403(self, client: Client) -> None:
        with pytest.raises(WebSocketDenied) as raised, client.websocket("/nowhere"):
            pass
        assert raised.value.answer.status_code in {403, 404}


class TestLifespan:
    def test_start_up_and_shutdown_surround_the_block(self) -> None:
        log.clear()
        with Client(APP) as client:
            assert log == ["started"]
            assert client.state == {"answer": 42}
            assert client.get("/echo/").json()["state"] == 42
        assert log == ["started", "stopped"]

    def test_without_the_block_there_is_no_lifespan(self) -> None:
        log.clear()
        assert Client(APP).get("/echo/").json()["state"] is None
        assert log == []

    def test_a_failed_start_up_is_raised(self) -> None:
        async def app(_scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "no database"})

        with pytest.raises(LifespanFailed, match="no database"), Client(app):
            pass

    def test_an_application_without_lifespan_is_used_without(self) -> None:
        async def app(scope: Any, _receive: Any, send: Any) -> None:
            assert scope["type"] == "http"
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})

        with Client(app) as client:
            assert client.get("/").status_code == 204


class TestEncoding:
    """What the client encodes, the handler's own parsers read back."""

    NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\\/&;%", min_codepoint=32))

    TRIMMED = NAMES.map(str.strip).filter(len)  # the names of parts are read without the rest

    @given(
        fields=st.lists(st.tuples(TRIMMED, st.text())),
        files=st.lists(st.tuples(TRIMMED, st.binary())),
    )
    @example(fields=[("*é", "1"), ("a*b", "2")], files=[("*ü", b"3")])
    def test_forms(self, fields: list[tuple[str, str]], files: list[tuple[str, bytes]]) -> None:
        seen: list[Any] = []

        async def view(request: ASGIRequest) -> HttpResponse:
            form = await request.aform()
            for name in form:
                for value in form.getlist(name):
                    content = value if isinstance(value, str) else await value.aread()
                    seen.append((name, content))
            return HttpResponse()

        client = Client(ASGIHandler([path("", view)]))
        sent = [(name, (f"{number}.bin", content)) for number, (name, content) in enumerate(files)]
        assert client.post("/", data=grouped(fields), files=sent).status_code == 200
        assert sorted(seen, key=repr) == sorted([*fields, *files], key=repr)

    @given(params=st.lists(st.tuples(NAMES, NAMES)), segment=NAMES)
    def test_targets(self, params: list[tuple[str, str]], segment: str) -> None:
        seen: list[Any] = []

        def view(request: ASGIRequest, rest: str) -> HttpResponse:
            seen.extend([rest, dict(request.GET.lists())])
            return HttpResponse()

        client = Client(ASGIHandler([path("x<path:rest>", view)]))
        target = f"/x{quote(segment, safe='')}/"
        assert client.get(target, params=params).status_code == 200
        assert seen == [f"{segment}/", grouped(params)]


def grouped(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name, value in pairs:
        groups.setdefault(name, []).append(value)
    return groups


class TestAsync:
    def test_the_same_in_a_running_loop(self) -> None:
        async def main() -> None:
            async with AsyncClient(APP) as client:
                assert (await client.get("/visit")).text == "new"
                answers = await asyncio.gather(*(client.get("/echo/") for _ in range(3)))
                assert [answer.status_code for answer in answers] == [200] * 3
                async with client.stream("GET", "/visit") as answer:
                    assert await answer.read() == b"yes"
                async with client.websocket("/talk") as ws:
                    await ws.send("x")
                    assert await ws.receive() == "/talk x"

        asyncio.run(main())

    def test_an_application_that_sends_no_response(self) -> None:
        async def app(_scope: Any, _receive: Any, _send: Any) -> None:
            return

        with pytest.raises(RuntimeError, match="without a response"):
            Client(app).get("/")

    def test_a_path_that_is_sent(self, tmp_path: Any) -> None:
        (tmp_path / "file").write_bytes(b"whole")

        async def app(_scope: Any, _receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "trailers": True})
            await send({"type": "http.response.pathsend", "path": str(tmp_path / "file")})
            await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]})

        answer = Client(app).get("/")
        assert (answer.content, answer.trailers) == (b"whole", [(b"x-sum", b"1")])
