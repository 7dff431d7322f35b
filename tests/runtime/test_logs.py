"""Each log record as AWS's own client would write it, byte by byte, except for a list of cases."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime_events import make_invocation

from penstock.adapter.runtime import context, logs, output

if sys.platform != "linux":
    pytest.skip("AWS's client is for Linux only", allow_module_level=True)

from awslambdaric import bootstrap as aws
from awslambdaric.lambda_runtime_log_utils import JsonFormatter as AWSJsonFormatter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.adapter.runtime.protocol import Invocation

PAGE = Path(__file__).parents[2] / "docs" / "runtime.md"
REQUEST_ID = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
TEXT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"
SECONDS = "%Y-%m-%dT%H:%M:%S"


@pytest.fixture(autouse=True, scope="module")
def utc() -> Iterator[None]:
    before = logging.Formatter.converter
    logging.Formatter.converter = time.gmtime  # as both do at their start
    yield
    logging.Formatter.converter = before


def invocation(
    request_id: str = REQUEST_ID, tenant: str | None = None, trace: str | None = None
) -> Invocation:
    headers = {"Aws-Request-Id": request_id, "Aws-Tenant-Id": tenant, "Trace-Id": trace}
    return make_invocation({name: value for name, value in headers.items() if value})


class Both:
    """AWS's handler and ours, each writing frames into a pipe of its own."""

    def __init__(self, kind: str, *, typed: bool) -> None:
        self._ends = [os.pipe(), os.pipe()]
        sink = aws.FramedTelemetryLogSink(self._ends[0][1])
        sink.__enter__()
        self._sink = sink
        theirs = aws.LambdaLoggerHandlerWithFrameType if typed else aws.LambdaLoggerHandler
        self.theirs: logging.Handler = theirs(sink)
        self.theirs.addFilter(aws.LambdaLoggerFilter())
        self.ours = logs.LambdaHandler(output.FramedOutput(self._ends[1][1]), typed=typed)
        if kind == "JSON":
            self.theirs.setFormatter(AWSJsonFormatter())
            self.ours.setFormatter(logs.JsonFormatter(traces=False))
        else:
            self.theirs.setFormatter(logging.Formatter(TEXT, SECONDS))
            self.ours.setFormatter(logging.Formatter(TEXT, SECONDS))

    def write(self, record: logging.LogRecord) -> tuple[bytes, bytes]:
        """Return the frame of each, without the time at which it was written."""
        self.ours.handle(record)
        # Theirs changes the record, so it comes last.
        self.theirs.handle(record)
        theirs, ours = (os.read(reader, 1 << 20) for reader, _ in self._ends)
        return theirs[:8] + theirs[16:], ours[:8] + ours[16:]

    def close(self) -> None:
        self._sink.__exit__(None, None, None)
        os.close(self._ends[1][1])
        for reader, _ in self._ends:
            os.close(reader)


@contextmanager
def both(kind: str, *, typed: bool = True) -> Iterator[Both]:
    pair = Both(kind, typed=typed)
    try:
        yield pair
    finally:
        pair.close()


@pytest.fixture(params=["TEXT", "JSON"])
def pair(request: pytest.FixtureRequest) -> Iterator[Both]:
    with both(request.param) as pair:
        yield pair


def raised(error: BaseException) -> Any:
    try:
        raise error  # noqa: TRY301 - for its traceback
    except BaseException:
        return sys.exc_info()


def make_record(
    message: Any = "hello", args: Any = (), level: int = logging.INFO, **facts: Any
) -> logging.LogRecord:
    exc_info = facts.pop("exc_info", None)
    record = logging.LogRecord("app", level, "/var/task/app.py", 7, message, args, exc_info, "run")
    record.taskName = None  # as outside of asyncio
    record.__dict__.update(facts)
    return record


RECORDS = {
    "plain": make_record(),
    "arguments": make_record("%s and %d", ("one", 2)),
    "mapping": make_record("%(a)s", ({"a": 1},)),
    "object": make_record({"event": "paid", "amount": 3, "when": time.gmtime(0)}),
    "object with args": make_record({"event": "paid"}, ({"a": 1},)),
    "many lines": make_record("one\ntwo\n\nthree\n"),
    "any script": make_record("Crème \N{CUSTARD} \u2028 \x07"),
    "extra": make_record(order=42, tags={"a", "b"}, nothing=None, nested={"deep": [1, None]}),
    "error": make_record("failed", level=logging.ERROR, exc_info=raised(ValueError("no\nway"))),
    "error of one word": make_record("x", level=logging.ERROR, exc_info=raised(KeyError("k"))),
    "own level": make_record(level=25),
    "notice below debug": make_record(level=5),
    "beyond critical": make_record(level=70),
    "debug": make_record(level=logging.DEBUG),
    "warning": make_record(level=logging.WARNING),
    "critical": make_record(level=logging.CRITICAL),
    "empty": make_record(""),
    "no text": make_record(None),
    "long": make_record("x" * 40_000),
}


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize(
    ("kind", "typed"),
    [("TEXT", False), ("TEXT", True), ("JSON", True)],
    ids=["text", "text with levels", "json"],
)
def test_a_record_is_written_as_by_awslambdaric(
    name: str, kind: str, typed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = logging.makeLogRecord(vars(RECORDS[name]))
    monkeypatch.setattr(aws, "_GLOBAL_AWS_REQUEST_ID", REQUEST_ID)
    token = context.current.set(context.LambdaContext(invocation()))
    try:
        with both(kind, typed=typed) as pair:
            theirs, ours = pair.write(record)
    finally:
        context.current.reset(token)
    assert theirs == ours


unicode_text = st.text(st.characters(exclude_categories=["Cs"]))


@given(
    message=unicode_text | st.dictionaries(unicode_text, st.integers() | unicode_text, max_size=3),
    level=st.integers(0, 60),
    extra=st.dictionaries(
        st.from_regex(r"x_[a-z]{1,5}", fullmatch=True),
        st.none() | st.integers() | unicode_text | st.lists(unicode_text, max_size=2),
        max_size=3,
    ),
    created=st.floats(0, 4_000_000_000),
    kind=st.sampled_from(["TEXT", "JSON"]),
)
def test_any_record_is_written_as_by_awslambdaric(
    message: Any, level: int, extra: dict[str, Any], created: float, kind: str
) -> None:
    record = make_record(message, level=level, **extra)
    record.created, record.msecs = created, int(created % 1 * 1000) + 0.0
    with both(kind) as pair:
        theirs, ours = pair.write(record)
    assert theirs == ours


def test_tenants_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "_GLOBAL_TENANT_ID", "blue")
    token = context.current.set(context.LambdaContext(invocation("", "blue")))
    try:
        with both("JSON") as pair:
            theirs, ours = pair.write(make_record())
    finally:
        context.current.reset(token)
    assert theirs == ours
    assert b'"tenantId": "blue"' in ours


class TestDifferences:
    """Where a line is not as from AWS's client, and why: each entry of the list in the docs."""

    def json_line(self, record: logging.LogRecord, *, traces: bool = False) -> Any:
        record.aws_request_id = ""
        return json.loads(logs.JsonFormatter(traces=traces).format(record))

    def test_default_task_names(self) -> None:
        """Every line would have one: code under this runtime always runs in a task."""
        assert "taskName" not in self.json_line(make_record(taskName="Task-1"))
        assert "fetcher" == self.json_line(make_record(taskName="fetcher"))["taskName"]

    def test_exc_info_without_exception(self) -> None:
        """AWS's client raises AttributeError out of the logging call."""
        line = self.json_line(make_record("no error", exc_info=(None, None, None)))
        assert "no error" == line["message"]
        assert "errorType" not in line

    def test_keys_not_for_json(self) -> None:
        """AWS's client raises TypeError out of the logging call."""
        line = self.json_line(make_record({("a", 1): 2}))
        assert "{('a', 1): 2}" == line["message"]

    def test_extra_named_as_a_field(self) -> None:
        """AWS's client drops it."""
        assert "Refused" == self.json_line(make_record(errorType="Refused"))["errorType"]

    def test_half_a_surrogate_pair(self) -> None:
        """AWS's client raises UnicodeEncodeError out of the logging call."""
        with both("TEXT") as pair:
            pair.theirs = logging.NullHandler()
            os.write(pair._ends[0][1], b"-")
            assert rb"\ud83d" in pair.write(make_record("\ud83d"))[1]

    def test_message_that_cannot_be_made(
        self, pair: Both, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """AWS's client lets it raise out of the logging call; stderr has what Python says."""
        pair.ours.handle(make_record("%d", ("x",)))
        assert "Logging error" in capsys.readouterr().err

    def test_trace_ids(self) -> None:
        """There it is in no environment variable."""
        line = self.json_line(make_record(aws_trace_id="Root=1-2-3"), traces=True)
        assert "Root=1-2-3" == line["traceId"]

    def test_record_unchanged(self) -> None:
        """AWS's client changes level and level name of records with levels of one's own."""
        record = make_record(level=25)
        self.json_line(record)
        assert 25 == record.levelno

    def test_one_line_a_record(self, capsys: pytest.CaptureFixture[str]) -> None:
        """AWS's client leaves the line breaks in, so that CloudWatch shows a record for each."""
        output.StandardOutput().write_record("[ERROR]\tone\n\nTraceback:\n  two", 0)
        assert "[ERROR]\tone\r\rTraceback:\r  two\n" == capsys.readouterr().out


def test_every_difference_is_documented() -> None:
    _, _, section = PAGE.read_text().partition("\n## Logs\n")
    rows = re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)
    shown = [name for name in vars(TestDifferences) if name.startswith("test_")]
    assert [f"test_{row.replace('-', '_')}" for row in rows] == shown


class TestContexts:
    """A line belongs to the invocation whose code wrote it."""

    def test_concurrent_invocations_never_mix(self) -> None:
        lines: list[str] = []

        class Keep(output.StandardOutput):
            def write_record(self, text: str, frame: int) -> None:
                lines.append(text)

        handler = logs.LambdaHandler(Keep(), typed=True)
        handler.setFormatter(logs.JsonFormatter(traces=True))

        async def serve(number: int, met: asyncio.Barrier) -> None:
            seen = invocation(f"id-{number}", f"tenant-{number}", f"trace-{number}")
            context.begin(context.LambdaContext(seen), alone=False)
            for _ in range(3):
                await met.wait()
                handler.handle(make_record(f"from {number}"))
                await asyncio.to_thread(handler.handle, make_record(f"from {number}"))

        async def main() -> None:
            met = asyncio.Barrier(20)
            await asyncio.gather(*(serve(number, met) for number in range(20)))

        asyncio.run(main())
        assert 20 * 6 == len(lines)
        for line in map(json.loads, lines):
            number = line["message"].removeprefix("from ")
            seen = [line["requestId"], line["tenantId"], line["traceId"]]
            assert [f"id-{number}", f"tenant-{number}", f"trace-{number}"] == seen


SCRIPT = """
import logging, os, sys
from penstock.adapter.runtime import context, logs
from penstock.adapter.runtime.protocol import Invocation, ResponseParser
logs.set_up()
invocation = Invocation(ResponseParser().feed(
    b"HTTP/1.1 200 OK\\r\\nLambda-Runtime-Aws-Request-Id: an-id\\r\\n"
    b"Lambda-Runtime-Trace-Id: Root=1\\r\\nContent-Length: 2\\r\\n\\r\\n{}"
))
"""


class TestSetUp:
    """What the environment says of the log, in a process of its own."""

    @pytest.fixture
    def run(self) -> Callable[..., str]:
        def run(code: str, **environment: str) -> str:
            return subprocess.run(
                [sys.executable, "-c", SCRIPT + code],
                env={"PATH": os.environ["PATH"], **environment},
                check=True,
                capture_output=True,
                text=True,
                timeout=60,
            ).stdout

        return run

    def test_text_is_the_default_at_the_level_of_python(self, run: Callable[..., str]) -> None:
        out = run("logging.info('hidden'); logging.warning('shown')")
        assert re.fullmatch(r"\[WARNING\]\t\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z\t\tshown\n", out)

    @pytest.mark.parametrize(
        ("level", "shown"), [("TRACE", "DIWE"), ("INFO", "IWE"), ("warn", "WE"), ("FATAL", "")]
    )
    def test_levels(self, run: Callable[..., str], level: str, shown: str) -> None:
        code = "[getattr(logging, n)(n[0].upper()) for n in ('debug', 'info', 'warning', 'error')]"
        out = run(code, AWS_LAMBDA_LOG_FORMAT="json", AWS_LAMBDA_LOG_LEVEL=level)
        assert shown == "".join(json.loads(line)["message"] for line in out.splitlines())

    def test_an_unknown_level_changes_nothing(self, run: Callable[..., str]) -> None:
        assert "[WARNING]" in run("logging.warning('shown')", AWS_LAMBDA_LOG_LEVEL="LOUD")

    def test_managed_instances_log_json(self, run: Callable[..., str]) -> None:
        code = (
            "context.begin(context.LambdaContext(invocation), alone=False)\n"
            "logging.warning('shown')"
        )
        line = json.loads(run(code, AWS_LAMBDA_MAX_CONCURRENCY="8"))
        assert ("shown", "an-id", "Root=1") == (
            line["message"],
            line["requestId"],
            line["traceId"],
        )

    def test_frames_go_to_the_descriptor_which_leaves_the_environment(self, tmp_path: Path) -> None:
        code = "logging.error('framed'); print(os.environ.get('_LAMBDA_TELEMETRY_LOG_FD'))"
        with (tmp_path / "frames").open("w+b") as frames:
            out = subprocess.run(
                [sys.executable, "-c", SCRIPT + code],
                env={
                    "PATH": os.environ["PATH"],
                    "_LAMBDA_TELEMETRY_LOG_FD": str(frames.fileno()),
                    "AWS_LAMBDA_LOG_FORMAT": "JSON",
                },
                pass_fds=[frames.fileno()],
                check=True,
                capture_output=True,
                timeout=60,
            ).stdout
            frames.seek(0)
            data = frames.read()
        assert b"None\n" == out
        assert bytes.fromhex("a55a0016") == data[:4]
        assert int.from_bytes(data[4:8], "big") == len(data) - 16
        assert "framed" == json.loads(data[16:])["message"]

    @pytest.mark.parametrize("descriptor", ["", "x", "99"])
    def test_a_descriptor_that_is_none_costs_nothing(
        self, run: Callable[..., str], descriptor: str
    ) -> None:
        assert "shown" in run("logging.error('shown')", _LAMBDA_TELEMETRY_LOG_FD=descriptor)

    def test_print_is_written_line_by_line(self, run: Callable[..., str]) -> None:
        """The process ends without a chance to flush."""
        assert "one\n" == run("print('one'); print('two', end=''); os._exit(0)")
        assert "one\ntwo" == run("print('one'); print('two', end=''); logs.flush(); os._exit(0)")

    def test_print_is_so_in_the_process_of_awss_client_as_well(
        self, run: Callable[..., str]
    ) -> None:
        code = (
            "from awslambdaric.bootstrap import Unbuffered\n"
            "sys.stdout = Unbuffered(Unbuffered(sys.stdout))\n"
            "logs.set_up(taken_over=True)\n"
            "print('one'); print('two', end=''); os._exit(0)"
        )
        assert "one\n" == run(code)

    def test_context_log_writes_the_text_as_it_is(self, run: Callable[..., str]) -> None:
        code = "context.LambdaContext(invocation).log('a\\nb')\n"
        assert "a\nb" == run(code)
