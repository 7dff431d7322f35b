"""Error reports: what Lambda's console shows, within the limits of what Lambda takes."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.adapter import LifespanError
from penstock.adapter.errors import Fault
from penstock.adapter.lifespan import Lifespan
from penstock.adapter.runtime import logs
from penstock.adapter.runtime.reports import CAUSE_BYTES, Report

if sys.platform != "linux":
    pytest.skip("AWS's client is for Linux only", allow_module_level=True)

from awslambdaric import bootstrap as aws

if TYPE_CHECKING:
    from collections.abc import Callable

# What the emulator, and with it Lambda, keeps of an error type.
TYPE = re.compile(r"(Runtime|Function)\.[A-Z][a-zA-Z]+")


def caught(call: Callable[[], Any]) -> BaseException:
    try:
        call()
    except BaseException as error:
        return error
    raise AssertionError("it raised nothing")


def fail(message: str = "no way") -> None:
    raise ValueError(message)


def test_it_is_as_awslambdarics_own() -> None:
    error = caught(lambda: fail("Crème \N{CUSTARD}\nline two"))
    try:
        raise error
    except ValueError:
        theirs = aws.build_fault_result(sys.exc_info(), None)
    theirs["requestId"] = "an-id"
    ours = json.loads(Report(error, "an-id").body)
    # Theirs was caught once more, here.
    assert theirs["stackTrace"][-2:] == ours["stackTrace"][-2:]
    theirs["stackTrace"] = ours["stackTrace"]
    assert theirs == ours
    assert list(theirs) == list(ours)


def test_the_log_has_it_as_from_awslambdaric(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(caught(fail), "an-id")
    aws.log_error(report.details, aws.StandardLogSink())
    theirs = capsys.readouterr().out
    logs.log_report(report)
    assert theirs == capsys.readouterr().out
    assert 1 == theirs.count("\n")


def test_the_cause_is_xrays() -> None:
    report = Report(caught(fail))
    assert report.cause is not None
    cause = json.loads(report.cause)
    assert {"working_directory", "exceptions", "paths"} == cause.keys()
    (exception,) = cause["exceptions"]
    assert ("ValueError", "no way") == (exception["type"], exception["message"])
    assert "fail" == exception["stack"][-1]["label"]
    assert __file__ in cause["paths"]
    assert all(frame["path"] in cause["paths"] for frame in exception["stack"])


def test_the_cause_is_as_awslambdarics_own() -> None:
    error = caught(fail)
    stack = aws.extract_traceback(error.__traceback__)
    theirs = aws.make_xray_fault("ValueError", "no way", str(Path.cwd()), stack)
    ours = json.loads(Report(error).cause or "")
    theirs["paths"].sort()
    assert theirs == ours


def test_the_exceptions_behind_it_are_told_too() -> None:
    def start() -> None:
        try:
            fail("the database is away")
        except ValueError as error:
            raise LifespanError("start-up failed") from error

    report = Report(caught(start))
    trace = "".join(report.details["stackTrace"])
    assert "start-up failed" == report.details["errorMessage"]
    assert "Caused by ValueError: the database is away\n" in trace
    assert "raise ValueError(message)" in trace
    assert ["LifespanError", "ValueError"] == [
        exception["type"] for exception in json.loads(report.cause or "")["exceptions"]
    ]


def test_the_members_of_a_group_are_told() -> None:
    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(fail, "one"))

    report = Report(caught(lambda: asyncio.run(main())))
    trace = "".join(report.details["stackTrace"])
    assert "Function.ExceptionGroup" == report.type
    assert "Member of the group: ValueError: one\n" in trace
    assert "raise ValueError(message)" in trace


def test_a_circle_of_causes_ends() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert 1 == len(Report(one).details["stackTrace"])


def test_frames_of_ours_and_of_asyncio_do_not_stand_before_the_users() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        fail("in start-up")

    async def start() -> None:
        await Lifespan(app, "on").startup()

    error = caught(lambda: asyncio.run(start()))
    assert isinstance(error.__cause__, ValueError)
    first = Report(error.__cause__).details["stackTrace"][0]
    assert __file__ in first
    assert "in app" in first


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ValueError", "Function.ValueError"),
        ("my_error2", "Function.Myerror"),
        ("E", "Function.Unknown"),
        ("Fehlerübung", "Function.Fehlerbung"),
        ("_1", "Function.Unknown"),
    ],
)
def test_the_type_fits_lambdas_pattern(name: str, expected: str) -> None:
    report = Report(type(name, (Exception,), {})())
    assert expected == report.type
    assert name == report.details["errorType"]


def test_a_fault_has_lambdas_own_type_and_its_own_trace() -> None:
    report = Report(Fault("Runtime.UserCodeSyntaxError", "Syntax error", ['  File "x" Line 1\n']))
    assert "Runtime.UserCodeSyntaxError" == report.type == report.details["errorType"]
    assert ['  File "x" Line 1\n'] == report.details["stackTrace"]


def test_an_error_whose_text_cannot_be_made() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "RuntimeError" in Report(Broken()).details["errorMessage"]


def test_endless_recursion_is_cut_in_the_middle() -> None:
    def one() -> None:
        other()

    def other() -> None:
        one()

    report = Report(caught(one))
    trace = report.details["stackTrace"]
    assert 201 == len(trace)
    assert "entries left out" in trace[100]
    assert len(report.body) < 256 * 1024


@given(st.text(), st.integers(1, 40_000))
def test_any_message_fits(text: str, times: int) -> None:
    report = Report(caught(lambda: fail(text * times)), "an-id")
    assert TYPE.fullmatch(report.type)
    assert len(report.body) < 256 * 1024
    assert "stackTrace" in json.loads(report.body)
    assert report.cause is not None
    assert len(report.cause) <= CAUSE_BYTES
    assert report.cause.isascii()
    assert report.cause.isprintable()
