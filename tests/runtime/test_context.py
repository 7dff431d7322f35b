"""The context object has all that AWS's own has, with the same values, and the trace id."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import runtime_events

from penstock.adapter.errors import Fault
from penstock.adapter.runtime import context
from penstock.adapter.runtime.context import LambdaContext

if sys.platform != "linux":
    pytest.skip("AWS's client is for Linux only", allow_module_level=True)

from awslambdaric.bootstrap import create_lambda_context

if TYPE_CHECKING:
    from penstock.adapter.runtime.protocol import Invocation

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:shop:live"
CLIENT = {
    "client": {"installation_id": "i", "app_title": "t", "app_version_name": "n"},
    "custom": {"a": "b", "deep": {"c": 1}},
    "env": {"locale": "en"},
    "w3c": {
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "tracestate": "a=b",
        "baggage": 7,
        "other": "x",
    },
}
IDENTITY = {"cognitoIdentityId": "id", "cognitoIdentityPoolId": "pool"}
VARIABLES = {
    "AWS_LAMBDA_FUNCTION_NAME": "shop",
    "AWS_LAMBDA_FUNCTION_VERSION": "3",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
    "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/shop",
    "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/24/[3]abc",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(context.TRACE_VARIABLE, raising=False)
    context.forget_environment()
    yield
    context.forget_environment()


def make_invocation(deadline_ms: int = 0, **headers: str) -> Invocation:
    return runtime_events.make_invocation(
        {
            "Aws-Request-Id": "an-id",
            "Invoked-Function-Arn": ARN,
            "Deadline-Ms": str(deadline_ms),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
    )


@pytest.mark.parametrize("client", [None, {}, {"custom": None}, CLIENT, {"client": {}}])
@pytest.mark.parametrize("identity", [None, {}, IDENTITY])
@pytest.mark.parametrize("tenant", [None, "blue"])
def test_it_is_as_awslambdarics(client: Any, identity: Any, tenant: str | None) -> None:
    headers = {}
    if client is not None:
        headers["client_context"] = json.dumps(client)
    if identity is not None:
        headers["cognito_identity"] = json.dumps(identity)
    if tenant is not None:
        headers["aws_tenant_id"] = tenant
    ours = LambdaContext(make_invocation(0, **headers))
    theirs = create_lambda_context(
        headers.get("client_context"), headers.get("cognito_identity"), 0, "an-id", ARN, tenant
    )
    assert repr(theirs) == repr(ours).replace(
        repr(ours.client_context), repr(theirs.client_context)
    )
    assert theirs.w3c() == ours.w3c()
    for name in vars(theirs):
        if not name.startswith("_") and name not in {"client_context", "identity"}:
            assert getattr(theirs, name) == getattr(ours, name), name
    for name in ("cognito_identity_id", "cognito_identity_pool_id"):
        assert getattr(theirs.identity, name) == getattr(ours.identity, name)
    assert (theirs.client_context is None) == (ours.client_context is None)
    if ours.client_context is not None:
        assert theirs.client_context.custom == ours.client_context.custom
        assert theirs.client_context.env == ours.client_context.env
        if theirs.client_context.client is None:
            assert ours.client_context.client is None
        else:
            for name in type(theirs.client_context.client).__slots__:
                value = getattr(theirs.client_context.client, name)
                assert value == getattr(ours.client_context.client, name), name


def test_the_trace_id_is_there() -> None:
    assert "Root=1" == LambdaContext(make_invocation(trace_id="Root=1")).trace_id
    assert LambdaContext(make_invocation()).trace_id is None


def test_the_time_that_is_left_counts_down_to_0() -> None:
    left = LambdaContext(make_invocation(int(time.time() * 1000) + 60_000))
    assert 0 < left.get_remaining_time_in_millis() <= 60_000
    assert 0 == LambdaContext(make_invocation(1)).get_remaining_time_in_millis()


@pytest.mark.parametrize("text", ["{", "[1]", '"x"'])
def test_what_is_no_json_object_shows_when_it_is_asked_for(text: str) -> None:
    seen = LambdaContext(make_invocation(client_context=text, cognito_identity=text))
    assert "an-id" == seen.aws_request_id
    for name in ("client_context", "identity"):
        with pytest.raises(Fault, match=r"Unable to parse C.* JSON") as raised:
            getattr(seen, name)
        assert "Runtime.LambdaContextUnmarshalError" == raised.value.kind


def test_libraries_may_set_attributes_of_their_own() -> None:
    seen: Any = LambdaContext(make_invocation())
    seen.serverless_sdk = 1
    seen.client_context = "replaced"
    assert (1, "replaced") == (seen.serverless_sdk, seen.client_context)


def test_the_environment_is_read_again_after_a_restore(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "shop" == LambdaContext(make_invocation()).function_name
    monkeypatch.setenv("AWS_LAMBDA_LOG_STREAM_NAME", "another")
    context.forget_environment()
    assert "another" == LambdaContext(make_invocation()).log_stream_name


class TestBegin:
    """Which invocation the running code belongs to."""

    @pytest.fixture(autouse=True)
    def forget(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.setattr(context, "_alone", None)
        yield
        context.current.set(None)

    def in_thread(self) -> LambdaContext | None:
        found: list[LambdaContext | None] = []
        thread = threading.Thread(target=lambda: found.append(context.find()))
        thread.start()
        thread.join()
        return found[0]

    def test_alone_an_invocation_has_the_threads_and_the_environment(self) -> None:
        one = LambdaContext(make_invocation(trace_id="Root=1"))
        context.begin(one, alone=True)
        assert one is context.find()
        assert one is self.in_thread()
        assert "Root=1" == os.environ[context.TRACE_VARIABLE]
        context.begin(LambdaContext(make_invocation()), alone=True)
        assert context.TRACE_VARIABLE not in os.environ

    def test_among_others_it_has_neither(self) -> None:
        one = LambdaContext(make_invocation(trace_id="Root=1"))
        context.begin(one, alone=False)
        assert one is context.find()
        assert self.in_thread() is None
        assert context.TRACE_VARIABLE not in os.environ
