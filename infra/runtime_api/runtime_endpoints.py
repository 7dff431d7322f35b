"""The Runtime API as a runtime meets it over HTTP, with the faults that are injected.

Source: "Using the Lambda runtime API".
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from penstock.infra.runtime_api.bandwidth import TokenBucket
from penstock.infra.runtime_api.endpoint import Route, accept, wait_for_event
from penstock.infra.runtime_api.faults import FaultAnswered
from penstock.infra.runtime_api.invocation import FunctionError
from penstock.infra.runtime_api.machine import ERROR, RESPONSE
from penstock.infra.runtime_api.posted_errors import (
    posted_error,
    too_large,
    trailer_error,
    truncated,
)
from penstock.infra.runtime_api.refusals import (
    ANSWER_LIMIT_BYTES,
    INVALID_MODE,
    INVOKE_TIMEOUT,
    TOO_LARGE,
    Refused,
)
from penstock.infra.runtime_api.request import BodyTooLarge, ConnectionGone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penstock.infra.runtime_api.connection import Connection
    from penstock.infra.runtime_api.endpoint import Routes
    from penstock.infra.runtime_api.environment import Environment
    from penstock.infra.runtime_api.faults import Faults
    from penstock.infra.runtime_api.request import Request
    from penstock.infra.runtime_api.running import Running

_RUNTIME: Final = "/2018-06-01"
_INVOCATION: Final = f"{_RUNTIME}/runtime/invocation/"
_TEXT: Final = ("Content-Type", "text/plain; charset=utf-8")


class RuntimeEndpoints:
    """Answers a runtime's requests, and those to ``others``; faults come first."""

    def __init__(self, environment: Environment, faults: Faults, others: Routes) -> None:
        self._environment = environment
        self._faults = faults
        self._routes: Routes = {
            **others,
            f"{_RUNTIME}/runtime/invocation/next": Route("GET", "next", self._next),
            f"{_RUNTIME}/runtime/init/error": Route("POST", "init/error", self._init_error),
            f"{_RUNTIME}/ping": Route("GET", "ping", self._ping),
        }
        if environment.settings.snap_start:
            restore = f"{_RUNTIME}/runtime/restore"
            self._routes |= {
                f"{restore}/next": Route("GET", "restore/next", self._restore_next),
                f"{restore}/error": Route("POST", "restore/error", self._restore_error),
            }

    async def handle(self, request: Request, connection: Connection) -> None:
        """Answer one request. Raises: ConnectionGone when there is nobody to answer any more."""
        route = self._find(request.path)
        if route is None:
            await connection.answer(404, b"404 page not found\n", [_TEXT])
            return
        if request.method != route.method:
            await connection.answer(405, b"", [("Allow", route.method)])
            return
        try:
            # A post about an invocation meets its fault where that invocation can be failed.
            if route.place not in {"response", "error"}:
                await self._faults.meet(route.place, request, connection)
            await route.answer(request, connection)
        except Refused as refused:
            await connection.answer_json(refused.refusal.status, refused.refusal.body)
        except BodyTooLarge as error:
            refusal = replace(TOO_LARGE, message=str(error))
            await connection.answer_json(refusal.status, refusal.body)
        except FaultAnswered:
            return
        finally:
            connection.inbound_trap = connection.outbound_trap = None

    def _find(self, path: str) -> Route | None:
        if found := self._routes.get(path):
            return found
        if path.startswith(_INVOCATION):
            match path[len(_INVOCATION) :].split("/"):
                case [_, "response"]:
                    return Route("POST", "response", self._response)
                case [_, "error"]:
                    return Route("POST", "error", self._error)
        return None

    # Invocations

    async def _next(self, _: Request, connection: Connection) -> None:
        found = self._environment.poll(connection)
        if isinstance(found, asyncio.Future):
            found = await wait_for_event(self._environment, found, connection)
        try:
            await connection.answer(200, found.call.payload, found.headers())
        except BaseException:
            self._environment.not_delivered(found)
            raise

    def _begin(self, step: str, request: Request) -> Running:
        request_id = unquote(request.path[len(_INVOCATION) :].split("/")[0])
        invocation_id = request.header("lambda-runtime-invocation-id")
        return self._environment.begin_post(step, request_id, invocation_id)

    async def _response(self, request: Request, connection: Connection) -> None:
        running = self._begin(RESPONSE, request)
        mode = request.header("lambda-runtime-function-response-mode")
        if mode not in {"", "streaming"}:
            self._environment.refuse_mode(running)
            raise Refused(INVALID_MODE)
        running.cut_off = connection.close
        try:
            await self._faults.meet("response", request, connection)
            await self._take_answer(running, request, streamed=mode == "streaming")
        except (ConnectionGone, FaultAnswered) as error:
            self._environment.end_post(running, _failure(error))
            raise
        finally:
            running.cut_off = None
        await accept(connection)

    async def _take_answer(self, running: Running, request: Request, *, streamed: bool) -> None:
        """Pass the posted answer on: as it comes if the caller wants that, else in one piece."""
        answer, content_type = running.answer, request.header("content-type")
        settings = self._environment.settings
        if streamed and running.invocation.call.streaming:
            answer.begin(content_type, streamed=True)
            bucket = TokenBucket() if settings.bandwidth_limit else None
            async for piece in self._pieces(running, request, settings.stream_limit_bytes):
                if bucket and (seconds := bucket.spend(len(piece), time.monotonic())):
                    await asyncio.sleep(seconds)
                await answer.write(piece)
        else:
            pieces = self._pieces(running, request, ANSWER_LIMIT_BYTES)
            body = b"".join([piece async for piece in pieces])
            answer.begin(content_type, streamed=streamed)
            answer.write_whole(body)
        self._environment.end_post(running, trailer_error(request))

    async def _pieces(
        self, running: Running, request: Request, limit_bytes: int
    ) -> AsyncIterator[bytes]:
        """Yield a posted answer as it comes. Raises: Refused if it is too long or too late."""
        size = 0
        async for piece in request.chunks():
            if running.answer.has_ended:
                raise Refused(INVOKE_TIMEOUT)
            size += len(piece)
            if size > limit_bytes:
                self._environment.end_post(running, too_large(limit_bytes))
                raise Refused(TOO_LARGE)
            yield piece
        if running.answer.has_ended:
            raise Refused(INVOKE_TIMEOUT)

    async def _error(self, request: Request, connection: Connection) -> None:
        running = self._begin(ERROR, request)
        try:
            await self._faults.meet("error", request, connection)
            error = await posted_error(request)
        except BodyTooLarge:
            error = FunctionError.of_platform("Runtime.Unknown", "the error is too long")
            self._environment.end_post(running, error)
            raise
        except (ConnectionGone, FaultAnswered) as gone:
            self._environment.end_post(running, _failure(gone))
            raise
        self._environment.end_post(running, error)
        await accept(connection)

    # Initialisation and restore

    async def _init_error(self, request: Request, connection: Connection) -> None:
        self._environment.fail_init(await posted_error(request))
        await accept(connection)

    async def _restore_next(self, _: Request, connection: Connection) -> None:
        future = self._environment.poll_restore(connection)
        await wait_for_event(self._environment, future, connection)
        await connection.answer(200)

    async def _restore_error(self, request: Request, connection: Connection) -> None:
        self._environment.fail_restore(await posted_error(request))
        await accept(connection)

    async def _ping(self, _: Request, connection: Connection) -> None:
        await connection.answer(200, b"pong", [_TEXT])


def _failure(error: ConnectionGone | FaultAnswered) -> FunctionError:
    if isinstance(error, FaultAnswered):
        return FunctionError.of_platform("Sandbox.Failure", "the runtime's post was refused")
    return truncated()
