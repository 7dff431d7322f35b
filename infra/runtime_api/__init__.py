"""AWS's half of the Lambda Runtime API, for tests and for running functions on this machine."""

from __future__ import annotations

from penstock.infra.runtime_api.faults import Close, Hold, Injection, Raw, Reset, Status
from penstock.infra.runtime_api.invocation import FunctionError, Invocation
from penstock.infra.runtime_api.local import FunctionFailed, LocalRuntimeAPI, Pending
from penstock.infra.runtime_api.log import FunctionLog, LogRecord
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
