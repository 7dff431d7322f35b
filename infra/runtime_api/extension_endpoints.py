"""The Extensions API, and what else an execution environment offers at the same address.

Source: "Using the Lambda Extensions API to create extensions"; the Telemetry API answers that it is
not there, as in AWS's emulator.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from penstock.infra.runtime_api.endpoint import Route, accept, wait_for_event
from penstock.infra.runtime_api.invocation import ACCOUNT
from penstock.infra.runtime_api.posted_errors import ERROR_LIMIT_BYTES
from penstock.infra.runtime_api.refusals import Refusal, Refused

if TYPE_CHECKING:
    from penstock.infra.runtime_api.connection import Connection
    from penstock.infra.runtime_api.endpoint import Routes
    from penstock.infra.runtime_api.environment import Environment
    from penstock.infra.runtime_api.extensions import Extension
    from penstock.infra.runtime_api.request import Request


class ExtensionEndpoints:
    """Answers extensions, and those who ask for metadata or credentials with the right token."""

    def __init__(self, environment: Environment, token: str) -> None:
        self._environment = environment
        self._token = token

    @property
    def routes(self) -> Routes:
        """What is where."""
        return {
            "/2020-01-01/extension/register": Route("POST", "extension/register", self._register),
            "/2020-01-01/extension/event/next": Route("GET", "extension/event/next", self._next),
            "/2020-01-01/extension/init/error": Route("POST", "extension/init/error", self._error),
            "/2020-01-01/extension/exit/error": Route("POST", "extension/exit/error", self._error),
            "/2022-07-01/telemetry": Route("PUT", "telemetry", self._no_telemetry),
            "/2020-08-15/logs": Route("PUT", "telemetry", self._no_telemetry),
            "/2026-01-15/metadata/execution-environment": Route("GET", "metadata", self._metadata),
            "/2021-04-23/credentials": Route("GET", "credentials", self._credentials),
        }

    async def _register(self, request: Request, connection: Connection) -> None:
        body = await request.body(ERROR_LIMIT_BYTES)
        try:
            events = json.loads(body or b"{}").get("events", [])
        except (ValueError, AttributeError) as error:
            raise Refused(Refusal(403, "InvalidRequestFormat", str(error))) from None
        name = request.header("lambda-extension-name")
        extension = self._environment.extensions.register(name, events)
        settings = self._environment.settings
        answer = {
            "functionName": settings.function_name,
            "functionVersion": "$LATEST",
            "handler": settings.handler,
        }
        features = request.header("lambda-extension-accept-feature").split(",")
        if "accountId" in [feature.strip() for feature in features]:
            answer["accountId"] = ACCOUNT
        headers = [("Lambda-Extension-Identifier", extension.identifier)]
        await connection.answer_json(200, answer, headers)

    def _extension(self, request: Request) -> Extension:
        identifier = request.header("lambda-extension-identifier")
        return self._environment.extensions.find(identifier)

    async def _next(self, request: Request, connection: Connection) -> None:
        found = self._environment.poll_extension(self._extension(request), connection)
        if isinstance(found, asyncio.Future):
            found = await wait_for_event(self._environment, found, connection)
        await connection.answer_json(200, found)

    async def _error(self, request: Request, connection: Connection) -> None:
        self._extension(request)
        header = "Lambda-Extension-Function-Error-Type"
        if not request.header(header.lower()):
            raise Refused(Refusal(403, "Extension.MissingHeader", f"{header} not found"))
        await request.body(ERROR_LIMIT_BYTES)
        await accept(connection)

    async def _no_telemetry(self, request: Request, connection: Connection) -> None:
        await request.body(ERROR_LIMIT_BYTES)
        what = "Telemetry" if request.path.endswith("telemetry") else "Logs"
        body = {"errorType": f"{what}.NotSupported", "errorMessage": f"{what} API is not supported"}
        await connection.answer_json(202, body)

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
