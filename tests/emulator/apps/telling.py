"""A handler that logs in every way there is, and tells what it found."""

from __future__ import annotations

import logging
import os
from typing import Any

os.environ["_X_AMZN_TRACE_ID"] = "left over"


def app(event: Any, context: Any) -> Any:
    logging.getLogger("shop").warning("warned of %s", event["n"])
    print("printed", event["n"])  # noqa: T201
    context.log("logged as it is\n")
    if event["n"] == 13:
        raise LookupError("no such order")
    return {
        "request_id": context.aws_request_id,
        "function": context.function_name,
        "left": context.get_remaining_time_in_millis(),
        "trace": os.environ.get("_X_AMZN_TRACE_ID"),
    }
