"""Extensions, SnapStart, and what else is at the Runtime API's address."""

from __future__ import annotations

import json
from typing import Any

import pytest
from wire import NEXT, RUNTIME, Reply, Wire, response

from penstock.infra.runtime_api import FunctionFailed, LocalRuntimeAPI

EXTENSION = "/2020-01-01/extension"


async def register(wire: Wire, events: object = (), name: str = "mine", **headers: str) -> Reply:
    body = json.dumps({"events": events}).encode()
    return await wire.post(
        f"{EXTENSION}/register", body, {"Lambda-Extension-Name": name, **headers}
    )


def identifier(reply: Reply) -> dict[str, str]:
    return {"Lambda-Extension-Identifier": reply.headers["lambda-extension-identifier"]}


async def test_an_internal_extension_registers_and_nothing_is_invoked_before_it_waits() -> None:
    async with (
        LocalRuntimeAPI(function_name="tea", handler="a.b") as api,
        Wire(api.address) as runtime,
        Wire(api.address) as extension,
    ):
        registered = await register(extension)
        assert registered.json() == {
            "functionName": "tea",
            "functionVersion": "$LATEST",
            "handler": "a.b",
        }
        pending = api.start({})
        await runtime.send("GET", NEXT)
        await extension.get("/2018-06-01/ping")
        assert pending.invocation.delivered_at is None
        await extension.send("GET", f"{EXTENSION}/event/next", headers=identifier(registered))
        assert (await runtime.read_reply()).json() == {}
        assert pending.invocation.delivered_at is not None


async def test_invoke_events_reach_those_who_asked_for_them() -> None:
    async with (
        LocalRuntimeAPI() as api,
        Wire(api.address) as runtime,
        Wire(api.address) as extension,
    ):
        headers = identifier(await register(extension, ["INVOKE"]))
        await extension.send("GET", f"{EXTENSION}/event/next", headers=headers)
        pending = api.start({}, trace_id="Root=1")
        await runtime.get(NEXT)
        assert (await extension.read_reply()).json() == {
            "eventType": "INVOKE",
            "deadlineMs": pending.invocation.deadline_ms,
            "requestId": pending.request_id,
            "invokedFunctionArn": pending.invocation.function_arn,
            "tracing": {"type": "X-Amzn-Trace-Id", "value": "Root=1"},
        }
        await runtime.post(response(pending.request_id), b"1")
        second = api.start({})
        await runtime.send("GET", NEXT)
        await extension.send("GET", f"{EXTENSION}/event/next", headers=headers)
        await runtime.read_reply()
        assert (await extension.read_reply()).json()["requestId"] == second.request_id


async def test_an_external_extension_is_told_of_the_shutdown() -> None:
    async with (
        LocalRuntimeAPI(external_extensions=("theirs",)) as api,
        Wire(api.address) as extension,
    ):
        headers = identifier(await register(extension, ["INVOKE", "SHUTDOWN"], "theirs"))
        await extension.send("GET", f"{EXTENSION}/event/next", headers=headers)
        await api.shut_down("timeout")
        event = (await extension.read_reply()).json()
        assert ("SHUTDOWN", "timeout") == (event["eventType"], event["shutdownReason"])


@pytest.mark.parametrize(
    ("options", "events", "name", "error"),
    [
        ({}, [], "", "Extension.InvalidExtensionName"),
        ({}, ["SHUTDOWN"], "mine", "Extension.InvalidEventType"),
        ({"concurrency": 2}, ["INVOKE"], "mine", "Extension.InvalidEventType"),
        ({}, "INVOKE", "mine", "InvalidRequestFormat"),
        ({}, [1], "mine", "InvalidRequestFormat"),
    ],
)
async def test_registrations_that_are_refused(
    options: dict[str, Any], events: object, name: str, error: str
) -> None:
    async with LocalRuntimeAPI(**options) as api, Wire(api.address) as wire:
        reply = await register(wire, events, name)
        assert (403, error) == (reply.status, reply.json()["errorType"])


async def test_a_body_that_is_no_json_is_refused() -> None:
    async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
        reply = await wire.post(f"{EXTENSION}/register", b"[", {"Lambda-Extension-Name": "mine"})
        assert (403, "InvalidRequestFormat") == (reply.status, reply.json()["errorType"])


async def test_too_late_twice_and_too_many() -> None:
    async with LocalRuntimeAPI() as api, Wire(api.address) as wire, Wire(api.address) as runtime:
        replies = [await register(wire, name=f"e{number}") for number in (*range(10), 0, 10)]
        assert [200] * 10 + [403] * 2 == [reply.status for reply in replies]
        errors = [reply.json()["errorType"] for reply in replies[10:]]
        assert ["Extension.InvalidExtensionState", "Extension.TooManyExtensions"] == errors
        api.start({})
        await runtime.send("GET", NEXT)
        while (reply := await register(wire, name="late")).json()["errorType"] in errors:
            pass
        assert reply.json()["errorType"] == "Extension.RegistrationClosed"


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        ("", "Extension.MissingExtensionIdentifier"),
        ("no uuid", "Extension.InvalidExtensionIdentifier"),
        ("12345678-1234-1234-1234-123456789012", "Extension.UnknownExtensionIdentifier"),
    ],
)
@pytest.mark.parametrize("path", ["event/next", "exit/error"])
async def test_identifiers_are_checked(path: str, sent: str, error: str) -> None:
    async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
        method = "GET" if path == "event/next" else "POST"
        headers = {"Lambda-Extension-Identifier": sent}
        reply = await wire.request(method, f"{EXTENSION}/{path}", headers=headers)
        assert (403, error) == (reply.status, reply.json()["errorType"])


async def test_an_extension_reports_that_it_failed() -> None:
    async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
        headers = identifier(await register(wire))
        reply = await wire.post(f"{EXTENSION}/exit/error", b"{}", headers)
        assert (403, "Extension.MissingHeader") == (reply.status, reply.json()["errorType"])
        headers["Lambda-Extension-Function-Error-Type"] = "Extension.Tired"
        assert (await wire.post(f"{EXTENSION}/exit/error", b"{}", headers)).status == 202


async def test_the_account_is_told_when_asked_for() -> None:
    async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
        reply = await register(wire, **{"Lambda-Extension-Accept-Feature": "a, accountId"})
        assert reply.json()["accountId"] == "123456789012"


@pytest.mark.parametrize("path", ["/2022-07-01/telemetry", "/2020-08-15/logs"])
async def test_telemetry_is_not_supported(path: str) -> None:
    async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
        reply = await wire.request("PUT", path, b"{}")
        assert reply.status == 202
        assert reply.json()["errorType"].endswith(".NotSupported")


async def test_metadata_wants_the_token() -> None:
    path = "/2026-01-15/metadata/execution-environment"
    async with LocalRuntimeAPI() as api, Wire(api.address) as wire:
        assert (await wire.get(path)).status == 401
        token = api.environ["AWS_LAMBDA_METADATA_TOKEN"]
        reply = await wire.get(path, {"Authorization": f"Bearer {token}"})
        assert reply.json() == {"AvailabilityZoneID": "use1-az1"}
        assert (await wire.post(path)).status == 405


class TestSnapStart:
    async def test_restore_next_waits_until_told(self) -> None:
        async with LocalRuntimeAPI(snap_start=True) as api, Wire(api.address) as wire:
            assert api.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start"
            assert "AWS_LAMBDA_LOG_STREAM_NAME" not in api.environ
            await wire.send("GET", f"{RUNTIME}/restore/next")
            await api.ready()
            await api.restore()
            reply = await wire.read_reply()
            assert (200, b"") == (reply.status, reply.body)
            pending = api.start("x")
            assert (await wire.get(NEXT)).json() == "x"
            await wire.post(response(pending.request_id), b"1")
            assert await pending.result() == 1

    async def test_other_sockets_are_lost_in_a_snapshot(self) -> None:
        async with (
            LocalRuntimeAPI(snap_start=True) as api,
            Wire(api.address) as wire,
            Wire(api.address) as idle,
        ):
            await idle.get("/2018-06-01/ping")
            await wire.send("GET", f"{RUNTIME}/restore/next")
            await api.ready()
            await api.restore(lose_sockets=True)
            assert await idle.is_reset()
            assert (await wire.read_reply()).status == 200

    @pytest.mark.parametrize("path", ["restore/error", "init/error"])
    async def test_a_failure_after_the_restore_fails_the_invocation(self, path: str) -> None:
        async with LocalRuntimeAPI(snap_start=True) as api, Wire(api.address) as wire:
            await wire.send("GET", f"{RUNTIME}/restore/next")
            await api.ready()
            await api.restore()
            await wire.read_reply()
            pending = api.start("x")
            headers = {"Lambda-Runtime-Function-Error-Type": "Runtime.AfterRestoreError"}
            assert (await wire.post(f"{RUNTIME}/{path}", b"{}", headers)).status == 202
            with pytest.raises(FunctionFailed, match=r"Runtime\.AfterRestoreError"):
                await pending.result()
            assert (await wire.get(NEXT)).status == 403

    async def test_restoring_before_the_runtime_waits_is_a_mistake(self) -> None:
        async with LocalRuntimeAPI(snap_start=True) as api:
            with pytest.raises(RuntimeError, match="/restore/next"):
                await api.restore()

    async def test_credentials_come_from_the_container_endpoint(self) -> None:
        async with LocalRuntimeAPI(snap_start=True) as api, Wire(api.address) as wire:
            assert "AWS_ACCESS_KEY_ID" not in api.environ
            uri = api.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
            path = uri.removeprefix(f"http://{api.address}")
            assert (await wire.get(path)).status == 401
            token = api.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
            assert (await wire.get(path, {"Authorization": token})).json()["Token"] == "local"
