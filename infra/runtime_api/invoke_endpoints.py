"""The Lambda API's two ways to invoke a function, for SDKs with an ``endpoint_url``.

Source: "Invoke" and "InvokeWithResponseStream" in the Lambda API reference.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

from penstock.infra.runtime_api.event_stream import CONTENT_TYPE, invoke_complete, payload_chunk
from penstock.infra.runtime_api.invocation import Call
from penstock.infra.runtime_api.request import BodyTooLarge, ConnectionGone

if TYPE_CHECKING:
    from penstock.infra.runtime_api.connection import Connection
    from penstock.infra.runtime_api.environment import Environment
    from penstock.infra.runtime_api.request import Headers, Request
    from penstock.infra.runtime_api.running import Running

EVENT_LIMIT_BYTES: Final = 6_291_456
"""The longest event of a synchronous invocation; inclusive ("Lambda quotas")."""

ASYNC_EVENT_LIMIT_BYTES: Final = 1024 * 1024
"""The longest event of an asynchronous invocation; inclusive ("Lambda quotas")."""

_BUFFERED = re.compile(r"/2015-03-31/functions/[^/]+/invocations")
_STREAMING = re.compile(r"/2021-11-15/functions/[^/]+/response-streaming-invocations")
_STREAMED_TYPES = ("RequestResponse", "DryRun")
_TYPES = (*_STREAMED_TYPES, "Event")
_VERSION = ("X-Amz-Executed-Version", "$LATEST")


class _Rejected(Exception):
    """The Lambda API itself says no."""

    def __init__(self, status: int, error_type: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type


class InvokeEndpoints:
    """Answers callers of a function, whatever name they call it by."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._in_background: set[asyncio.Task[None]] = set()

    async def handle(self, request: Request, connection: Connection) -> None:
        """Answer one request. Raises: ConnectionGone."""
        try:
            await self._invoke(request, connection)
        except _Rejected as rejected:
            body = {"Type": "User", "message": str(rejected)}
            headers = [("X-Amzn-ErrorType", rejected.error_type)]
            await connection.answer_json(rejected.status, body, headers)

    async def _invoke(self, request: Request, connection: Connection) -> None:
        streaming = _STREAMING.fullmatch(request.path) is not None
        if not streaming and not _BUFFERED.fullmatch(request.path):
            message = f"expected the path of Invoke or InvokeWithResponseStream, got {request.path}"
            raise _Rejected(404, "ResourceNotFoundException", message)
        if request.method != "POST":
            await connection.answer(405, b"", [("Allow", "POST")])
            return
        kind = request.header("x-amz-invocation-type", "RequestResponse")
        call = await self._read_call(request, kind, streaming=streaming)
        if kind == "DryRun":
            await connection.answer(204, b"", [_VERSION])
        elif kind == "Event":
            task = asyncio.create_task(_run(self._environment.submit(call)))
            self._in_background.add(task)
            task.add_done_callback(self._in_background.discard)
            await connection.answer(202, b"", _identity(call))
        elif streaming:
            await self._stream(self._environment.submit(call), request, connection)
        else:
            await self._answer(self._environment.submit(call), request, connection)

    async def _read_call(self, request: Request, kind: str, *, streaming: bool) -> Call:
        allowed = _STREAMED_TYPES if streaming else _TYPES
        if kind not in allowed:
            message = f"expected X-Amz-Invocation-Type {' or '.join(allowed)}, got {kind}"
            raise _Rejected(400, "InvalidParameterValueException", message)
        limit = ASYNC_EVENT_LIMIT_BYTES if kind == "Event" else EVENT_LIMIT_BYTES
        try:
            payload = await request.body(limit)
        except BodyTooLarge as error:
            raise _Rejected(413, "RequestTooLargeException", str(error)) from None
        payload = payload or b"{}"
        try:
            json.loads(payload)
        except ValueError as error:
            message = f"Could not parse request body into json: {error}"
            raise _Rejected(400, "InvalidRequestContentException", message) from None
        return Call(
            payload=payload,
            streaming=streaming,
            client_context=_client_context(request.header("x-amz-client-context")),
            cognito_identity=_cognito_identity(request.header("x-amz-cognito-identity")),
            tenant_id=request.header("x-amz-tenant-id"),
            trace_id=request.header("x-amzn-trace-id") or _new_trace_id(),
            timeout_s=self._environment.settings.timeout_s,
        )

    async def _answer(self, running: Running, request: Request, connection: Connection) -> None:
        answer = running.answer
        payload = b"".join([piece async for piece in answer.pieces()])
        headers: Headers = [_VERSION, *_identity(running.invocation.call)]
        if request.header("x-amz-log-type") == "Tail":
            headers.append(("X-Amz-Log-Result", await self._log_result(running)))
        content_type = answer.content_type or "application/json"
        if answer.error is not None:
            if answer.error.error_type == "Runtime.Unavailable":
                raise _Rejected(429, "TooManyRequestsException", "Rate Exceeded.")
            headers.append(("X-Amz-Function-Error", "Unhandled"))
            payload, content_type = answer.error.body, answer.error.content_type
        await connection.answer(200, payload, [("Content-Type", content_type), *headers])

    async def _stream(self, running: Running, request: Request, connection: Connection) -> None:
        """Pass the answer on as it comes; a caller that goes away does not stop the function."""
        answer = running.answer
        await answer.begun()
        headers = [_VERSION, *_identity(running.invocation.call), ("Content-Type", CONTENT_TYPE)]
        try:
            await connection.begin(200, [*headers, ("Transfer-Encoding", "chunked")])
            async for piece in answer.pieces():
                await connection.send(payload_chunk(piece))
        except ConnectionGone:
            answer.abandon()
            raise
        log_result = None
        if request.header("x-amz-log-type") == "Tail":
            log_result = await self._log_result(running)
        code = details = None
        if answer.error is not None:
            code = answer.error.error_type
            details = answer.error.body.decode(errors="replace")
        await connection.send(invoke_complete(code, details, log_result))
        await connection.end()

    async def _log_result(self, running: Running) -> str:
        tail = await self._environment.log.tail_since(running.log_position)
        return base64.b64encode(tail).decode()


async def _run(running: Running) -> None:
    async for _ in running.answer.pieces():
        pass


def _identity(call: Call) -> Headers:
    return [("X-Amzn-RequestId", call.request_id), ("X-Amzn-Trace-Id", call.trace_id)]


def _client_context(encoded: str) -> str:
    try:
        context = base64.b64decode(encoded, validate=True).decode()
        json.loads(context or "{}")
    except (binascii.Error, ValueError):
        message = "Client context must be a valid Base64-encoded JSON object."
        raise _Rejected(400, "InvalidRequestContentException", message) from None
    return context


def _cognito_identity(text: str) -> dict[str, Any]:
    try:
        identity = json.loads(text or "{}")
    except ValueError:
        identity = None
    if not isinstance(identity, dict):
        message = "X-Amz-Cognito-Identity must be a JSON object."
        raise _Rejected(400, "InvalidRequestContentException", message)
    return {
        key: value
        for key, value in identity.items()
        if key in {"cognitoIdentityId", "cognitoIdentityPoolId"} and value
    }


def _new_trace_id() -> str:
    """Return an X-Ray header for a request that brought none, not sampled."""
    root = f"1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    return f"Root={root};Parent={secrets.token_hex(8)};Sampled=0"
