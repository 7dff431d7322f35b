"""The one list of what penstock's ``Mangum`` does otherwise than Mangum, on purpose.

docs/mangum.md has it as a table. The tests of this folder demonstrate every entry, and find one
for every difference that they meet.
"""

from __future__ import annotations

from tests.differential.answer_differences import ANSWER_DIFFERENCES
from tests.differential.difference import Difference
from tests.differential.outcome_differences import OUTCOME_DIFFERENCES
from tests.differential.request_differences import REQUEST_DIFFERENCES

BEHAVIOUR_DIFFERENCES = (
    Difference(
        "lifespan-once",
        "lifespan",
        "everywhere",
        "start-up and shutdown in every invocation",
        "start-up once an execution environment, at the first invocation (on penstock's runtime: at"
        " init); shutdown with `close()` (on penstock's runtime: at SIGTERM as well)",
        "A pool that every request opens and closes is no pool.",
    ),
    Difference(
        "lifespan-on",
        "lifespan",
        '`lifespan="on"` and an application that raises in it',
        "logged, and goes on",
        "`LifespanError`: the invocation fails, the next one tries again",
        "`on` means that the application must have started.",
    ),
    Difference(
        "no-response",
        "the application sends no complete response",
        "everywhere",
        "`AttributeError`: the invocation fails",
        "500, and the log says what is missing",
        "The client gets an answer in any case.",
    ),
    Difference(
        "late-message",
        "the application sends a message after the end of its response",
        "everywhere",
        "the response stays, the exception is logged",
        "500",
        "Whoever sends two responses may have meant the other one.",
    ),
    Difference(
        "exit",
        "the application raises `SystemExit` or `KeyboardInterrupt`",
        "everywhere",
        "500",
        "raised",
        "Who stops the process means it: Lambda replaces it.",
    ),
    Difference(
        "disconnect",
        "`receive` after the end of the response",
        "everywhere",
        "`http.disconnect` once, then waits for ever",
        "`http.disconnect` each time",
        "An application that asks twice must not hang.",
    ),
    Difference(
        "deadline",
        "an application that is slower than Lambda's deadline or its front door",
        "everywhere",
        "Lambda kills it; the client waits, then gets the gateway's error",
        "`http.disconnect`, then it is cancelled, and the client gets a 504",
        "It can still clean up, and the log says where it was.",
    ),
    Difference(
        "running-loop",
        "called inside a running event loop",
        "tests, notebooks",
        "`This event loop is already running`, and a coroutine that was never awaited",
        "an error that names `await adapter.handle(event, context)`, which works there",
        "Asynchronous tests can use the adapter.",
    ),
    Difference(
        "request-log",
        "log records at INFO",
        "everywhere",
        "`mangum.http`: one line a request; `mangum.lifespan`: five",
        "`penstock.access`, if `PENSTOCK_ACCESS_LOG=1`: one line with duration and request id",
        "API Gateway has access logs; who wants a line here gets one that says more.",
    ),
    Difference(
        "custom-responses",
        "the response that a custom handler gets",
        "`custom_handlers`",
        "as the application sent it",
        "header names in lower case, without hop-by-hop headers, `content-length`, and those in"
        " `exclude_headers`; no body where HTTP has none",
        "The rules of a response are the same for every handler.",
    ),
)

DIFFERENCES: tuple[Difference, ...] = (
    *REQUEST_DIFFERENCES,
    *OUTCOME_DIFFERENCES,
    *ANSWER_DIFFERENCES,
    *BEHAVIOUR_DIFFERENCES,
)
