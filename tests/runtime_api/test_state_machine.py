"""What a runtime may do when: status codes and bodies of the Runtime API."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from wire import NEXT, RUNTIME, STREAM, Reply, Wire, chunk, error, response

from penstock.infra.runtime_api import FunctionFailed, LocalRuntimeAPI, Pending

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Post = Callable[[str], str]

LIMIT_BYTES = 6_291_556


@asynccontextmanager
async def running(**options: Any) -> AsyncIterator[tuple[LocalRuntimeAPI, Wire, Pending]]:
    """A runtime that has an event and has not answered yet."""
    async with LocalRuntimeAPI(**options) as api, Wire(api.address) as wire:
        pending = api.start({"n": 1}, request_id="r-1")
        assert (await wire.get(NEXT)).status == 200
        yield api, wire, pending


def refusal(reply: Reply) -> tuple[int, str]:
    assert reply.headers["content-type"] == "application/json"
    assert {"errorType", "errorMessage"} == reply.json().keys()
    return reply.status, reply.json()["errorType"]


WRONG_STATE = 403, "InvalidStateTransition"
WRONG_ID = 400, "InvalidRequestID"
STALE = 410, "InvokeTimeout"


async def test_a_round_of_two_invocations() -> None:
    async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
        for number in (1, 2):
            pending = api.start({"n": number})
            reply = await wire.get(NEXT)
            assert reply.json() == {"n": number}
            assert reply.headers["lambda-runtime-aws-request-id"] == pending.request_id
            accepted = await wire.post(response(pending.request_id), b'"tea"')
            assert (202, {"status": "OK"}) == (accepted.status, accepted.json())
            assert await pending.result() == "tea"


async def test_the_answer_arrives_before_the_next_event_is_asked_for() -> None:
    async with running() as (_, wire, pending):
        await wire.post(response("r-1"), b"1")
        assert await pending.result() == 1
        assert pending.invocation.ended_at is None
        await wire.send("GET", NEXT)
        await pending.ended()
        assert pending.invocation.post_response_s is not None
        assert pending.invocation.post_response_s >= 0


async def test_a_runtime_that_asks_again_gets_the_same_event() -> None:
    async with running() as (_, wire, _):
        reply = await wire.get(NEXT)
        assert ("r-1", {"n": 1}) == (reply.headers["lambda-runtime-aws-request-id"], reply.json())


async def test_an_event_that_waited_goes_to_the_request_whose_connection_lives() -> None:
    async with LocalRuntimeAPI() as api, Wire(api.address) as alive:
        async with Wire(api.address) as dead:
            await dead.send("GET", NEXT)
            await api.ready()
        await alive.send("GET", NEXT)
        pending = api.start("x")
        assert (await alive.read_reply()).json() == "x"
        await alive.post(response(pending.request_id), b"2")
        assert await pending.result() == 2


@pytest.mark.parametrize("post", [response, error], ids=["response", "error"])
class TestPosts:
    async def test_before_the_first_event(self, post: Post) -> None:
        async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
            assert refusal(await wire.post(post("any"), b"1")) == WRONG_ID

    async def test_with_an_unknown_id_changes_nothing(self, post: Post) -> None:
        async with running() as (_, wire, pending):
            assert refusal(await wire.post(post("other"), b"1")) == WRONG_ID
            assert (await wire.post(response("r-1"), b"1")).status == 202
            assert await pending.result() == 1

    async def test_with_a_stale_invocation_id_changes_nothing(self, post: Post) -> None:
        async with running() as (_, wire, pending):
            stale = {"Lambda-Runtime-Invocation-Id": "another"}
            assert refusal(await wire.post(post("r-1"), b"1", stale)) == STALE
            right = {"Lambda-Runtime-Invocation-Id": pending.invocation.invocation_id}
            assert (await wire.post(response("r-1"), b"1", right)).status == 202

    async def test_twice(self, post: Post) -> None:
        async with running() as (_, wire, _):
            await wire.post(response("r-1"), b"1")
            assert refusal(await wire.post(post("r-1"), b"1")) == WRONG_STATE

    async def test_while_an_answer_is_being_sent(self, post: Post) -> None:
        async with LocalRuntimeAPI() as api, Wire(api.address) as wire, Wire(api.address) as other:
            pending = api.start({}, request_id="r-1", streaming=True)
            await wire.get(NEXT)
            await wire.send("POST", response("r-1"), chunk(b"{}"), STREAM)
            await pending.begun()
            assert refusal(await other.post(post("r-1"), b"1")) == WRONG_STATE
            assert refusal(await other.get(NEXT)) == WRONG_STATE


async def test_init_error_only_before_the_first_event() -> None:
    async with running() as (_, wire, _):
        reply = await wire.post(f"{RUNTIME}/init/error", b"{}")
        assert refusal(reply) == WRONG_STATE
        assert reply.json()["errorMessage"] == (
            "State transition from Running to InitError failed for runtime."
            " Error: State transition is not allowed"
        )


async def test_an_init_error_fails_the_invocation_that_waits() -> None:
    async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
        pending = api.start({})
        body = json.dumps({"errorType": "Runtime.ImportModuleError", "errorMessage": "no app"})
        headers = {"Lambda-Runtime-Function-Error-Type": "Runtime.ImportModuleError"}
        assert (await wire.post(f"{RUNTIME}/init/error", body.encode(), headers)).status == 202
        with pytest.raises(FunctionFailed) as failed:
            await pending.result()
        assert failed.value.error.error_type == "Runtime.ImportModuleError"
        assert failed.value.error.json() == json.loads(body)
        assert refusal(await wire.post(f"{RUNTIME}/init/error", b"{}")) == WRONG_STATE
        assert refusal(await wire.get(NEXT)) == WRONG_STATE


async def test_an_init_error_that_nobody_waits_for_is_kept() -> None:
    async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
        await wire.post(f"{RUNTIME}/init/error", b'{"errorMessage":"x"}')
        assert api.init_error is not None
        assert api.init_error.json() == {"errorMessage": "x"}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("Function.OutOfTea", "Function.OutOfTea"),
        ("Runtime.NoTea", "Runtime.NoTea"),
        ("Function.no", "Function.Unknown"),
        ("ValueError", "Runtime.Unknown"),
        ("", "Runtime.Unknown"),
    ],
)
async def test_error_types_are_those_that_lambda_keeps(sent: str, kept: str) -> None:
    async with running() as (_, wire, pending):
        headers = {"Lambda-Runtime-Function-Error-Type": sent}
        assert (await wire.post(error("r-1"), b'{"errorType":"x"}', headers)).status == 202
        with pytest.raises(FunctionFailed) as failed:
            await pending.result()
        assert (kept, {"errorType": "x"}) == (
            failed.value.error.error_type,
            failed.value.error.json(),
        )


async def test_an_error_with_its_cause_loses_the_cause() -> None:
    async with running() as (_, wire, pending):
        body = json.dumps(
            {"errorMessage": "m", "errorType": "t", "stackTrace": [], "errorCause": {}}
        )
        headers = {"Content-Type": "application/vnd.aws.lambda.error.cause+json"}
        await wire.post(error("r-1"), body.encode(), headers)
        with pytest.raises(FunctionFailed) as failed:
            await pending.result()
        assert failed.value.error.json() == {
            "errorMessage": "m",
            "errorType": "t",
            "stackTrace": [],
        }


@pytest.mark.parametrize("mode", ["Streaming", "buffered", "stream"])
async def test_a_wrong_response_mode_leaves_the_runtime_stuck_until_the_deadline(mode: str) -> None:
    async with running() as (api, wire, pending):
        headers = {"Lambda-Runtime-Function-Response-Mode": mode}
        reply = await wire.post(response("r-1"), b"1", headers)
        assert refusal(reply) == (400, "InvalidFunctionResponseMode")
        with pytest.raises(FunctionFailed, match=r"Runtime\.InvalidResponseModeHeader"):
            await pending.result()
        assert refusal(await wire.get(NEXT)) == WRONG_STATE
        pending.expire()
        async with Wire(api.address) as fresh:
            again = api.start({"n": 2})
            assert (await fresh.get(NEXT)).json() == {"n": 2}
            await fresh.post(response(again.request_id), b"2")
            assert await again.result() == 2


class TestSizes:
    async def test_the_longest_answer(self) -> None:
        async with running() as (_, wire, pending):
            assert (await wire.post(response("r-1"), b"x" * LIMIT_BYTES)).status == 202
            assert len(await pending.payload()) == LIMIT_BYTES

    async def test_one_byte_more(self) -> None:
        async with running() as (api, wire, pending):
            await wire.send("POST", response("r-1"), b"x" * (LIMIT_BYTES + 1))
            reply = await wire.read_reply()
            assert refusal(reply) == (413, "RequestEntityTooLarge")
            with pytest.raises(FunctionFailed, match=r"Function\.ResponseSizeTooLarge"):
                await pending.payload()
            async with Wire(api.address) as other:
                await other.send("GET", NEXT)
                await api.ready()

    async def test_a_refusal_comes_before_a_long_body_has_been_sent(self) -> None:
        async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
            headers = {"Content-Length": str(10**9)}
            await wire.send("POST", response("any"), b"", headers)
            assert refusal(await wire.read_reply()) == WRONG_ID

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", f"{RUNTIME}/init/error"),
            ("POST", "/2020-01-01/extension/register"),
            ("PUT", "/2022-07-01/telemetry"),
        ],
    )
    async def test_reports_are_shorter_than_answers(self, method: str, path: str) -> None:
        async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
            reply = await wire.request(method, path, b"x" * (1024 * 1024 + 1))
            assert refusal(reply) == (413, "RequestEntityTooLarge")
            assert "at most 1048576 bytes" in reply.json()["errorMessage"]

    async def test_expect_100_continue_is_honoured(self) -> None:
        async with running() as (_, wire, pending):
            headers = {"Content-Length": "1", "Expect": "100-continue"}
            await wire.send("POST", response("r-1"), b"", headers)
            assert (await wire.read_head())[0] == 100
            await wire.write(b"7")
            assert (await wire.read_reply()).status == 202
            assert await pending.result() == 7


class TestDeadline:
    async def test_a_classic_runtime_is_replaced(self) -> None:
        async with running(timeout_s=3) as (api, wire, pending):
            pending.expire()
            with pytest.raises(FunctionFailed) as failed:
                await pending.result()
            assert failed.value.error.json() == {
                "errorType": "Sandbox.Timedout",
                "errorMessage": "RequestId: r-1 Error: Task timed out after 3.00 seconds",
            }
            assert await wire.ends() == b""
            async with Wire(api.address) as fresh:
                assert refusal(await fresh.post(response("r-1"), b"1")) == WRONG_ID

    async def test_it_comes_by_itself(self) -> None:
        async with LocalRuntimeAPI(timeout_s=0.05) as api, Wire(api.address) as wire:
            pending = api.start({})
            await wire.get(NEXT)
            with pytest.raises(FunctionFailed, match=r"Task timed out after 0\.05 seconds"):
                await pending.result()

    async def test_work_after_the_answer_has_the_same_deadline(self) -> None:
        async with running() as (_, wire, pending):
            await wire.post(response("r-1"), b"1")
            assert await pending.result() == 1
            pending.expire()
            await pending.ended()
            assert await wire.ends() == b""


async def test_what_has_not_ended_fails_when_the_environment_is_closed() -> None:
    async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
        delivered, waiting = api.start(1), api.start(2)
        await wire.get(NEXT)
    for pending in (delivered, waiting):
        with pytest.raises(FunctionFailed, match="has been shut down"):
            await pending.result()
        await pending.ended()


async def test_a_deadline_that_comes_after_the_end_changes_nothing() -> None:
    async with running() as (api, wire, pending):
        await wire.post(response("r-1"), b"1")
        await wire.send("GET", NEXT)
        await pending.ended()
        pending.expire()
        again = api.start(2)
        assert (await wire.read_reply()).json() == 2
        await wire.post(response(again.request_id), b"2")
        assert await again.result() == 2


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", NEXT, 405),
        ("GET", response("r-1"), 405),
        ("GET", "/2018-06-01/runtime/unknown", 404),
        ("GET", "/", 404),
        ("GET", f"{RUNTIME}/restore/next", 404),
        ("POST", f"{RUNTIME}/restore/error", 404),
    ],
)
async def test_other_methods_and_paths(method: str, path: str, status: int) -> None:
    async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
        assert (await wire.request(method, path)).status == status


async def test_ping() -> None:
    async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
        assert (await wire.get("/2018-06-01/ping")).body == b"pong"


async def test_what_is_not_http_gets_a_400() -> None:
    async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
        await wire.write(b"tea please\r\n\r\n")
        assert (await wire.read_reply()).status == 400


class TestHeaders:
    async def test_all_that_a_call_can_have(self) -> None:
        async with LocalRuntimeAPI(function_name="tea") as api, Wire(api.address) as wire:
            pending = api.start(
                {},
                request_id="r-9",
                trace_id="Root=1-2-3;Sampled=1",
                tenant_id="blue",
                client_context='{"custom":{}}',
                cognito_identity={"cognitoIdentityId": "a", "cognitoIdentityPoolId": "b"},
            )
            headers = (await wire.get(NEXT)).headers
        assert {
            "lambda-runtime-aws-request-id": "r-9",
            "lambda-runtime-trace-id": "Root=1-2-3;Sampled=1",
            "lambda-runtime-client-context": '{"custom":{}}',
            "lambda-runtime-invoked-function-arn": (
                "arn:aws:lambda:us-east-1:123456789012:function:tea"
            ),
            "lambda-runtime-deadline-ms": str(pending.invocation.deadline_ms),
            "lambda-runtime-aws-tenant-id": "blue",
            "lambda-runtime-invocation-id": pending.invocation.invocation_id,
            "content-type": "application/json",
        }.items() <= headers.items()
        assert json.loads(headers["lambda-runtime-cognito-identity"]) == {
            "cognitoIdentityId": "a",
            "cognitoIdentityPoolId": "b",
        }

    async def test_what_a_call_has_not_is_not_sent(self) -> None:
        async with LocalRuntimeAPI(invocation_ids=False) as api, Wire(api.address) as wire:
            api.start({})
            sent = {name for name in (await wire.get(NEXT)).headers if "lambda" in name}
        assert sent == {
            "lambda-runtime-aws-request-id",
            "lambda-runtime-deadline-ms",
            "lambda-runtime-invoked-function-arn",
        }

    async def test_a_context_of_several_lines_and_letters_stays_one_header(self) -> None:
        async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
            api.start({}, client_context='{"tea":\r\n"grün €"}')
            value = (await wire.get(NEXT)).headers["lambda-runtime-client-context"]
            assert json.loads(value.encode("latin-1")) == {"tea": "grün €"}

    @pytest.mark.parametrize(("size", "framing"), [(2048, "length"), (2049, "chunked")])
    async def test_events_are_framed_as_by_awss_server(self, size: int, framing: str) -> None:
        async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
            api.start(payload=b"x" * size)
            reply = await wire.get(NEXT)
            assert (framing, size) == (reply.framing, len(reply.body))
