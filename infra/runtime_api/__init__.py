"""AWS's half of the Lambda Runtime API, for tests and for running functions on this machine."""

from __future__ import annotations

try:
    import h11 as _h11  # noqa: F401 - only to say how to get it
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "expected h11, which the local Runtime API needs: pip install 'penstock[local]'",
        name=error.name,
    ) from None

from penstock.infra.runtime_api.faults import Close, Hold, Injection, Raw, Reset, Status
from penstock.infra.runtime_api.invocation import FunctionError, Invocation
from penstock.infra.runtime_api.local import LocalRuntimeAPI
from penstock.infra.runtime_api.log import FunctionLog, LogRecord
from penstock.infra.runtime_api.pending import FunctionFailed, Pending
from penstock.infra.runtime_api.threaded import ThreadedRuntimeAPI

__all__ = [
    "Close",
    "FunctionError",
    "FunctionFailed",
    "FunctionLog",
    "Hold",
    "Injection",
    "Invocation",
    "LocalRuntimeAPI",
    "LogRecord",
    "Pending",
    "Raw",
    "Reset",
    "Status",
    "ThreadedRuntimeAPI",
]
