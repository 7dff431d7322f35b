"""Four invocations at once: AWS's client and ours, the same handler and events, what comes of them.

AWS's client forks a process for each slot, ours has one. What differs is in a list, row by row.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from runtime_process import STARTED

from penstock.adapter.runtime import reports
from penstock.infra.runtime_api import FunctionFailed, LocalRuntimeAPI, LogRecord, Pending

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., LocalRuntimeAPI]
    Facts = dict[tuple[str, str], Any]

if sys.platform != "linux":
    pytest.skip("AWS's client is for Linux only", allow_module_level=True)

SLOTS = 4
AWS_CLIENT = [sys.executable, "-m", "awslambdaric", "app.app"]
# Lambda hands the wrapper script what it would have started.
WRAPPED = ["/bin/sh", str(Path(reports.__file__).with_name("exec")), *AWS_CLIENT]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

APP = '''
import collections, decimal, logging, os, pathlib, time

logger = logging.getLogger("shop")
logger.setLevel("INFO")

class OutOfTea(Exception):
    """As applications have it."""

def app(event, context):
    return globals()[event["do"]](event, context)

def meet(event, context):
    # The processes of AWS's client have only files in common.
    met = pathlib.Path(event["folder"])
    (met / context.aws_request_id).touch()
    while len(list(met.iterdir())) < event["slots"]:
        time.sleep(0.01)
    logger.info("met")
    return context.aws_request_id

def echo(event, context):
    return event["this"]

def number(event, context):
    return decimal.Decimal("1.10")

def raw(event, context):
    return bytes(range(256))

Pair = collections.namedtuple("Pair", "left right")

class Row:
    def _asdict(self):
        return {"pair": Pair(1, b"2")}

def other_types(event, context):
    return {
        "pairs": [Pair(1, Pair("2", decimal.Decimal("3.0"))), (Pair(4, None),)],
        "bytes": "text é".encode(),
        b"name": 1,
        "row": Row(),
        "no number": [decimal.Decimal("-NaN"), decimal.Decimal("sNaN")],
    }

def nothing(event, context):
    pass

def facts(event, context):
    left = context.get_remaining_time_in_millis()
    client, identity = context.client_context, context.identity
    return {
        "request_id": context.aws_request_id,
        "arn": context.invoked_function_arn,
        "function": [context.function_name, context.function_version],
        "memory": context.memory_limit_in_mb,
        "log": [context.log_group_name, context.log_stream_name],
        "tenant": context.tenant_id,
        "client": client and [client.custom, client.env, client.client.app_title],
        "cognito": [identity.cognito_identity_id, identity.cognito_identity_pool_id],
        "left": 0 < left <= 20_000,
        "variables": {
            name: os.environ.get(name)
            for name in ("AWS_LAMBDA_MAX_CONCURRENCY", "LAMBDA_TASK_ROOT", "_HANDLER")
        },
    }

def trace(event, context):
    return os.environ.get("_X_AMZN_TRACE_ID")

def not_for_json(event, context):
    return {1}

def fail(event, context):
    raise OutOfTea("Crème \\N{CUSTARD}\\nline two")

def fail_without_a_word(event, context):
    raise OutOfTea

def fail_because(event, context):
    try:
        raise KeyError("tea")
    except KeyError as error:
        raise OutOfTea("none") from error

def fail_as_a_group(event, context):
    raise ExceptionGroup("two of them", [KeyError("tea"), OutOfTea("none")])

def log(event, context):
    logger.debug("not shown")
    logger.info("%s of %d", "one", 2)
    logger.warning({"paid": 3, "of": ["a", None]}, extra={"order": 42})
    logging.getLogger().error("two\\nlines")
    try:
        raise OutOfTea("none")
    except OutOfTea:
        logger.exception("it failed")

def log_as_it_is(event, context):
    context.log("as it is\\n")
    print("printed")
'''

CLIENT = json.dumps(
    {"custom": {"a": "b"}, "env": {"locale": "fr"}, "client": {"app_title": "shop"}}
)
CALLS: dict[str, dict[str, Any]] = {
    "text": {"event": {"do": "echo", "this": "Crème \N{CUSTARD} \u2028 \x07"}},
    "list": {"event": {"do": "echo", "this": [1, 2.5, None, True, {"a": []}]}},
    "megabyte": {"event": {"do": "echo", "this": "é" * 500_000}},
    "decimal": {"event": {"do": "number"}},
    "bytes": {"event": {"do": "raw"}},
    "other-types": {"event": {"do": "other_types"}},
    "blanks": {"payload": b' \n{"do": "echo", "this": 1}\r\n\t'},
    "byte-order-mark": {"payload": b'\xef\xbb\xbf{"do": "echo", "this": "\xc3\xa9"}'},
    "nothing": {"event": {"do": "nothing"}},
    "bare-context": {"event": {"do": "facts"}},
    "full-context": {
        "event": {"do": "facts"},
        "tenant_id": "blue",
        "client_context": CLIENT,
        "cognito_identity": {"cognitoIdentityId": "i", "cognitoIdentityPoolId": "p"},
    },
    "trace-id": {"event": {"do": "trace"}, "trace_id": "Root=1-2-3"},
    "set": {"event": {"do": "not_for_json"}},
    "no-json": {"payload": b"{]"},
    "deep": {"payload": b"[" * 100_000},
    "nan": {"payload": b'{"do": "echo", "this": NaN}'},
    "no-message": {"event": {"do": "fail_without_a_word"}},
    "error": {"event": {"do": "fail"}},
    "error-of-a-tenant": {"event": {"do": "fail"}, "tenant_id": "blue"},
    "cause": {"event": {"do": "fail_because"}},
    "group": {"event": {"do": "fail_as_a_group"}},
    "log": {"event": {"do": "log"}},
    "log-of-a-tenant": {"event": {"do": "log"}, "tenant_id": "blue", "trace_id": "Root=1-2-3"},
    "lines": {"event": {"do": "log_as_it_is"}},
}


def observe(make_api: Make, folder: Path, command: list[str]) -> Facts:
    """Make all calls, as many at a time as there are slots, and tell what came of each."""
    met = Path(tempfile.mkdtemp(dir=folder))
    meeting = {"event": {"do": "meet", "folder": str(met), "slots": SLOTS}}
    calls = {**{f"meeting-{n}": meeting for n in range(SLOTS)}, **CALLS}

    async def main() -> Facts:
        options = {"concurrency": SLOTS, "framed_log": True, "timeout_s": 20, "handler": "app.app"}
        async with asyncio.timeout(60):
            async with make_api(APP, command, **options) as api:
                await api.ready()
                pending = [api.start(request_id=name, **call) for name, call in calls.items()]
                outcomes = [await outcome_of(one) for one in pending]
                await api.ready()
        found: Facts = {}
        for one, outcome in zip(pending, outcomes, strict=True):
            lines = lines_of(api.log.records, one.request_id)
            if "error" in outcome:
                # Each error is logged once, as it is reported.
                lines.remove({"level": "ERROR", **outcome["error"]})
            spread(found, one.request_id, "", {**outcome, "log": lines})
        spread(found, "", "", {"lines": plain_lines(api.log.records)})
        return {place: neutral(fact, folder) for place, fact in found.items()}

    return asyncio.run(main())


async def outcome_of(pending: Pending) -> dict[str, Any]:
    try:
        answer = await pending.payload()
    except FunctionFailed as failed:
        return {"error type": failed.error.error_type, "error": failed.error.json()}
    if pending.content_type != "application/json":
        return {"content type": pending.content_type, "answer": answer}
    # Blanks do not matter, the digits of a number do.
    return {
        "content type": "application/json",
        "answer": json.loads(answer, parse_float=str, parse_constant=str),
    }


def lines_of(records: list[LogRecord], request_id: str) -> list[dict[str, Any]]:
    """The lines of an invocation, each without its time."""
    lines = [json.loads(record.text) for record in records if record.text.startswith("{")]
    own = [line for line in lines if line["requestId"] == request_id]
    for line in own:
        assert TIME.fullmatch(line.pop("timestamp"))
    return own


def plain_lines(records: list[LogRecord]) -> list[str]:
    """What was written without a logger. There is nothing in it that tells the invocation."""
    plain = [record for record in records if record.source != "platform"]
    return sorted(record.text for record in plain if not record.text.startswith("{"))


def spread(found: Facts, call: str, place: str, value: Any) -> None:
    """Put what is in a nested value under the places where it is."""
    if not isinstance(value, dict | list) or not value:
        found[call, place] = value
        return
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        spread(found, call, f"{place}.{key}".removeprefix("."), item)


def neutral(fact: Any, folder: Path) -> Any:
    """A fact without what depends on this machine."""
    return fact.replace(str(folder), "/var/task") if isinstance(fact, str) else fact


def differences(theirs: Facts, ours: Facts) -> dict[tuple[str, str], tuple[Any, Any]]:
    return {
        place: (theirs.get(place, ABSENT), ours.get(place, ABSENT))
        for place in theirs.keys() | ours.keys()
        if theirs.get(place, ABSENT) != ours.get(place, ABSENT)
    }


ABSENT = "(absent)"
TOO_DEEP = (
    "Unable to unmarshal input: maximum recursion depth exceeded while decoding a JSON array from"
)
EXPECTED = "Expecting property name enclosed in double quotes"
DIFFERENCES: dict[str, dict[tuple[str, str], tuple[Any, Any]]] = {
    "Lambda keeps the type of an error, and not only that there was one": {
        ("error", "error type"): ("Runtime.Unknown", "Function.OutOfTea"),
        ("error-of-a-tenant", "error type"): ("Runtime.Unknown", "Function.OutOfTea"),
        ("cause", "error type"): ("Runtime.Unknown", "Function.OutOfTea"),
        ("group", "error type"): ("Runtime.Unknown", "Function.ExceptionGroup"),
        ("set", "error type"): ("Runtime.Unknown", "Runtime.MarshalError"),
        ("no-message", "error type"): ("Runtime.Unknown", "Function.OutOfTea"),
        ("no-json", "error type"): ("Runtime.Unknown", "Runtime.UnmarshalError"),
        ("nan", "error type"): ("Runtime.Unknown", "Runtime.UnmarshalError"),
        ("deep", "error type"): ("Runtime.Unknown", "Runtime.UnmarshalError"),
    },
    "causes and members of groups are told": {
        ("cause", "error.stackTrace.2"): (ABSENT, "Caused by KeyError: 'tea'\n"),
        ("cause", "error.stackTrace.3"): (
            ABSENT,
            '  File "/var/task/app.py", line 82, in fail_because\n    raise KeyError("tea")\n',
        ),
        ("group", "error.stackTrace.2"): (ABSENT, "Member of the group: KeyError: 'tea'\n"),
        ("group", "error.stackTrace.3"): (ABSENT, "Member of the group: OutOfTea: none\n"),
    },
    "errors that the client finds say what came": {
        ("set", "error.errorMessage"): (
            "Unable to marshal response: Object of type set is not JSON serializable",
            "Unable to marshal response: expected what JSON can say, got set: {1}",
        ),
        # The words are those of the JSON library: simplejson's, and Python's own.
        ("no-json", "error.errorMessage"): (
            f"Unable to unmarshal input: {EXPECTED} or '}}': line 1 column 2 (char 1)",
            f"Unable to unmarshal input: {EXPECTED}: line 1 column 2 (char 1)",
        ),
        ("deep", "error.errorMessage"): (f"{TOO_DEEP} a string", f"{TOO_DEEP} a unicode string"),
        ("nan", "error.errorMessage"): (
            "Unable to unmarshal input: Expecting value: line 1 column 24 (char 23)",
            "Unable to unmarshal input: NaN is no JSON",
        ),
    },
    "one process has one environment for all invocations, so the trace id is not in it": {
        ("trace-id", "answer"): ("Root=1-2-3", None),
        **{("log-of-a-tenant", f"log.{line}.traceId"): (ABSENT, "Root=1-2-3") for line in range(4)},
    },
    "bytes are of a media type that is registered": {
        ("bytes", "content type"): ("application/unknown", "application/octet-stream"),
    },
}


@pytest.mark.parametrize("command", [STARTED, WRAPPED], ids=["command", "wrapper script"])
def test_what_differs_is_in_the_list(command: list[str], make_api: Make, tmp_path: Path) -> None:
    theirs, ours = (observe(make_api, tmp_path, started) for started in (AWS_CLIENT, command))
    assert theirs["log", "log.3.stackTrace.0"]  # of the last of its lines: all have come
    listed = {place: both for rows in DIFFERENCES.values() for place, both in rows.items()}
    assert listed == differences(theirs, ours)


INIT: dict[str, dict[tuple[str, str], tuple[Any, Any]]] = {
    "import nothing_like_it": {
        ("init", "error.stackTrace"): ([], ABSENT),
        ("init", "error.stackTrace.0"): (
            ABSENT,
            '  File "/var/task/app.py", line 1, in <module>\n    import nothing_like_it\n',
        ),
    },
    "def app(:": {},
    "nothing = None": {},
    "raise LookupError('no such table')": {
        ("init", "error type"): ("Runtime.Unknown", "Function.LookupError"),
    },
}
"""Modules that cannot be loaded, and what differs: the type that Lambda keeps, and the stack."""


@pytest.mark.parametrize("source", INIT)
def test_what_differs_at_init(source: str, make_api: Make, tmp_path: Path) -> None:
    async def main(command: list[str]) -> dict[str, Any]:
        async with asyncio.timeout(60):
            async with make_api(source, command, concurrency=SLOTS, handler="app.app") as api:
                return await outcome_of(api.start({}))

    def observe_init(command: list[str]) -> Facts:
        outcome = asyncio.run(main(command))
        # Ours leaves the frames of the import out.
        stack = [entry for entry in outcome["error"]["stackTrace"] if "importlib" not in entry]
        outcome["error"]["stackTrace"] = stack
        found: Facts = {}
        spread(found, "init", "", outcome)
        return {place: neutral(fact, tmp_path) for place, fact in found.items()}

    theirs, ours = (observe_init(command) for command in (AWS_CLIENT, STARTED))
    assert INIT[source] == differences(theirs, ours)
