"""AWS's client for Node.js streams through the local Runtime API: ``make test-node``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from fetch_node_client import fetch_node_client

from penstock.infra.runtime_api import FunctionFailed, LocalRuntimeAPI

pytestmark = pytest.mark.node

HEAD = b'{"statusCode":201,"headers":{"content-type":"text/plain"},"cookies":["a=1"]}' + b"\0" * 8


def node(handler: str = "index.handler", **options: Any) -> LocalRuntimeAPI:
    return LocalRuntimeAPI(
        [str(fetch_node_client()), handler],
        folder=Path(__file__).parent / "node_function",
        handler=handler,
        execution_env="AWS_Lambda_nodejs22.x",
        invoke_mode="response_stream",
        **options,
    )


async def test_a_stream_with_its_prelude() -> None:
    async with node() as api:
        pending = api.start({"parts": ["one", "two"]}, streaming=True)
        assert HEAD + b"onetwo" == await pending.payload()
        assert pending.content_type == "application/vnd.awslambda.http-integration-response"
        assert pending.is_streamed


async def test_a_buffered_invocation_gets_the_same_in_one_piece() -> None:
    async with node() as api:
        assert HEAD + b"onetwo" == await api.start({"parts": ["one", "two"]}).payload()


async def test_many_streams_one_after_the_other() -> None:
    async with node() as api:
        for number in range(1, 20):
            parts = [str(number)] * number
            chunks = [chunk async for chunk in api.invoke_stream({"parts": parts})]
            assert HEAD + "".join(parts).encode() == b"".join(chunks)


async def test_without_a_chunk_nodes_client_sends_no_prelude_either() -> None:
    async with node() as api:
        assert await api.start({"parts": []}, streaming=True).payload() == b""


async def test_an_error_before_the_stream() -> None:
    async with node() as api:
        with pytest.raises(FunctionFailed) as failed:
            await api.start({"then": "fail at once"}, streaming=True).payload()
        assert failed.value.error.json()["errorMessage"] == "no tea"
        assert HEAD + b"x" == await api.start({"parts": ["x"]}, streaming=True).payload()


async def test_an_error_in_mid_stream() -> None:
    async with node() as api:
        chunks = api.invoke_stream({"parts": ["one"], "then": "fail"})
        received = b""
        while received != HEAD + b"one":
            received += await anext(chunks)
        with pytest.raises(FunctionFailed) as failed:
            await anext(chunks)
        assert failed.value.error.error_type == "Runtime.Unknown"
        assert failed.value.error.json()["errorMessage"] == "no more tea"


async def test_the_process_ends_in_mid_stream() -> None:
    async with node() as api:
        with pytest.raises(FunctionFailed, match=r"Runtime\.(TruncatedResponse|ExitError)"):
            await api.start({"parts": ["one"], "then": "exit"}, streaming=True).payload()
        assert HEAD + b"x" == await api.start({"parts": ["x"]}, streaming=True).payload()


async def test_the_deadline_comes_in_mid_stream() -> None:
    async with node() as api:
        pending = api.start({"parts": ["one"], "then": "hang"}, streaming=True)
        chunks = pending.chunks()
        received = b""
        while received != HEAD + b"one":
            received += await anext(chunks)
        pending.expire()
        with pytest.raises(FunctionFailed, match=r"Sandbox\.Timedout"):
            await anext(chunks)
        assert HEAD + b"x" == await api.start({"parts": ["x"]}, streaming=True).payload()


async def test_a_plain_handler() -> None:
    async with node("index.plain") as api:
        answer = await api.invoke({"tea": 1}, request_id="r-1", tenant_id="blue")
        assert answer == {"event": {"tea": 1}, "id": "r-1", "tenant": "blue"}


async def test_a_handler_that_is_not_there() -> None:
    async with node("nothing.handler") as api:
        with pytest.raises(FunctionFailed, match=r"Runtime\.ImportModuleError"):
            await api.invoke({})


async def test_boto3_and_an_http_client_read_the_same_stream() -> None:
    async with node() as api, httpx.AsyncClient() as client:
        reply = await client.post(api.function_url, json={"parts": ["one", "two"]})
        assert (201, "onetwo") == (reply.status_code, reply.text)
        assert reply.headers["set-cookie"] == "a=1"
        lambda_client = boto3.client(
            "lambda",
            endpoint_url=api.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
        )
        answer = await asyncio.to_thread(
            lambda_client.invoke_with_response_stream,
            FunctionName="node",
            Payload=b'{"parts":["one"]}',
        )
        *chunks, end = await asyncio.to_thread(list, answer["EventStream"])
        received = b"".join(chunk["PayloadChunk"]["Payload"] for chunk in chunks)
        assert (HEAD + b"one", {"InvokeComplete": {}}) == (received, end)
