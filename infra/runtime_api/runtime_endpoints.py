"""The Runtime API and the Extensions API, as a runtime meets them over HTTP.

Source: "Using the Lambda runtime API", "Using the Lambda Extensions API to create extensions".
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from penstock.infra.runtime_api.extensions import Extension
from penstock.infra.runtime_api.faults import FaultCommitted, Faults, Status
from penstock.infra.runtime_api.http import BodyTooLarge, ConnectionGone
from penstock.infra.runtime_api.invocation import ACCOUNT, FunctionError
from penstock.infra.runtime_api.machine import ERROR, RESPONSE
from penstock.infra.runtime_api.refusals import (
    ANSWER_LIMIT_BYTES,
    INVALID_MODE,
    INVOKE_TIMEOUT,
    TOO_LARGE,
    TRUNCATED,
    Refusal,
    known_error_type,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penstock.infra.runtime_api.environment import Environment, Running
    from penstock.infra.runtime_api.http import Connection, Request

    Endpoint = Callable[[Request, Connection], Awaitable[None]]

_ERROR_TYPE: Final = "lambda-runtime-function-error-type"
_ERROR_BODY: Final = "lambda-runtime-function-error-body"
_MODE: Final = "lambda-runtime-function-response-mode"
_WITH_CAUSE: Final = "application/vnd.aws.lambda.error.cause+json"
_RUNTIME: Final = "/2018-06-01"
_INVOCATION: Final = f"{_RUNTIME}/runtime/invocation/"
_ERROR_LIMIT_BYTES: Final = 1024 * 1024


class RuntimeEndpoints:
    """Answers a runtime's requests; faults come first."""

    def __init__(self, environment: Environment, faults: Faults, metadata_token: str) -> None:
        self._environment = environment
        self._faults = faults
        self._token = metadata_token
        self._fixed: dict[str, tuple[str, str, Endpoint]] = {
            f"{_RUNTIME}/runtime/invocation/next": ("GET", "next", self._next),
            f"{_RUNTIME}/runtime/init/error": ("POST", "init/error", self._init_error),
            f"{_RUNTIME}/runtime/restore/next": ("GET", "restore/next", self._restore_next),
            f"{_RUNTIME}/runtime/restore/error": ("POST", "restore/error", self._restore_error),
            f"{_RUNTIME}/ping": ("GET", "ping", self._ping),
            "/2020-01-01/extension/register": ("POST", "extension/register", self._register),
            "/2020-01-01/extension/event/next": (
                "GET",
                "extension/event/next",
                self._extension_next,
            ),
            "/2020-01-01/extension/init/error": ("POST", "extension/error", self._extension_error),
            "/2020-01-01/extension/exit/error": ("POST", "extension/error", self._extension_error),
            "/2022-07-01/telemetry": ("PUT", "telemetry", self._no_telemetry),
            "/2020-08-15/logs": ("PUT", "telemetry", self._no_telemetry),
            "/2026-01-15/metadata/execution-environment": ("GET", "metadata", self._metadata),
            "/2021-04-23/credentials": ("GET", "credentials", self._credentials),
        }

    async def handle(self, request: Request, connection: Connection) -> None:
        """Answer one request. Raises: ConnectionGone when there is nobody to answer any more."""
        found = self._find(request.path)
        if found is None:
            await connection.answer(404, b"404 page not found\n", [("Content-Type", "text/plain")])
            return
        method, place, endpoint = found
        if request.method != method:
            await connection.answer(405, b"", [("Allow", method)])
            return
        try:
            await self._meet_fault(place, request, connection)
            await endpoint(request, connection)
        except FaultCommitted:
            raise ConnectionGone("a fault was injected") from None
        finally:
            connection.inbound_trap = connection.outbound_trap = None

    def _find(self, path: str) -> tuple[str, str, Endpoint] | None:
        if found := self._fixed.get(path):
            return found
        if path.startswith(_INVOCATION):
            match path[len(_INVOCATION) :].split("/"):
                case [_, "response"]:
                    return "POST", "response", self._response
                case [_, "error"]:
                    return "POST", "error", self._error
        return None

    async def _meet_fault(self, place: str, request: Request, connection: Connection) -> None:
        injection = self._faults.take(place)
        if injection is None:
            return
        if trap := injection.trap:
            connection.inbound_trap = connection.outbound_trap = trap
            return
        if isinstance(injection.fault, Status) and not injection.fault.early:
            await request.body()
        await injection.commit(connection)

    # Invocations

    async def _next(self, _: Request, connection: Connection) -> None:
        poller = object()
        found = self._environment.poll(poller)
        if isinstance(found, Refusal):
            await _refuse(connection, found)
            return
        if isinstance(found, asyncio.Future):
            found = await self._wait(found, poller, connection)
        await connection.answer(200, found.call.payload, found.headers())

    async def _wait(self, future: asyncio.Future[Any], poller: object, connection: Connection) -> Any:
        """Return what a parked request gets; when its connection ends first, take it back."""
        try:
            return await connection.wait_for(future)
        finally:
            self._environment.forget(poller)

    def _begin(self, step: str, request: Request) -> Running | Refusal:
        request_id = unquote(request.path[len(_INVOCATION) :].split("/")[0])
        invocation_id = request.header("lambda-runtime-invocation-id")
        return self._environment.begin_post(step, request_id, invocation_id)

    async def _response(self, request: Request, connection: Connection) -> None:
        found = self._begin(RESPONSE, request)
        if isinstance(found, Refusal):
            await _refuse(connection, found)
            return
        mode = request.header(_MODE)
        if mode not in {"", "streaming"}:
            # The state stays as it is, as with AWS: such a runtime gets no event any more.
            error = FunctionError.of_platform("Runtime.InvalidResponseModeHeader", "")
            found.answer.end(error)
            await _refuse(connection, INVALID_MODE)
            return
        try:
            refusal = await self._take_answer(found, request, streamed=mode == "streaming")
        except ConnectionGone:
            error = FunctionError.of_platform("Runtime.TruncatedResponse", TRUNCATED.message)
            self._environment.end_post(found, error)
            raise
        if refusal is None:
            await _accept(connection)
        else:
            await _refuse(connection, refusal)

    async def _take_answer(
        self, running: Running, request: Request, *, streamed: bool
    ) -> Refusal | None:
        """Pass the posted answer on: as it comes if the caller wants that, else in one piece."""
        answer = running.answer
        as_it_comes = streamed and running.invocation.call.streaming
        content_type = request.header("content-type")
        kept, size = [], 0
        if as_it_comes:
            answer.begin(content_type, streamed=True)
        async for piece in request.chunks():
            if answer.has_ended:
                return INVOKE_TIMEOUT
            if as_it_comes:
                await answer.write(piece)
                continue
            kept.append(piece)
            size += len(piece)
            if size > ANSWER_LIMIT_BYTES:
                error = FunctionError.of_platform(
                    "Function.ResponseSizeTooLarge",
                    f"Response payload size exceeded maximum allowed payload size"
                    f" ({ANSWER_LIMIT_BYTES} bytes).",
                )
                self._environment.end_post(running, error)
                return TOO_LARGE
        if answer.has_ended:
            return INVOKE_TIMEOUT
        failure = _trailer_error(request)
        if not as_it_comes:
            answer.begin(content_type, streamed=streamed)
            answer.write_whole(b"".join(kept))
        self._environment.end_post(running, failure)
        return None

    async def _error(self, request: Request, connection: Connection) -> None:
        found = self._begin(ERROR, request)
        if isinstance(found, Refusal):
            await _refuse(connection, found)
            return
        try:
            error = await _posted_error(request)
        except BodyTooLarge:
            error = FunctionError.of_platform("Runtime.Unknown", "the error is too long")
            self._environment.end_post(found, error)
            await _refuse(connection, TOO_LARGE)
            return
        except ConnectionGone:
            error = FunctionError.of_platform("Runtime.TruncatedResponse", TRUNCATED.message)
            self._environment.end_post(found, error)
            raise
        self._environment.end_post(found, error)
        await _accept(connection)

    # Initialisation and restore

    async def _init_error(self, request: Request, connection: Connection) -> None:
        refusal = self._environment.fail_init(await _posted_error(request))
        await (_refuse(connection, refusal) if refusal else _accept(connection))

    async def _restore_next(self, _: Request, connection: Connection) -> None:
        poller = object()
        found = self._environment.poll_restore(poller)
        if isinstance(found, Refusal):
            await _refuse(connection, found)
            return
        await self._wait(found, poller, connection)
        await connection.answer(200)

    async def _restore_error(self, request: Request, connection: Connection) -> None:
        refusal = self._environment.fail_restore(await _posted_error(request))
        await (_refuse(connection, refusal) if refusal else _accept(connection))

    async def _ping(self, _: Request, connection: Connection) -> None:
        await connection.answer(200, b"pong", [("Content-Type", "text/plain; charset=utf-8")])

    # Extensions

    async def _register(self, request: Request, connection: Connection) -> None:
        try:
            body = json.loads(await request.body(_ERROR_LIMIT_BYTES) or b"{}")
            events = body.get("events", [])
        except (ValueError, AttributeError, BodyTooLarge) as error:
            await _refuse(connection, Refusal(403, "InvalidRequestFormat", str(error)))
            return
        name = request.header("lambda-extension-name")
        found = self._environment.extensions.register(name, events)
        if isinstance(found, Refusal):
            await _refuse(connection, found)
            return
        settings = self._environment.settings
        answer = {
            "functionName": settings.function_name,
            "functionVersion": "$LATEST",
            "handler": settings.handler,
        }
        features = request.header("lambda-extension-accept-feature").split(",")
        if "accountId" in [feature.strip() for feature in features]:
            answer["accountId"] = ACCOUNT
        headers = [("Lambda-Extension-Identifier", found.identifier)]
        await connection.answer_json(200, answer, headers)

    def _extension(self, request: Request) -> Extension | Refusal:
        identifier = request.header("lambda-extension-identifier")
        return self._environment.extensions.find(identifier)

    async def _extension_next(self, request: Request, connection: Connection) -> None:
        extension = self._extension(request)
        if isinstance(extension, Refusal):
            await _refuse(connection, extension)
            return
        poller = object()
        found = self._environment.poll_extension(extension, poller)
        if isinstance(found, asyncio.Future):
            found = await self._wait(found, poller, connection)
        await connection.answer_json(200, found)

    async def _extension_error(self, request: Request, connection: Connection) -> None:
        extension = self._extension(request)
        if isinstance(extension, Refusal):
            await _refuse(connection, extension)
            return
        header = "Lambda-Extension-Function-Error-Type"
        if not request.header(header.lower()):
            refusal = Refusal(403, "Extension.MissingHeader", f"{header} not found")
            await _refuse(connection, refusal)
            return
        await request.body(_ERROR_LIMIT_BYTES)
        await _accept(connection)

    async def _no_telemetry(self, request: Request, connection: Connection) -> None:
        await request.body(_ERROR_LIMIT_BYTES)
        what = "Telemetry" if request.path.endswith("telemetry") else "Logs"
        body = {"errorType": f"{what}.NotSupported", "errorMessage": f"{what} API is not supported"}
        await connection.answer_json(202, body)

    # What else is at this address

    async def _metadata(self, request: Request, connection: Connection) -> None:
        if request.header("authorization") != f"Bearer {self._token}":
            await connection.answer(401)
            return
        caching = [("Cache-Control", "private, max-age=43200, immutable")]
        await connection.answer_json(200, {"AvailabilityZoneID": "use1-az1"}, caching)

    async def _credentials(self, request: Request, connection: Connection) -> None:
        if request.header("authorization") != self._token:
            await connection.answer(401)
            return
        credentials = {
            "AccessKeyId": "local",
            "SecretAccessKey": "local",
            "Token": "local",
            "Expiration": "2100-01-01T00:00:00Z",
        }
        await connection.answer_json(200, credentials)


async def _refuse(connection: Connection, refusal: Refusal) -> None:
    await connection.answer_json(refusal.status, refusal.body)


async def _accept(connection: Connection) -> None:
    await connection.answer_json(202, {"status": "OK"})


async def _posted_error(request: Request) -> FunctionError:
    """Return the error in a post. Raises: BodyTooLarge, ConnectionGone."""
    body = await request.body(_ERROR_LIMIT_BYTES)
    content_type = request.header("content-type", "application/json")
    if content_type == _WITH_CAUSE:
        content_type = "application/json"
        body = _without_cause(body)
    return FunctionError(known_error_type(request.header(_ERROR_TYPE)), body, content_type)


def _without_cause(body: bytes) -> bytes:
    try:
        posted = json.loads(body)
        kept = {key: posted[key] for key in ("errorMessage", "errorType", "stackTrace") if key in posted}
    except (ValueError, TypeError):
        return b'{"errorMessage":"Invalid error body","errorType":"Runtime.Unknown"}'
    return json.dumps(kept).encode()


def _trailer_error(request: Request) -> FunctionError | None:
    """Return the error that a streamed answer ends with, if it does."""
    sent = request.trailer(_ERROR_TYPE)
    encoded = request.trailer(_ERROR_BODY)
    if not sent and not encoded:
        return None
    try:
        body = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        body = encoded.encode("latin-1")
    return FunctionError(known_error_type(sent), body)
