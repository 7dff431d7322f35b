"""The errors in what a runtime posts: in a body, or in the trailers of a stream."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Final

from penstock.infra.runtime_api.invocation import FunctionError
from penstock.infra.runtime_api.refusals import known_error_type

if TYPE_CHECKING:
    from penstock.infra.runtime_api.request import Request

ERROR_LIMIT_BYTES: Final = 1024 * 1024

_ERROR_TYPE: Final = "lambda-runtime-function-error-type"
_ERROR_BODY: Final = "lambda-runtime-function-error-body"
_WITH_CAUSE: Final = "application/vnd.aws.lambda.error.cause+json"
_ERROR_KEYS: Final = ("errorMessage", "errorType", "stackTrace")


def too_large(limit_bytes: int) -> FunctionError:
    """Return the failure of an answer that is too long."""
    message = f"Response payload size exceeded maximum allowed payload size ({limit_bytes} bytes)."
    return FunctionError.of_platform("Function.ResponseSizeTooLarge", message)


async def posted_error(request: Request) -> FunctionError:
    """Return the error in a post. Raises: BodyTooLarge, ConnectionGone."""
    body = await request.body(ERROR_LIMIT_BYTES)
    content_type = request.header("content-type", "application/json")
    if content_type == _WITH_CAUSE:
        content_type = "application/json"
        body = _without_cause(body)
    return FunctionError(known_error_type(request.header(_ERROR_TYPE)), body, content_type)


def _without_cause(body: bytes) -> bytes:
    try:
        posted = json.loads(body)
        kept = {key: posted[key] for key in _ERROR_KEYS if key in posted}
    except (ValueError, TypeError):
        return b'{"errorMessage":"Invalid error body","errorType":"Runtime.Unknown"}'
    return json.dumps(kept, separators=(",", ":")).encode()


def trailer_error(request: Request) -> FunctionError | None:
    """Return the error that a streamed answer ends with, if it does."""
    sent = request.trailer(_ERROR_TYPE)
    encoded = request.trailer(_ERROR_BODY)
    if not sent and not encoded:
        return None
    try:
        body = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        body = encoded.encode("latin-1")
    return FunctionError(known_error_type(sent), body)


def truncated() -> FunctionError:
    """Return the failure of an answer that ended before its time."""
    message = "HTTP request detected as truncated"
    return FunctionError.of_platform("Runtime.TruncatedResponse", message)
