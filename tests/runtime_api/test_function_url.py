"""The Function URL in front, read by a real HTTP client."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import httpx
import pytest
from scripted import fail, served
from wire import NEXT, STREAM, Wire, chunk, response

from penstock.infra.runtime_api import LocalRuntimeAPI

NULS = b"\0" * 8


def answering(value: object) -> Any:
    async def answer(wire: Wire, request_id: str, _: Any) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        await wire.post(response(request_id), body, {"Content-Type": "application/json"})

    return answer


def streaming(
    head: object,
    *pieces: bytes,
    end: bytes = b"0\r\n\r\n",
    content_type: str = STREAM["Content-Type"],
) -> Any:
    async def answer(wire: Wire, request_id: str, _: Any) -> None:
        prelude = head if isinstance(head, bytes) else json.dumps(head).encode() + NULS
        body = b"".join(chunk(piece) for piece in (prelude, *pieces) if piece) + end
        await wire.post(response(request_id), body, {**STREAM, "Content-Type": content_type})

    return answer


async def fetch(
    answer: Any, method: str = "GET", path: str = "/", **options: Any
) -> httpx.Response:
    mode = options.pop("mode", "buffered")
    async with (
        served(answer, invoke_mode=mode) as api,
        httpx.AsyncClient(base_url=api.function_url) as client,
    ):
        return await client.request(method, path, **options)


class TestBuffered:
    async def test_a_request_becomes_an_event_and_the_answer_a_response(self) -> None:
        seen = {}

        async def answer(wire: Wire, request_id: str, event: Any) -> None:
            seen.update(event.json())
            value = {
                "statusCode": 201,
                "headers": {"X-Tea": "green", "Content-Type": "text/plain"},
                "cookies": ["a=1", "b=2"],
                "body": base64.b64encode(b"\xff").decode(),
                "isBase64Encoded": True,
            }
            await answering(value)(wire, request_id, event)

        reply = await fetch(answer, "POST", "/a%2Fb?x=1", content=b"hello")
        assert (201, b"\xff", "green") == (reply.status_code, reply.content, reply.headers["x-tea"])
        assert ["a=1", "b=2"] == reply.headers.get_list("set-cookie")
        assert ("2.0", "/a%2Fb", "x=1") == (
            seen["version"],
            seen["rawPath"],
            seen["rawQueryString"],
        )
        assert base64.b64decode(seen["body"]) == b"hello"

    @pytest.mark.parametrize("value", ["tea", {"tea": 1}, [1], None])
    async def test_what_has_no_status_code_is_json_itself(self, value: object) -> None:
        reply = await fetch(answering(value))
        assert (200, "application/json") == (reply.status_code, reply.headers["content-type"])
        assert value == reply.json()

    @pytest.mark.parametrize(
        "value",
        [
            b"no json",
            {"statusCode": "x"},
            {"statusCode": 100},
            {"statusCode": 200, "body": {}},
            {"statusCode": 200, "headers": {"a b": "c"}},
            {"statusCode": 200, "headers": {"a": "b\r\nc: d"}},
            {"statusCode": 200, "headers": {"a": "\u20ac"}},
            {"statusCode": 200, "body": "!", "isBase64Encoded": True},
        ],
    )
    async def test_a_wrong_answer_is_a_502(self, value: object) -> None:
        assert (await fetch(answering(value))).status_code == 502

    async def test_a_failed_function_is_a_502(self) -> None:
        assert (await fetch(fail)).status_code == 502

    @pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
    async def test_responses_without_a_body(self, method: str, status: int) -> None:
        reply = await fetch(answering({"statusCode": status, "body": "no"}), method)
        assert (status, b"") == (reply.status_code, reply.content)


class TestStreamed:
    async def test_the_first_bytes_are_there_before_the_last_are_made(self) -> None:
        go_on = asyncio.Event()

        async def answer(wire: Wire, request_id: str, _: Any) -> None:
            head = b'{"statusCode":200,"headers":{"content-type":"text/event-stream"}}'
            await wire.send("POST", response(request_id), chunk(head + NULS + b"one"), STREAM)
            await go_on.wait()
            await wire.write(chunk(b"two") + b"0\r\n\r\n")
            await wire.read_reply()

        async with (
            served(answer, invoke_mode="response_stream") as api,
            httpx.AsyncClient() as client,
            client.stream("GET", api.function_url) as reply,
        ):
            pieces = reply.aiter_raw()
            assert await anext(pieces) == b"one"
            assert reply.headers["content-type"] == "text/event-stream"
            go_on.set()
            assert [b"two"] == [piece async for piece in pieces]

    async def test_status_headers_and_cookies(self) -> None:
        head = {"statusCode": 404, "headers": {"x-tea": "green"}, "cookies": ["a=1", "b=2"]}
        reply = await fetch(streaming(head, b"no"), mode="response_stream")
        assert (404, b"no", "green") == (reply.status_code, reply.content, reply.headers["x-tea"])
        assert ["a=1", "b=2"] == reply.headers.get_list("set-cookie")
        assert reply.headers["content-type"] == "application/octet-stream"

    async def test_a_content_length_is_renamed(self) -> None:
        head = {"headers": {"Content-Length": "99"}}
        reply = await fetch(streaming(head, b"no"), mode="response_stream")
        assert "content-length" not in reply.headers
        assert ("99", b"no") == (reply.headers["x-amzn-remapped-content-length"], reply.content)

    @pytest.mark.parametrize("status", [200, 204, 302, 304])
    async def test_nothing_but_a_prelude(self, status: int) -> None:
        reply = await fetch(streaming({"statusCode": status}), mode="response_stream")
        assert (status, b"") == (reply.status_code, reply.content)

    async def test_an_error_in_mid_stream_breaks_the_response_off(self) -> None:
        end = b"0\r\nLambda-Runtime-Function-Error-Type: Function.NoTea\r\n\r\n"
        with pytest.raises(httpx.RemoteProtocolError):
            await fetch(streaming({}, b"part", end=end), mode="response_stream")

    async def test_an_error_before_the_prelude_is_a_502(self) -> None:
        end = b"0\r\nLambda-Runtime-Function-Error-Type: Function.NoTea\r\n\r\n"
        assert (await fetch(fail, mode="response_stream")).status_code == 502
        reply = await fetch(streaming(b"{", end=end), mode="response_stream")
        assert reply.status_code == 502

    @pytest.mark.parametrize(
        "head", [b"no json" + NULS, b"{}", b"x" * 17_000, b'{"headers":{"a":"\\n"}}' + NULS]
    )
    async def test_a_wrong_prelude_is_a_502(self, head: bytes) -> None:
        assert (await fetch(streaming(head), mode="response_stream")).status_code == 502

    async def test_other_content_types_pass_as_they_are(self) -> None:
        reply = await fetch(
            streaming(b"raw", b"er", content_type="application/json"), mode="response_stream"
        )
        assert (200, b"rawer") == (reply.status_code, reply.content)
        assert reply.headers["content-type"] == "application/octet-stream"

    async def test_a_client_that_goes_away_does_not_stop_the_function(self) -> None:
        async with (
            LocalRuntimeAPI(invoke_mode="response_stream") as api,
            Wire(api.address) as wire,
        ):
            async with Wire(api.function_url) as client:
                await client.send("GET", "/")
                event = await wire.get(NEXT)
                request_id = event.headers["lambda-runtime-aws-request-id"]
                await wire.send("POST", response(request_id), chunk(b"{}" + NULS), STREAM)
                await client.read_head()
            for _ in range(300):
                await wire.write(chunk(b"x" * 65536))
            await wire.write(b"0\r\n\r\n")
            assert (await wire.read_reply()).status == 202


async def test_a_request_that_is_too_long_is_a_413() -> None:
    async with LocalRuntimeAPI() as api, Wire(api.function_url) as wire:
        await wire.send("POST", "/", headers={"Content-Length": str(6_291_457)})
        await wire.write(b"x" * 6_291_457)
        assert (await wire.read_reply()).status == 413


async def test_a_target_that_is_no_path_is_a_400() -> None:
    async with LocalRuntimeAPI() as api, Wire(api.function_url) as wire:
        await wire.write(b"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await wire.read_reply()).status == 400
