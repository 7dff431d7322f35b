"""A Lambda execution environment on this machine, made of AWS's own parts.

AWS's runtime interface emulator stands in for the Lambda service, and AWS's Python runtime client
(``awslambdaric``) runs the function as it does on the managed ``python3.x`` runtimes.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from threading import Lock
from typing import IO, TYPE_CHECKING, Any, Self

from fetch_emulator import fetch_emulator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

START_SECONDS = 20
INVOKE_SECONDS = 60


class Emulator:
    """Runs the function in ``folder`` until it is closed; a context manager.

    ``command`` starts the runtime; by default AWS's client with the ``handler``.
    Units: ``timeout_s`` is Lambda's function timeout in whole seconds. An ``environment`` value of
    None takes the variable away.
    """

    def __init__(
        self,
        folder: Path,
        log: Path,
        *,
        handler: str = "app.handler",
        command: Sequence[str] | None = None,
        timeout_s: int = 30,
        environment: Mapping[str, str | None] | None = None,
    ) -> None:
        self.log = log
        self._folder = folder
        self._command = command or (sys.executable, "-m", "awslambdaric", handler)
        self._environment = self._lambda_environment(timeout_s, environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._port = 0
        # The emulator crashes when it is asked for two invocations at once.
        self._one_at_a_time = Lock()

    def _lambda_environment(
        self, timeout_s: int, changes: Mapping[str, str | None]
    ) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "LAMBDA_", "PENSTOCK_", "PYTEST_"))
            and name != "_HANDLER"
        }
        environment: dict[str, str | None] = {
            **inherited,
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
            "AWS_LAMBDA_FUNCTION_NAME": "penstock-example",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout_s),
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/penstock-example",
            "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]0123456789abcdef",
            "AWS_REGION": "us-east-1",
            "LAMBDA_TASK_ROOT": str(self._folder),
            "PYTHONUNBUFFERED": "1",
            "TZ": ":UTC",
            **changes,
        }
        return {name: value for name, value in environment.items() if value is not None}

    def __enter__(self) -> Self:
        executable = fetch_emulator()
        self._port, runtime_port = free_ports()
        self._output = self.log.open("wb")
        self._process = subprocess.Popen(
            [
                executable,
                *("--runtime-interface-emulator-address", f"127.0.0.1:{self._port}"),
                *("--runtime-api-address", f"127.0.0.1:{runtime_port}"),
                *self._command,
            ],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self._wait_until_it_listens(self._process)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            # Told to stop, the emulator ends the runtime, which has a process group of its own.
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=3)
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._output is not None:
            self._output.close()

    def _wait_until_it_listens(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                msg = f"the emulator ended with status {process.returncode}:\n{self.read_log()}"
                raise RuntimeError(msg)
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
                return
            time.sleep(0.01)
        msg = f"the emulator did not listen within {START_SECONDS} s:\n{self.read_log()}"
        raise TimeoutError(msg)

    def read_log(self) -> str:
        """Return what the emulator, the runtime client and the function have written so far."""
        return self.log.read_text(errors="replace")

    def invoke(self, event: object) -> Any:
        """Return what the function answered to the event, as JSON-like data."""
        body = self.post(event)[1]
        try:
            return json.loads(body)
        except ValueError:
            msg = f"expected JSON from the function, got {body[:500]!r}\n{self.read_log()}"
            raise ValueError(msg) from None

    def post(self, event: object) -> tuple[int, bytes]:
        """Return the emulator's status, which is 200 for a function that failed too, and body."""
        with self._one_at_a_time:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=INVOKE_SECONDS)
            try:
                path = "/2015-03-31/functions/function/invocations"
                connection.request("POST", path, json.dumps(event))
                response = connection.getresponse()
                return response.status, response.read()
            finally:
                connection.close()


def free_ports() -> tuple[int, int]:
    """Return two ports of the loopback interface that nothing listens on."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]
