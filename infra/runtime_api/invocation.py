"""One invocation: what the caller sends, what the runtime sees of it, and how it ended."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import Any, TypedDict

ACCOUNT = "123456789012"
REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class FunctionError:
    """Why an invocation failed.

    Shapes: ``error_type`` as Lambda keeps it, such as ``Runtime.ExitError``; ``body`` is the JSON
    that the caller gets.
    """

    error_type: str
    body: bytes
    content_type: str = "application/json"

    @classmethod
    def of_platform(cls, error_type: str, message: str) -> FunctionError:
        """Return an error that Lambda itself reports."""
        error = {"errorType": error_type, "errorMessage": message}
        body = json.dumps(error, separators=(",", ":"))
        return cls(error_type, body.encode())

    def json(self) -> Any:
        """Return the body as JSON-like data. Raises: ValueError if it is none."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Call:
    """What a caller asks for.

    Shapes: ``client_context`` is JSON text; ``cognito_identity`` maps ``cognitoIdentityId`` and
    ``cognitoIdentityPoolId``; empty values are not passed on. ``streaming`` says that the answer is
    wanted piece by piece (``InvokeWithResponseStream``). Units: ``timeout_s`` seconds.
    """

    payload: bytes = b"{}"
    streaming: bool = False
    content_type: str = "application/json"
    client_context: str = ""
    cognito_identity: dict[str, str] = field(default_factory=dict)
    tenant_id: str = ""
    trace_id: str = ""
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    timeout_s: float = 30.0


class CallOptions(TypedDict, total=False):
    """The fields of ``Call`` that no argument of ``LocalRuntimeAPI.invoke`` is for."""

    content_type: str
    client_context: str
    cognito_identity: dict[str, str]
    tenant_id: str
    trace_id: str
    request_id: str


class InvokeOptions(CallOptions, total=False):
    """What ``LocalRuntimeAPI.invoke`` takes by name; see ``LocalRuntimeAPI.start``."""

    payload: bytes | None
    timeout_s: float | None


@dataclass(slots=True, eq=False)
class Invocation:
    """One attempt at a call, between the caller and the runtime.

    Units: times are seconds of the event loop's clock, None until they have come; ``deadline_ms``
    is milliseconds since the epoch. ``ended_at`` is when the runtime asked for the next event,
    which is later than ``answered_at`` if it worked on after its answer; it stays None on a runtime
    with several slots, where requests for events and answers are not connected.
    """

    call: Call
    function_arn: str
    invocation_id: str
    deadline_ms: int = 0
    submitted_at: float | None = None
    delivered_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None

    @property
    def request_id(self) -> str:
        """The request id, which a retry may share."""
        return self.call.request_id

    @property
    def post_response_s(self) -> float | None:
        """Seconds that the runtime went on after its answer, once that is known."""
        if self.answered_at is None or self.ended_at is None:
            return None
        return self.ended_at - self.answered_at

    def headers(self) -> list[tuple[str, str]]:
        """Return what the runtime gets with the event; what is empty is left out."""
        identity = self.call.cognito_identity
        pairs = [
            ("Lambda-Runtime-Aws-Request-Id", self.request_id),
            ("Lambda-Runtime-Trace-Id", self.call.trace_id),
            ("Lambda-Runtime-Client-Context", self.call.client_context),
            ("Lambda-Runtime-Cognito-Identity", json.dumps(identity) if identity else ""),
            ("Lambda-Runtime-Invoked-Function-Arn", self.function_arn),
            ("Lambda-Runtime-Deadline-Ms", str(self.deadline_ms)),
            ("Lambda-Runtime-Aws-Tenant-Id", self.call.tenant_id),
            ("Lambda-Runtime-Invocation-Id", self.invocation_id),
            ("Content-Type", self.call.content_type),
        ]
        return [(name, _header_value(value)) for name, value in pairs if value]


def _header_value(text: str) -> str:
    """Return a header value whose bytes are the text in UTF-8, on one line, as Go would send it."""
    return text.replace("\r", " ").replace("\n", " ").encode().decode("latin-1")
