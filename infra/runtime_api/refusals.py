"""The ways in which the Runtime API says no, and what it makes of a runtime's error types.

Source: "Using the Lambda runtime API"; messages and the pattern of error types as in AWS's runtime
interface emulator.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

ANSWER_LIMIT_BYTES: Final = 6_291_556
"""The longest buffered answer that Lambda takes; inclusive ("Lambda quotas")."""

_ERROR_TYPE = re.compile(r"(Runtime|Function)\.[A-Z][a-zA-Z]+")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer of the Runtime API that is not what the runtime had hoped for."""

    status: int
    error_type: str
    message: str

    @property
    def body(self) -> dict[str, str]:
        """The JSON that the runtime gets."""
        return {"errorMessage": self.message, "errorType": self.error_type}


class Refused(Exception):
    """A call of the Runtime API that is not allowed: it is answered with the ``refusal``."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.status} {refusal.error_type}: {refusal.message}")
        self.refusal = refusal


INVALID_REQUEST_ID: Final = Refusal(400, "InvalidRequestID", "Invalid request ID")
INVALID_MODE: Final = Refusal(400, "InvalidFunctionResponseMode", "Invalid function response mode")
INVOKE_TIMEOUT: Final = Refusal(410, "InvokeTimeout", "Invoke timeout")
TOO_LARGE: Final = Refusal(
    413,
    "RequestEntityTooLarge",
    f"Exceeded maximum allowed payload size ({ANSWER_LIMIT_BYTES} bytes).",
)
TOO_MANY_POLLERS: Final = Refusal(500, "InternalServerError", "Internal Server Error")


def wrong_state(current: str, wanted: str) -> Refusal:
    """Return the refusal of a call that the runtime's state does not allow."""
    message = (
        f"State transition from {current} to {wanted} failed for runtime. "
        "Error: State transition is not allowed"
    )
    return Refusal(403, "InvalidStateTransition", message)


def known_error_type(sent: str) -> str:
    """Return the error type that Lambda keeps of what a runtime sent.

    >>> known_error_type("Function.OutOfTea"), known_error_type("Function.x"), known_error_type("E")
    ('Function.OutOfTea', 'Function.Unknown', 'Runtime.Unknown')

    """
    if _ERROR_TYPE.search(sent):
        return sent
    return "Function.Unknown" if sent.startswith("Function.") else "Runtime.Unknown"
