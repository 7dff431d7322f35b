"""``LocalRuntimeAPI``: AWS's side of one Lambda function, on loopback ports of this machine."""

from __future__ import annotations

import asyncio
import json
import uuid
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

from penstock.infra.runtime_api.environment import Environment
from penstock.infra.runtime_api.extension_endpoints import ExtensionEndpoints
from penstock.infra.runtime_api.faults import Faults
from penstock.infra.runtime_api.function_url import FunctionURL
from penstock.infra.runtime_api.invocation import Call
from penstock.infra.runtime_api.invoke_endpoints import InvokeEndpoints
from penstock.infra.runtime_api.lifecycle import LifeCycle
from penstock.infra.runtime_api.log import FunctionLog
from penstock.infra.runtime_api.log_socket import LogSocket
from penstock.infra.runtime_api.pending import Pending
from penstock.infra.runtime_api.runtime_endpoints import RuntimeEndpoints
from penstock.infra.runtime_api.server import HOST, Server
from penstock.infra.runtime_api.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from penstock.infra.runtime_api.faults import Fault, Injection, Place
    from penstock.infra.runtime_api.invocation import CallOptions, FunctionError, InvokeOptions
    from penstock.infra.runtime_api.settings import FunctionOptions


class LocalRuntimeAPI:
    """AWS's half of the Runtime API for one function; an async context manager.

    Takes the fields of ``Settings``. With a ``command`` it starts the runtime; else ``environ`` is
    what a runtime has to be given, and ``address`` is where it finds the API. ``echo_log`` writes
    the function's log to standard error as it comes.
    """

    def __init__(
        self,
        command: Sequence[str] | None = None,
        *,
        folder: Path | str = ".",
        echo_log: bool = False,
        **options: Unpack[FunctionOptions],
    ) -> None:
        self.settings = Settings(command=command, folder=Path(folder).absolute(), **options)
        self.log = FunctionLog(echo=echo_log)
        self._environment = Environment(self.settings, self.log)
        self._faults = Faults()
        self._token = uuid.uuid4().hex
        others = ExtensionEndpoints(self._environment, self._token).routes
        endpoints = RuntimeEndpoints(self._environment, self._faults, others)
        self._runtime_server = Server(endpoints.handle)
        self._invoke_server = Server(InvokeEndpoints(self._environment).handle)
        self._url_server = Server(FunctionURL(self._environment).handle)
        with_socket = self.settings.framed_log and self.settings.concurrency is not None
        self._log_socket = LogSocket(self.log) if with_socket else None
        self._life = LifeCycle(self._environment, self._runtime_server.drop_connections)

    async def __aenter__(self) -> Self:
        for server in self._servers:
            await server.start()
        if self._log_socket:
            await self._log_socket.start()
        self._life.begin(self.environ)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._life.shut_down()
        self._environment.close()
        for server in self._servers:
            await server.close()
        if self._log_socket:
            await self._log_socket.close()

    @property
    def _servers(self) -> tuple[Server, ...]:
        return self._runtime_server, self._invoke_server, self._url_server

    @property
    def endpoint_url(self) -> str:
        """Where SDKs find the function, whatever its name: ``boto3.client(endpoint_url=…)``."""
        return f"http://{HOST}:{self._invoke_server.port}"

    @property
    def function_url(self) -> str:
        """The Function URL, without a slash at its end."""
        return f"http://{HOST}:{self._url_server.port}"

    @property
    def address(self) -> str:
        """Host and port of the Runtime API: the value of ``AWS_LAMBDA_RUNTIME_API``."""
        return f"{HOST}:{self._runtime_server.port}"

    @property
    def environ(self) -> dict[str, str]:
        """The variables that Lambda sets for a runtime, and the function's own."""
        environ = self.settings.runtime_environ(self.address, self._token)
        if self._log_socket:
            environ["_LAMBDA_TELEMETRY_LOG_FD_PROVIDER_SOCKET"] = self._log_socket.path
        return environ

    @property
    def pid(self) -> int | None:
        """The process id of the runtime that was started here, if it runs."""
        return self._life.process.pid if self._life.process else None

    @property
    def init_error(self) -> FunctionError | None:
        """Why the last initialisation failed, if no invocation was there to be told."""
        return self._environment.init_error

    async def ready(self) -> None:
        """Return when the runtime waits for events with all its slots, or for its restore."""
        await self._environment.ready()

    def start(
        self,
        event: Any = None,
        *,
        payload: bytes | None = None,
        streaming: bool = False,
        timeout_s: float | None = None,
        **headers: Unpack[CallOptions],
    ) -> Pending:
        """Invoke the function and return at once.

        Args:
            event: JSON-like data; or
            payload: the event's bytes.
            streaming: the answer is wanted as it comes (``InvokeWithResponseStream``).
            timeout_s: instead of the function's own.
            headers: further fields of ``Call``: ``request_id``, ``trace_id``, ``client_context``,
                ``cognito_identity``, ``tenant_id``, ``content_type``.

        """
        if payload is None:
            payload = json.dumps(event).encode()
        timeout = self.settings.timeout_s if timeout_s is None else timeout_s
        call = Call(payload=payload, streaming=streaming, timeout_s=timeout, **headers)
        return Pending(self._environment.submit(call), self._environment)

    async def invoke(self, event: Any = None, **options: Unpack[InvokeOptions]) -> Any:
        """Return what the function answers to an event, as JSON-like data; options as ``start``.

        Raises: FunctionFailed.
        """
        return await self.start(event, **options).result()

    async def invoke_stream(
        self, event: Any = None, **options: Unpack[InvokeOptions]
    ) -> AsyncGenerator[bytes, None]:
        """Yield the function's answer as it arrives; options as ``start``.

        Raises: FunctionFailed behind the last chunk.
        """
        pending = self.start(event, streaming=True, **options)
        try:
            async for chunk in pending.chunks():
                yield chunk
        finally:
            pending.abandon()

    def inject(self, place: Place, fault: Fault, *, times: int = 1) -> Injection:
        """Let the next ``times`` requests of the runtime at a place meet a fault."""
        return self._faults.inject(place, fault, times=times)

    @asynccontextmanager
    async def refusing_connections(self) -> AsyncIterator[None]:
        """Refuse every connection to the Runtime API meanwhile, and reset those that are open."""
        self._runtime_server.stop_listening()
        self._runtime_server.drop_connections()
        try:
            yield
        finally:
            await self._runtime_server.start()

    def drop_connections(self) -> None:
        """Reset every connection that is open now."""
        self._runtime_server.drop_connections()

    async def restore(self, *, lose_sockets: bool = False) -> None:
        """Let a runtime that waits at ``/restore/next`` go on, as after a snapshot.

        With ``lose_sockets`` its other connections are reset, as those in a snapshot are dead.
        Raises: RuntimeError if there is no such runtime.
        """
        if lose_sockets:
            self._runtime_server.drop_connections(but=self._environment.restoring())
            await asyncio.sleep(0)  # they are dead when the runtime goes on
        self._environment.restore()

    async def shut_down(self, reason: str = "spindown") -> None:
        """End the runtime as Lambda does."""
        await self._life.shut_down(reason)
