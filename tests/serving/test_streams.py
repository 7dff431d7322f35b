"""Streamed responses, read as an invoker of InvokeWithResponseStream reads them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from penstock.infra.runtime_api import Close, FunctionFailed, Hold, Reset, Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from penstock.infra.runtime_api import LocalRuntimeAPI

    Run = Callable[[Coroutine[Any, Any, None]], None]
    Serve = Callable[..., LocalRuntimeAPI]
    Get = Callable[..., dict[str, Any]]

APP = """
import asyncio, json, os, pathlib
seen = []
headers = [(b"content-type", b"text/plain"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError
    path = scope["path"].removeprefix(scope["root_path"])

    async def start(status=200):
        await send({"type": "http.response.start", "status": status, "headers": headers})

    async def body(data, more=True):
        await send({"type": "http.response.body", "body": data, "more_body": more})

    if path == "/seen":
        await start()
        await body(json.dumps(seen).encode(), False)
    elif path == "/parts":
        await start()
        await body(b"one")
        await body(b"")
        await body(b"two")
        await body(b"three", False)
    elif path == "/at-once":
        await start()
        rest = [asyncio.create_task(body(b"first"))]
        rest += [asyncio.create_task(body(b"%d" % number)) for number in range(9)]
        await asyncio.sleep(0)
        rest.pop().cancel()
        await asyncio.gather(*rest)
        await body(b"last", False)
    elif path.startswith("/counted/"):
        headers.append((b"content-length", path.rpartition("/")[2].encode()))
        await start()
        headers.pop()
        for _ in range(3):
            await body(b"x")
        await body(b"", False)
    elif path.startswith("/empty-counted/"):
        headers.append((b"content-length", b"0"))
        await start(int(path.rpartition("/")[2]))
        headers.pop()
        await body(b"", False)
    elif path.startswith("/empty/"):
        await start(int(path.rpartition("/")[2]))
        await body(b"", False)
    elif path == "/one":
        await start()
        await body(b"all of it", False)
    elif path == "/file":
        pathlib.Path("/tmp/penstock-file").write_bytes(bytes(range(256)) * 4096)
        await start()
        await send({"type": "http.response.pathsend", "path": "/tmp/penstock-file"})
    elif path == "/raise-before":
        raise ValueError("before")
    elif path == "/raise-started":
        await start()
        raise ValueError("started")
    elif path == "/raise-within":
        await start()
        await body(b"begun")
        raise ValueError("within")
    elif path == "/raise-after":
        await start()
        await body(b"whole", False)
        raise ValueError("after")
    elif path == "/returns-within":
        await start()
        await body(b"begun")
    elif path == "/breach":
        await start()
        await body(b"begun")
        await start()
    elif path == "/many":
        await receive()
        listening = asyncio.create_task(receive())
        await start()
        try:
            while True:
                await body(b"x" * 65536)
        except OSError as error:
            seen.append(type(error).__name__)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        seen.append((await listening)["type"])
    elif path == "/waits":
        await start()
        parts, sending = 0, None
        while True:
            parts += 1
            sending = asyncio.create_task(body(b"x" * 65536))
            # One second is far more than a part takes to leave, and only ends the test later.
            if not (await asyncio.wait({sending}, timeout=1))[0]:
                break
        print("waits for its client, parts:", parts, flush=True)
        await sending
        await body(b"", False)
    elif path == "/endless":
        await receive()
        await start()
        await body(b"begun")
        try:
            seen.append((await receive())["type"])
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
"""


async def read(stream: AsyncIterator[bytes]) -> tuple[dict[str, Any], bytes, Any]:
    """Return prelude, body, and the error at the end."""
    data, error = b"", None
    try:
        async for chunk in stream:
            data += chunk
    except FunctionFailed as failed:
        error = failed.error
    prelude, _, body = data.partition(bytes(8))
    return json.loads(prelude) if prelude else {}, body, error


@pytest.fixture
def ask(serve: Serve, run: Run, get: Get, slots: int | None) -> Callable[..., Any]:
    """Send one request to the application, and return what its stream had."""

    def ask(target: str, source: str = "function-url", method: str = "GET") -> Any:
        results: list[Any] = []

        async def main() -> None:
            async with serve(APP, streams=True, concurrency=slots) as api:
                results.append(await read(api.invoke_stream(get(target, source, method))))
                # The next one is served as if nothing had been.
                again = await read(api.invoke_stream(get("/one")))
                assert again[1:] == (b"all of it", None)

        run(main())
        return results[0]

    return ask


class TestResponses:
    def test_of_several_parts(self, ask: Callable[..., Any]) -> None:
        prelude, body, error = ask("/parts")
        assert prelude == {
            "statusCode": 200,
            "headers": {"content-type": "text/plain"},
            "cookies": ["a=1", "b=2"],
        }
        assert (body, error) == (b"onetwothree", None)

    def test_of_parts_that_several_tasks_send_at_once(self, ask: Callable[..., Any]) -> None:
        """As they came; one that was cancelled while it waited for the first is left out."""
        _, body, error = ask("/at-once")
        assert (body, error) == (b"first01234567last", None)

    def test_repeated_headers_of_rest_apis(self, ask: Callable[..., Any]) -> None:
        prelude, body, error = ask("/parts", "rest-api")
        assert prelude == {
            "statusCode": 200,
            "headers": {"content-type": "text/plain"},
            "multiValueHeaders": {"set-cookie": ["a=1", "b=2"]},
        }
        assert (body, error) == (b"onetwothree", None)

    @pytest.mark.parametrize(("status", "length"), [(200, "0"), (204, None), (304, None)])
    def test_without_a_body(self, ask: Callable[..., Any], status: int, length: str | None) -> None:
        prelude, body, error = ask(f"/empty/{status}")
        assert (prelude["statusCode"], body, error) == (status, b"", None)
        assert prelude["headers"].get("content-length") == length

    @pytest.mark.parametrize("source", ["function-url", "rest-api"])
    def test_of_a_length_that_the_application_knows(
        self, ask: Callable[..., Any], source: str
    ) -> None:
        prelude, body, error = ask("/counted/3", source)
        assert prelude["headers"]["content-length"] == "3"
        assert (body, error) == (b"xxx", None)

    @pytest.mark.parametrize(("status", "length"), [(200, "0"), (204, None), (304, None)])
    def test_without_a_body_say_so_once(
        self, ask: Callable[..., Any], status: int, length: str | None
    ) -> None:
        prelude, body, error = ask(f"/empty-counted/{status}", "rest-api")
        assert prelude["headers"].get("content-length") == length
        assert "content-length" not in prelude["multiValueHeaders"]
        assert (prelude["statusCode"], body, error) == (status, b"", None)

    def test_to_head(self, ask: Callable[..., Any]) -> None:
        prelude, body, error = ask("/parts", method="HEAD")
        assert (prelude["statusCode"], body, error) == (200, b"", None)

    def test_of_a_file(self, ask: Callable[..., Any]) -> None:
        _, body, error = ask("/file")
        assert (body, error) == (bytes(range(256)) * 4096, None)

    @pytest.mark.parametrize("source", ["http-api", "alb"])
    def test_front_doors_that_cannot_stream_get_a_whole_answer(
        self, serve: Serve, run: Run, get: Get, slots: int | None, source: str
    ) -> None:
        async def main() -> None:
            async with serve(APP, streams=True, concurrency=slots) as api:
                assert (await api.invoke(get("/parts", source)))["body"] == "onetwothree"

        run(main())


class TestErrors:
    @pytest.mark.parametrize("target", ["/raise-before", "/raise-started"])
    def test_before_the_first_byte_become_an_answer(
        self, ask: Callable[..., Any], target: str
    ) -> None:
        prelude, body, error = ask(target)
        assert (prelude["statusCode"], error) == (500, None)
        assert body == b"Internal Server Error"

    @pytest.mark.parametrize(
        ("target", "name"),
        [
            ("/raise-within", "Function.ValueError"),
            ("/returns-within", "Function.ProtocolError"),
            ("/breach", "Function.ProtocolError"),
        ],
    )
    def test_within_the_body_stand_in_trailers(
        self, ask: Callable[..., Any], target: str, name: str
    ) -> None:
        prelude, body, error = ask(target)
        assert (prelude["statusCode"], body) == (200, b"begun")
        assert error.error_type == name
        assert error.json()["errorType"] == name.partition(".")[2]

    def test_after_the_body_are_logged_only(
        self, serve: Serve, run: Run, get: Get, slots: int | None
    ) -> None:
        async def main() -> None:
            async with serve(APP, streams=True, concurrency=slots) as api:
                stream = api.invoke_stream(get("/raise-after"), request_id="after-1")
                assert (await read(stream))[1:] == (b"whole", None)
                record = await api.log.wait_for("request after-1 (GET '/raise-after'): after")
                assert "ValueError" in record.text

        run(main())


class TestFlow:
    def test_a_slow_reader_makes_the_application_wait(
        self, serve: Serve, run: Run, get: Get, slots: int | None
    ) -> None:
        """It has sent what fits into the sockets when its client stops, and no more comes out."""

        async def main() -> None:
            async with serve(APP, streams=True, concurrency=slots) as api:
                hold = api.inject("response", Hold(after_bytes=1000))
                pending = api.start(get("/waits"), streaming=True, timeout_s=20)
                await hold.reached()
                # The application says so itself, once a part has not left in all that time.
                await api.log.wait_for("waits for its client")
                hold.release()
                body = (await pending.payload()).partition(bytes(8))[2]
                assert len(body) == int(api.log.text.rpartition("parts: ")[2].split()[0]) * 65536

        run(main())

    @pytest.mark.parametrize(
        "fault",
        [Reset(after_bytes=500_000), Close(after_bytes=500_000), Status(413, early=True)],
        ids=["reset", "close", "early refusal"],
    )
    def test_a_broken_stream_is_a_disconnect(
        self, serve: Serve, run: Run, get: Get, slots: int | None, fault: Any
    ) -> None:
        async def main() -> None:
            async with serve(APP, streams=True, concurrency=slots) as api:
                api.inject("response", fault)
                await read(api.invoke_stream(get("/many")))
                await api.log.wait_for("nobody takes the response any more")
                _, body, error = await read(api.invoke_stream(get("/seen")))
                assert (json.loads(body), error) == (
                    ["ClientDisconnected", "http.disconnect"],
                    None,
                )

        run(main())

    def test_the_deadline(self, serve: Serve, run: Run, get: Get, slots: int | None) -> None:
        async def main() -> None:
            async with serve(APP, streams=True, concurrency=slots) as api:
                _, body, error = await read(api.invoke_stream(get("/endless"), timeout_s=1))
                assert (body, error.error_type) == (b"begun", "Function.TimeoutError")
                _, body, error = await read(api.invoke_stream(get("/seen")))
                assert (json.loads(body), error) == (["http.disconnect", "cancelled"], None)

        run(main())
