"""The Lambda API in front: what boto3 and the Lambda API's own rules make of it."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from scripted import echo, fail, served
from wire import NEXT, STREAM, Wire, chunk, response

from penstock.infra.runtime_api import LocalRuntimeAPI

INVOKE = "/2015-03-31/functions/any/invocations"


def boto(api: LocalRuntimeAPI) -> Any:
    return boto3.client(
        "lambda",
        endpoint_url=api.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=20),
    )


async def test_boto3_invokes() -> None:
    context = base64.b64encode(b'{"custom":{"a":1}}').decode()
    async with served(echo) as api:
        answer = await asyncio.to_thread(
            boto(api).invoke,
            FunctionName="tea",
            Payload=b'{"n":1}',
            ClientContext=context,
            LogType="Tail",
        )
        result = json.loads(answer["Payload"].read())
    assert (200, "$LATEST") == (answer["StatusCode"], answer["ExecutedVersion"])
    assert "FunctionError" not in answer
    assert result["event"] == {"n": 1}
    assert result["headers"]["lambda-runtime-client-context"] == '{"custom":{"a":1}}'
    assert result["headers"]["lambda-runtime-trace-id"].startswith("Root=1-")
    request_id = result["headers"]["lambda-runtime-aws-request-id"]
    assert answer["ResponseMetadata"]["RequestId"] == request_id
    assert f"START RequestId: {request_id}" in base64.b64decode(answer["LogResult"]).decode()


async def test_boto3_sees_a_function_error() -> None:
    async with served(fail) as api:
        answer = await asyncio.to_thread(boto(api).invoke, FunctionName="tea", Payload=b"{}")
    assert (200, "Unhandled") == (answer["StatusCode"], answer["FunctionError"])
    assert json.loads(answer["Payload"].read())["errorType"] == "NoTea"


async def test_boto3_invokes_asynchronously_and_dry() -> None:
    done = asyncio.Event()

    async def answer(wire: Wire, request_id: str, _: Any) -> None:
        await wire.post(response(request_id), b"1")
        done.set()

    async with served(answer) as api:
        client = boto(api)
        for kind, status in (("DryRun", 204), ("Event", 202)):
            reply = await asyncio.to_thread(
                client.invoke, FunctionName="tea", InvocationType=kind, Payload=b"{}"
            )
            assert status == reply["StatusCode"]
        await done.wait()


async def test_boto3_reads_a_stream_chunk_by_chunk() -> None:
    go_on = asyncio.Event()

    async def stream(wire: Wire, request_id: str, _: Any) -> None:
        await wire.send("POST", response(request_id), chunk(b"one"), STREAM)
        await go_on.wait()
        await wire.write(chunk(b"two" * 10_000) + b"0\r\n\r\n")
        assert (await wire.read_reply()).status == 202

    async with served(stream) as api:
        answer = await asyncio.to_thread(
            boto(api).invoke_with_response_stream, FunctionName="tea", Payload=b"{}", LogType="Tail"
        )
        events = iter(answer["EventStream"])
        first = await asyncio.to_thread(next, events)
        assert first == {"PayloadChunk": {"Payload": b"one"}}
        go_on.set()
        *chunks, end = await asyncio.to_thread(list, events)
        received = b"".join(one["PayloadChunk"]["Payload"] for one in chunks)
        assert received == b"two" * 10_000
        assert b"START" in base64.b64decode(end["InvokeComplete"]["LogResult"])
        assert "ErrorCode" not in end["InvokeComplete"]


async def test_boto3_is_told_of_an_error_in_mid_stream() -> None:
    async def stream(wire: Wire, request_id: str, _: Any) -> None:
        details = base64.b64encode(b'{"errorType":"NoTea"}').decode()
        end = (
            f"0\r\nLambda-Runtime-Function-Error-Type: Function.NoTea\r\n"
            f"Lambda-Runtime-Function-Error-Body: {details}\r\n\r\n"
        )
        await wire.send("POST", response(request_id), chunk(b"one") + end.encode(), STREAM)
        await wire.read_reply()

    async with served(stream) as api:
        answer = await asyncio.to_thread(
            boto(api).invoke_with_response_stream, FunctionName="tea", Payload=b"{}"
        )
        chunks = await asyncio.to_thread(list, answer["EventStream"])
    assert chunks == [
        {"PayloadChunk": {"Payload": b"one"}},
        {
            "InvokeComplete": {
                "ErrorCode": "Function.NoTea",
                "ErrorDetails": '{"errorType":"NoTea"}',
            }
        },
    ]


async def test_boto3_is_told_of_an_error_before_the_stream() -> None:
    async with served(fail) as api:
        answer = await asyncio.to_thread(
            boto(api).invoke_with_response_stream, FunctionName="tea", Payload=b"{}"
        )
        (end,) = await asyncio.to_thread(list, answer["EventStream"])
    assert end["InvokeComplete"]["ErrorCode"] == "Runtime.Unknown"
    assert json.loads(end["InvokeComplete"]["ErrorDetails"])["errorMessage"] == "none left"


async def test_boto3_is_throttled_when_no_slot_is_free() -> None:
    async with LocalRuntimeAPI(concurrency=1) as api, Wire(api.address) as wire:
        await wire.send("GET", NEXT)
        await api.ready()
        api.start({})
        with pytest.raises(ClientError) as refused:
            await asyncio.to_thread(boto(api).invoke, FunctionName="tea", Payload=b"{}")
        assert refused.value.response["Error"]["Code"] == "TooManyRequestsException"


@pytest.mark.parametrize(
    ("headers", "body", "status", "kind"),
    [
        ({}, b"{", 400, "InvalidRequestContentException"),
        ({"X-Amz-Client-Context": "!"}, b"{}", 400, "InvalidRequestContentException"),
        ({"X-Amz-Client-Context": "ew=="}, b"{}", 400, "InvalidRequestContentException"),
        ({"X-Amz-Cognito-Identity": "[]"}, b"{}", 400, "InvalidRequestContentException"),
        ({"X-Amz-Invocation-Type": "Tea"}, b"{}", 400, "InvalidParameterValueException"),
        ({}, b'"' + b"x" * 6_291_455 + b'"', 413, "RequestTooLargeException"),
        (
            {"X-Amz-Invocation-Type": "Event"},
            b'"' + b"x" * 1_048_575 + b'"',
            413,
            "RequestTooLargeException",
        ),
    ],
)
async def test_what_the_lambda_api_refuses(
    headers: dict[str, str], body: bytes, status: int, kind: str
) -> None:
    async with LocalRuntimeAPI() as api, Wire(api.endpoint_url) as wire:
        reply = await wire.post(INVOKE, body, headers)
        assert (status, kind) == (reply.status, reply.headers["x-amzn-errortype"])


async def test_other_paths_and_methods() -> None:
    async with LocalRuntimeAPI() as api, Wire(api.endpoint_url) as wire:
        assert (await wire.post("/2015-03-31/functions")).status == 404
        assert (await wire.get(INVOKE)).status == 405
        assert (await wire.request("HEAD", "/")).status == 404


async def test_headers_are_passed_on() -> None:
    async with served(echo) as api, Wire(api.endpoint_url) as wire:
        headers = {
            "X-Amzn-Trace-Id": "Root=1-2-3;Sampled=1",
            "X-Amz-Tenant-Id": "blue",
            "X-Amz-Cognito-Identity": '{"cognitoIdentityId":"i","cognitoIdentityPoolId":"p"}',
        }
        found = (await wire.post(INVOKE, b"", headers)).json()
    assert found["event"] == {}
    assert {
        "lambda-runtime-trace-id": "Root=1-2-3;Sampled=1",
        "lambda-runtime-aws-tenant-id": "blue",
    }.items() <= found["headers"].items()
    assert json.loads(found["headers"]["lambda-runtime-cognito-identity"]) == {
        "cognitoIdentityId": "i",
        "cognitoIdentityPoolId": "p",
    }
