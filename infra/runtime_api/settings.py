"""How a function is configured, and the environment that its runtime finds."""

from __future__ import annotations

import os
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict

from penstock.infra.runtime_api.invocation import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INIT_LIMIT_S = 10.0
"""How long an on-demand function may take to initialise ("Lambda execution environment")."""

LONG_INIT_LIMIT_S = 130.0
"""The same for SnapStart and Managed Instances, unless the function's timeout is longer."""

_INHERITED = ("PATH", "LD_LIBRARY_PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")


class FunctionOptions(TypedDict, total=False):
    """The fields of ``Settings`` that are given by name, for type checkers."""

    handler: str
    environ: Mapping[str, str]
    function_name: str
    memory_mb: int
    timeout_s: float
    concurrency: int | None
    refuse_when_busy: bool | None
    invoke_mode: Literal["buffered", "response_stream"]
    bandwidth_limit: bool
    stream_limit_bytes: int
    snap_start: bool
    execution_env: str | None
    log_format: str | None
    log_level: str | None
    framed_log: bool
    invocation_ids: bool
    freeze: bool
    init_limit_s: float | None
    shutdown_s: float | None
    external_extensions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """A function's configuration.

    Shapes: ``command`` starts the runtime; without one, somebody else does, with ``environ`` of the
    running API. ``environ`` are the function's own variables. ``concurrency`` is the number of
    slots on Managed Instances, None for a classic function. ``external_extensions`` names the
    extensions that count as external. ``execution_env`` is ``AWS_EXECUTION_ENV``, None for none.
    With ``refuse_when_busy`` (default: on Managed Instances) an invocation that no slot is free for
    fails with ``Runtime.Unavailable``; else it waits for its turn. ``invoke_mode`` is that of the
    Function URL. With ``bandwidth_limit`` a stream slows down behind its first 6 MiB, with
    ``freeze`` the process that ``command`` started is stopped between invocations, as on Lambda.

    ``framed_log`` gives the runtime what managed runtimes find for their log: a descriptor for
    frames, or on Managed Instances a socket.

    Units: seconds; ``init_limit_s`` None is Lambda's own limit. ``shutdown_s`` None is Lambda's:
    0.5 with internal extensions only, 0.3 of 2 with external ones.

    Raises: ValueError for settings that Lambda does not have.
    """

    command: Sequence[str] | None = None
    folder: Path = field(default_factory=Path.cwd)
    handler: str = "app.handler"
    environ: Mapping[str, str] = field(default_factory=dict)
    function_name: str = "local"
    memory_mb: int = 1024
    timeout_s: float = 30.0
    concurrency: int | None = None
    refuse_when_busy: bool | None = None
    invoke_mode: Literal["buffered", "response_stream"] = "buffered"
    bandwidth_limit: bool = False
    stream_limit_bytes: int = 200 * 1024 * 1024
    snap_start: bool = False
    execution_env: str | None = "AWS_Lambda_python3.13"
    log_format: str | None = None
    log_level: str | None = None
    framed_log: bool = False
    invocation_ids: bool = True
    freeze: bool = False
    init_limit_s: float | None = None
    shutdown_s: float | None = None
    external_extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.concurrency is not None and self.concurrency < 1:
            raise ValueError(f"expected one slot at least, got concurrency={self.concurrency}")
        if self.concurrency is not None and self.snap_start:
            raise ValueError(
                "expected snap_start without concurrency: Lambda has no such functions"
            )

    @property
    def function_arn(self) -> str:
        """The function's ARN, without a version."""
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.function_name}"

    @property
    def refuses_when_busy(self) -> bool:
        """Whether an invocation without a free slot fails instead of waiting."""
        if self.refuse_when_busy is None:
            return self.concurrency is not None
        return self.refuse_when_busy

    @property
    def initialisation_type(self) -> str:
        """The value of ``AWS_LAMBDA_INITIALIZATION_TYPE``."""
        if self.concurrency is not None:
            return "lambda-managed-instances"
        return "snap-start" if self.snap_start else "on-demand"

    @property
    def init_seconds(self) -> float:
        """How long the runtime may take to its first request for an event."""
        if self.init_limit_s is not None:
            return self.init_limit_s
        if self.initialisation_type == "on-demand":
            return INIT_LIMIT_S
        return max(LONG_INIT_LIMIT_S, self.timeout_s)

    def runtime_environ(self, address: str, metadata_token: str) -> dict[str, str]:
        """Return what Lambda sets for a runtime, and the function's own variables.

        Source: "Using Lambda environment variables", defined runtime environment variables.
        """
        variables = {
            "AWS_DEFAULT_REGION": REGION,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.memory_mb),
            "AWS_LAMBDA_FUNCTION_NAME": self.function_name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": self.initialisation_type,
            "AWS_LAMBDA_METADATA_API": address,
            "AWS_LAMBDA_METADATA_TOKEN": metadata_token,
            "AWS_LAMBDA_RUNTIME_API": address,
            "AWS_REGION": REGION,
            "LAMBDA_RUNTIME_DIR": sysconfig.get_path("purelib"),
            "LAMBDA_TASK_ROOT": str(self.folder),
            "TZ": ":UTC",
            "_HANDLER": self.handler,
            **self._credentials(address, metadata_token),
        }
        if not self.snap_start:
            variables["AWS_LAMBDA_LOG_GROUP_NAME"] = f"/aws/lambda/{self.function_name}"
            variables["AWS_LAMBDA_LOG_STREAM_NAME"] = "2026/01/01/[$LATEST]0123456789abcdef"
        optional = {
            "AWS_EXECUTION_ENV": self.execution_env,
            "AWS_LAMBDA_LOG_FORMAT": "JSON" if self.concurrency else self.log_format,
            "AWS_LAMBDA_LOG_LEVEL": self.log_level,
            "AWS_LAMBDA_MAX_CONCURRENCY": str(self.concurrency) if self.concurrency else None,
        }
        variables |= {name: value for name, value in optional.items() if value is not None}
        return {**variables, **self.environ}

    def _credentials(self, address: str, token: str) -> dict[str, str]:
        if self.snap_start:
            return {
                "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{address}/2021-04-23/credentials",
            }
        return {
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_SESSION_TOKEN": "local",
        }

    def process_environ(self, runtime_environ: Mapping[str, str]) -> dict[str, str]:
        """Return the whole environment of the process: what it needs of this one, then Lambda's."""
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return {**inherited, **runtime_environ}
