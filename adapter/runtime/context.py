"""The context object that handlers get, and which invocation the running code belongs to.

Source: Lambda Developer Guide, "Using the Lambda context object to retrieve Python function
information"; the attributes and methods are those of AWS's own client, and ``trace_id``.
"""

from __future__ import annotations

import json
import logging
import os
import time
from contextvars import ContextVar
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from penstock.adapter.errors import Fault
from penstock.adapter.runtime import output

if TYPE_CHECKING:
    from penstock.adapter.runtime.protocol import Invocation

logger = logging.getLogger("penstock")

NO_DEADLINE_MS: Final = 24 * 60 * 60 * 1000
"""What an invocation has for which the Runtime API has named no deadline: more than Lambda grants,
and a number that timeouts can be made of."""

TRACE_VARIABLE: Final = "_X_AMZN_TRACE_ID"
_W3C: Final = ("traceparent", "tracestate", "baggage")
_VARIABLES: Final = {
    "function_name": "AWS_LAMBDA_FUNCTION_NAME",
    "function_version": "AWS_LAMBDA_FUNCTION_VERSION",
    "memory_limit_in_mb": "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "log_group_name": "AWS_LAMBDA_LOG_GROUP_NAME",
    "log_stream_name": "AWS_LAMBDA_LOG_STREAM_NAME",
}


class _Facts:
    """A group of facts as attributes; an absent one is None."""

    __slots__: tuple[str, ...] = ()

    def __init__(self, facts: dict[str, Any]) -> None:
        for name in self.__slots__:
            setattr(self, name, facts.get(name))

    def __repr__(self) -> str:
        facts = ",".join(f"{name}={getattr(self, name)}" for name in self.__slots__)
        return f"{type(self).__name__}([{facts}])"


class Client(_Facts):
    """The mobile application that invoked the function by AWS's Mobile SDK."""

    __slots__ = (
        "app_package_name",
        "app_title",
        "app_version_code",
        "app_version_name",
        "installation_id",
    )


class ClientContext(_Facts):
    """What the invoker sent as client context: ``client``, ``custom`` and ``env``."""

    __slots__ = ("client", "custom", "env")
    client: Any
    custom: Any
    env: Any

    def __init__(self, facts: dict[str, Any]) -> None:
        super().__init__(facts)
        if self.client is not None:
            self.client = Client(self.client)


class CognitoIdentity:
    """The Amazon Cognito identity that authorised the invocation; None without one."""

    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")

    def __init__(self, facts: dict[str, Any]) -> None:
        self.cognito_identity_id = facts.get("cognitoIdentityId")
        self.cognito_identity_pool_id = facts.get("cognitoIdentityPoolId")

    def __repr__(self) -> str:
        return (
            f"CognitoIdentity([cognito_identity_id={self.cognito_identity_id},"
            f"cognito_identity_pool_id={self.cognito_identity_pool_id}])"
        )


class LambdaContext:
    """The second argument of a Lambda handler.

    Attributes: ``aws_request_id``, ``invoked_function_arn``, ``function_name``,
    ``function_version``, ``memory_limit_in_mb`` (a string, as with AWS's client),
    ``log_group_name``, ``log_stream_name``, ``tenant_id``, ``trace_id`` (the X-Ray header, which
    with several invocations at once is in no environment variable), ``client_context``,
    ``identity``.
    """

    # Given to the instance from the environment, see _from_environment.
    function_name: str | None
    function_version: str | None
    memory_limit_in_mb: str | None
    log_group_name: str | None
    log_stream_name: str | None

    def __init__(self, invocation: Invocation) -> None:
        self.__dict__.update(_environment or _from_environment())
        self.aws_request_id = invocation.request_id
        self.invoked_function_arn = invocation.arn
        self.tenant_id = invocation.tenant_id
        self.trace_id = invocation.trace_id
        deadline_ms = invocation.deadline_ms
        if deadline_ms is None:
            deadline_ms = int(time.time() * 1000) + NO_DEADLINE_MS
        self._deadline_ms = deadline_ms
        self._odd_deadline = invocation.odd_deadline
        self._client_context = invocation.client_context
        self._cognito_identity = invocation.cognito_identity

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds that are left until Lambda ends the invocation; 0 if over."""
        return max(self._deadline_ms - int(time.time() * 1000), 0)

    @cached_property
    def client_context(self) -> ClientContext | None:
        """The client context. Raises: Fault (LambdaContextUnmarshalError) if it is not JSON."""
        facts = self._client_facts
        return None if facts is None else ClientContext(facts)

    @cached_property
    def identity(self) -> CognitoIdentity:
        """The Cognito identity. Raises: Fault (LambdaContextUnmarshalError) if it is not JSON."""
        return CognitoIdentity(_parse("Cognito Identity", self._cognito_identity) or {})

    def w3c(self) -> dict[str, str]:
        """Return ``traceparent``, ``tracestate`` and ``baggage``, those that the invoker sent."""
        fields = (self._client_facts or {}).get("w3c")
        if not isinstance(fields, dict):
            return {}
        return {name: fields[name] for name in _W3C if isinstance(fields.get(name), str)}

    def log(self, msg: object) -> None:
        """Write a text to the function's log, as it is."""
        output.write(str(msg))

    @cached_property
    def _client_facts(self) -> dict[str, Any] | None:
        return _parse("Client Context", self._client_context)

    def __repr__(self) -> str:
        names = (
            "aws_request_id",
            "log_group_name",
            "log_stream_name",
            "function_name",
            "memory_limit_in_mb",
            "function_version",
            "invoked_function_arn",
            "client_context",
            "identity",
            "tenant_id",
        )
        return f"LambdaContext([{','.join(f'{name}={getattr(self, name)}' for name in names)}])"


current: ContextVar[LambdaContext | None] = ContextVar("penstock_invocation", default=None)
"""The context of the invocation that the running code belongs to."""

_environment: dict[str, str | None] = {}
_alone: LambdaContext | None = None
_has_warned = False


def begin(context: LambdaContext, *, alone: bool) -> None:
    """Make this the invocation of the code that runs from here on, in this task or thread.

    ``alone`` says that there is no other one at a time. Then threads of the application's own,
    which have context variables of their own, belong to it too, and the trace id is put where
    X-Ray's and OpenTelemetry's libraries look for it.
    """
    current.set(context)
    if alone:
        global _alone  # noqa: PLW0603 - there is one
        _alone = context
        if context.trace_id:
            os.environ[TRACE_VARIABLE] = context.trace_id
        else:
            os.environ.pop(TRACE_VARIABLE, None)
    if context._odd_deadline:  # noqa: SLF001 - of this module
        _warn_of(context)


def find() -> LambdaContext | None:
    """Return the context of the invocation that the running code belongs to, if any."""
    return current.get() or _alone


def forget_environment() -> None:
    """Read what the environment says of the function anew: after a restore, it may have changed."""
    _environment.clear()


def _warn_of(context: LambdaContext) -> None:
    global _has_warned  # noqa: PLW0603 - once is enough to know
    if not _has_warned:
        _has_warned = True
        logger.warning(
            "request %s: expected milliseconds of the epoch in Lambda-Runtime-Deadline-Ms, got %r:"
            " going on without a deadline, here and wherever it is so",
            context.aws_request_id,
            context._odd_deadline[:80],  # noqa: SLF001
        )


def _from_environment() -> dict[str, str | None]:
    _environment.update({name: os.environ.get(key) for name, key in _VARIABLES.items()})
    return _environment


def _parse(what: str, text: str | None) -> dict[str, Any] | None:
    if not text:
        return None
    try:
        facts = json.loads(text)
    except ValueError as error:
        problem = str(error)
    else:
        if facts is None or isinstance(facts, dict):
            return facts
        problem = f"expected an object, got {type(facts).__name__}"
    raise Fault("Runtime.LambdaContextUnmarshalError", f"Unable to parse {what} JSON: {problem}")
