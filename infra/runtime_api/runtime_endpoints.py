"""The Runtime API as a runtime meets it over HTTP, with the faults that are injected.

Source: "Using the Lambda runtime API".
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from penstock.infra.runtime_api.bandwidth import TokenBucket
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
    Refusal,
)
from penstock.infra.runtime_api.replies import accept, refuse, wait_for_event
from penstock.infra.runtime_api.request import BodyTooLarge, ConnectionGone

if TYPE_CHECKING:
    from penstock.infra.runtime_api.connection import Connection
    from penstock.infra.runtime_api.environment import Environment
    from penstock.infra.runtime_api.faults import Faults
    from penstock.infra.runtime_api.replies import Endpoint, Routes
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
            f"{_RUNTIME}/runtime/invocation/next": ("GET", "next", self._next),
            f"{_RUNTIME}/runtime/init/error": ("POST", "init/error", self._init_error),
            f"{_RUNTIME}/ping": ("GET", "ping", self._ping),
        }

        if environment.settings.snap_start:
            self._routes |= {
                f"{_RUNTIME}/runtime/restore/next": ("GET", "restore/next", self._restore_next),
                f"{_RUNTIME}/runtime/restore/error": ("POST", "restore/error", self._restore_error),
            }

    async def handle(self, request: Request, connection: Connection) -> None:
        """Answer one request. Raises: ConnectionGone when there is nobody to answer any more."""
        found = self._find(request.path)
        if found is None:
            await connection.answer(404, b"404 page not found\n", [_TEXT])
            return
        method, place, endpoint = found
        if request.method != method:
            await connection.answer(405, b"", [("Allow", method)])
            return
        try:
            # A post about an invocation meets its fault where that invocation can be failed.
            if place not in {"response", "error"}:
                await self._faults.meet(place, request, connection)
            await endpoint(request, connection)
        except FaultAnswered:
            return
        finally:
            connection.inbound_trap = connection.outbound_trap = None

    def _find(self, path: str) -> tuple[str, str, Endpoint] | None:
        if found := self._routes.get(path):
            return found
        if path.startswith(_INVOCATION):
            match path[len(_INVOCATION) :].split("/"):
                case [_, "response"]:
                    return "POST", "response", self._response
                case [_, "error"]:
                    return "POST", "error", self._error
        return None

    # Invocations

    async def _next(self, _: Request, connection: Connection) -> None:
        found = self._environment.poll(connection)
        if isinstance(found, Refusal):
            await refuse(connection, found)
            return
        if isinstance(found, asyncio.Future):
            found = await wait_for_event(self._environment, found, connection)
        try:
            await connection.answer(200, found.call.payload, found.headers())
        except BaseException:
            self._environment.not_delivered(found)
            raise

    def _begin(self, step: str, request: Request) -> Running | Refusal:
        request_id = unquote(request.path[len(_INVOCATION) :].split("/")[0])
        invocation_id = request.header("lambda-runtime-invocation-id")
        return self._environment.begin_post(step, request_id, invocation_id)

    async def _response(self, request: Request, connection: Connection) -> None:
        found = self._begin(RESPONSE, request)
        if isinstance(found, Refusal):
            await refuse(connection, found)
            return
        mode = request.header("lambda-runtime-function-response-mode")
        if mode not in {"", "streaming"}:
            self._environment.refuse_mode(found)
            await refuse(connection, INVALID_MODE)
            return
        found.cut_off = connection.close
        try:
            await self._faults.meet("response", request, connection)
            refusal = await self._take_answer(found, request, streamed=mode == "streaming")
        except (ConnectionGone, FaultAnswered) as error:
            self._environment.end_post(found, _failure(error))
            raise
        finally:
            found.cut_off = None
        await (refuse(connection, refusal) if refusal else accept(connection))

    async def _take_answer(
        self, running: Running, request: Request, *, streamed: bool
    ) -> Refusal | None:
        """Pass the posted answer on: as it comes if the caller wants that, else in one piece."""
        answer = running.answer
        as_it_comes = streamed and running.invocation.call.streaming
        settings = self._environment.settings
        limit = settings.stream_limit_bytes if as_it_comes else ANSWER_LIMIT_BYTES
        bucket = TokenBucket() if as_it_comes and settings.bandwidth_limit else None
        kept, size = [], 0
        if as_it_comes:
            answer.begin(request.header("content-type"), streamed=True)
        async for piece in request.chunks():
            if answer.has_ended:
                return INVOKE_TIMEOUT
            size += len(piece)
            if size > limit:
                self._environment.end_post(running, too_large(limit))
                return TOO_LARGE
            if not as_it_comes:
                kept.append(piece)
                continue
            if bucket and (seconds := bucket.spend(len(piece), time.monotonic())):
                await asyncio.sleep(seconds)
            await answer.write(piece)
        if answer.has_ended:
            return INVOKE_TIMEOUT
        failure = trailer_error(request)
        if not as_it_comes:
            answer.begin(request.header("content-type"), streamed=streamed)
            answer.write_whole(b"".join(kept))
        self._environment.end_post(running, failure)
        return None

    async def _error(self, request: Request, connection: Connection) -> None:
        found = self._begin(ERROR, request)
        if isinstance(found, Refusal):
            await refuse(connection, found)
            return
        refusal = None
        try:
            await self._faults.meet("error", request, connection)
            error = await posted_error(request)
        except BodyTooLarge:
            error = FunctionError.of_platform("Runtime.Unknown", "the error is too long")
            refusal = TOO_LARGE
        except (ConnectionGone, FaultAnswered) as gone:
            self._environment.end_post(found, _failure(gone))
            raise
        self._environment.end_post(found, error)
        await (refuse(connection, refusal) if refusal else accept(connection))

    # Initialisation and restore

    async def _init_error(self, request: Request, connection: Connection) -> None:
        refusal = self._environment.fail_init(await posted_error(request))
        await (refuse(connection, refusal) if refusal else accept(connection))

    async def _restore_next(self, _: Request, connection: Connection) -> None:
        found = self._environment.poll_restore(connection)
        if isinstance(found, Refusal):
            await refuse(connection, found)
            return
        await wait_for_event(self._environment, found, connection)
        await connection.answer(200)

    async def _restore_error(self, request: Request, connection: Connection) -> None:
        refusal = self._environment.fail_restore(await posted_error(request))
        await (refuse(connection, refusal) if refusal else accept(connection))

    async def _ping(self, _: Request, connection: Connection) -> None:
        await connection.answer(200, b"pong", [_TEXT])


def _failure(error: ConnectionGone | FaultAnswered) -> FunctionError:
    if isinstance(error, FaultAnswered):
        return FunctionError.of_platform("Sandbox.Failure", "the runtime's post was refused")
    return truncated()
