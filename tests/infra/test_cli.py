"""The ``penstock`` command: what it prints, and what it says when it cannot."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from penstock.infra.cli import main
from penstock.infra.gateway import SOURCES, TRIGGERS, read_answer
from penstock.infra.invoke import EXTRAS

APP = """
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": message["type"] + ".complete"})
                if message["type"] == "lifespan.shutdown":
                    print("shut down")
                    return
        message = await receive()
        headers = [(b"content-type", b"text/plain"), (b"x-path", scope["raw_path"])]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        greeting = b"gr\\xc3\\xbc\\xc3\\x9fe " + message["body"]
        await send({"type": "http.response.body", "body": greeting})
"""


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run_command(*arguments: str) -> Result:
        code = main(arguments)
        return Result(code, *capsys.readouterr())

    return run_command


@pytest.fixture
def module(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], str]:
    """Write a module into the current folder; its name is its own, since imports are kept."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(source: str) -> str:
        name = f"module_{abs(hash(request.node.nodeid))}"
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source), encoding="utf-8")
        return name

    return write


class TestEvent:
    @pytest.mark.parametrize("source", [*SOURCES, *TRIGGERS])
    def test_every_source_has_a_sample(self, run: Run, source: str) -> None:
        result = run("event", source)
        assert (0, "") == (result.code, result.err)
        assert isinstance(result.json, dict)

    def test_the_request_is_what_the_options_say(self, run: Run) -> None:
        options = ("--method", "put", "--path", "/a b", "--query", "x=1&y=ü")
        headers = ("--header", "X-A: 1:2", "--cookie", "a=1", "--cookie", "b=2")
        more = ("--data", '{"a": "ü"}', "--stage", "dev", "--domain", "api.example.com")
        event = run("event", "http-api", *options, *headers, *more).json
        assert "PUT" == event["requestContext"]["http"]["method"]
        assert "/dev/a b" == event["rawPath"]
        assert "x=1&y=%C3%BC" == event["rawQueryString"]
        assert ["a=1", "b=2"] == event["cookies"]
        assert "1:2" == event["headers"]["x-a"]
        assert "application/json" == event["headers"]["content-type"]
        assert '{"a": "ü"}' == event["body"]
        assert "api.example.com" == event["requestContext"]["domainName"]

    def test_the_path_may_bring_the_query(self, run: Run) -> None:
        assert "a=1" == run("event", "function-url", "--path", "/?a=1").json["rawQueryString"]

    @pytest.mark.parametrize("options", [("--data", "@body.png"), ("--data-file", "body.png")])
    def test_bodies_come_from_files(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "body.png").write_bytes(b"\xff")
        event = run("event", "alb", *options).json
        assert ("/w==", "image/png", "POST") == (
            event["body"],
            event["headers"]["content-type"],
            event["httpMethod"],
        )

    def test_text_is_text_unless_a_header_says_otherwise(self, run: Run) -> None:
        plain = run("event", "alb", "--data", "hi").json
        assert "text/plain; charset=utf-8" == plain["headers"]["content-type"]
        typed = run("event", "alb", "--data", "hi", "--header", "content-type: text/csv").json
        assert "text/csv" == typed["headers"]["content-type"]

    def test_triggers_have_a_record_for_each_data(self, run: Run) -> None:
        event = run("event", "sqs", "--data", "one", "--data", "two").json
        assert ["one", "two"] == [record["body"] for record in event["Records"]]
        assert {"a": 1} == run("event", "eventbridge", "--data", '{"a": 1}').json["detail"]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("alb", "--stage", "prod"), "alb has no stages"),
            (("sqs", "--path", "/"), "--path"),
            (("eventbridge", "--data", "1"), "JSON objects"),
            (("eventbridge", "--data", "text"), "JSON objects as --data of eventbridge"),
            (("dynamodb", "--data", "{"), "JSON objects as --data of dynamodb"),
            (("sns", "--data", "a", "--data", "b"), "one item"),
            (("alb", "--header", "no colon"), "'Name: value'"),
            (("alb", "--header", "a b: c"), "'Name: value'"),
            (("alb", "--header", "a: b\nc: d"), "'Name: value'"),
            (("alb", "--method", "GET /"), "an HTTP method"),
            (("alb", "--data", "a", "--data", "b"), "one --data"),
            (("alb", "--data", "@missing"), "missing"),
            (("alb", "--path", "/?a", "--query", "b"), "got both"),
            (("alb", "--path", "x"), "begins with '/'"),
        ],
    )
    def test_what_makes_no_sense_is_one_line(
        self, run: Run, arguments: tuple[str, ...], message: str
    ) -> None:
        result = run("event", *arguments)
        assert (2, "", 1) == (result.code, result.out, result.err.count("\n"))
        assert result.err.startswith("penstock: ")
        assert message in result.err

    def test_websockets_are_not_offered(self, run: Run) -> None:
        assert "websocket" not in run("event", "--help").out
        assert 2 == run("event", "websocket").code


class TestInvoke:
    @pytest.mark.parametrize("source", SOURCES)
    def test_an_application_answers_every_front_door(
        self, run: Run, module: Callable[[str], str], tmp_path: Path, source: str
    ) -> None:
        name = module(APP)
        (tmp_path / "event.json").write_text(
            run("event", source, "--path", "/a%20b", "--data", "Welt").out, encoding="utf-8"
        )
        result = run("invoke", f"{name}:app", "--event", "event.json")
        assert (0, "") == (result.code, result.err)
        assert "shut down\n" == result.out[: len("shut down\n")]
        answer = json.loads(result.out.removeprefix("shut down\n"))
        response = read_answer(source, answer)
        assert "grüße Welt" == response.body.decode()
        assert "grüße" in result.out

    def test_events_come_from_standard_input(
        self, run: Run, module: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        name = module("def handler(event, context): return event")
        monkeypatch.setattr(sys, "stdin", io.StringIO('{"ü": 1}'))
        assert {"ü": 1} == run("invoke", f"{name}.handler", "--event", "-").json

    def test_events_are_made_on_the_fly(self, run: Run, module: Callable[[str], str]) -> None:
        name = module("async def handler(event, context): return event['path']")
        assert "/x" == run("invoke", f"{name}:handler", "--source", "alb", "--path", "/x").json

    def test_an_adapter_is_used_as_it_is(self, run: Run, module: Callable[[str], str]) -> None:
        name = module(
            f"from penstock.adapter import LambdaAdapter\n{textwrap.dedent(APP)}\n"
            "handler = LambdaAdapter(app, exclude_headers=['x-path'])"
        )
        result = run("invoke", f"{name}:handler", "--source", "http-api")
        assert "x-path" not in result.out
        assert "shut down" in result.out

    def test_a_factory_is_called(self, run: Run, module: Callable[[str], str]) -> None:
        name = module("def make():\n    return lambda event, context: 'made'")
        assert "made" == run("invoke", f"{name}:make", "--factory", "--source", "alb").json

    def test_a_factory_that_is_not_called_is_pointed_out(
        self, run: Run, module: Callable[[str], str]
    ) -> None:
        name = module("def make():\n    return lambda event, context: 'made'")
        result = run("invoke", f"{name}:make", "--source", "alb")
        assert (2, "", 1) == (result.code, result.out, result.err.count("\n"))
        assert "with --factory" in result.err

    def test_the_context_is_lambdas(self, run: Run, module: Callable[[str], str]) -> None:
        name = module(
            """
            def handler(event, context):
                return [
                    context.get_remaining_time_in_millis(),
                    context.aws_request_id,
                    context.function_name,
                    context.invoked_function_arn,
                    context.memory_limit_in_mb,
                ]
            """
        )
        left, *texts = run("invoke", f"{name}:handler", "--source", "alb", "--timeout", "5").json
        assert 4_000 < left <= 5_000
        assert all(isinstance(text, str) and text for text in texts)

    def test_other_events_need_a_path(self, run: Run, module: Callable[[str], str]) -> None:
        name = module(
            """
            async def app(scope, receive, send):
                assert scope["type"] == "http", "no lifespan here"
                body = ('{"path": "%s"}' % scope["path"]).encode()
                headers = [(b"content-type", b"application/json")]
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                await send({"type": "http.response.body", "body": body})
            """
        )
        refused = run("invoke", f"{name}:app", "--source", "sqs")
        assert (1, 1) == (refused.code, refused.err.count("\n"))
        assert "events_path" in refused.err
        passed = run("invoke", f"{name}:app", "--source", "sqs", "--events-path", "/jobs")
        assert {"path": "/jobs"} == passed.json

    def test_a_failing_handler_is_shown(self, run: Run, module: Callable[[str], str]) -> None:
        name = module("def handler(event, context):\n    raise KeyError('gone')")
        result = run("invoke", f"{name}:handler", "--source", "alb")
        assert (1, "") == (result.code, result.out)
        assert result.err.endswith("penstock: the function raised KeyError: 'gone'\n")
        assert "raise KeyError('gone')" in result.err
        assert "invoke.py" not in result.err

    def test_a_result_that_is_not_json_fails(self, run: Run, module: Callable[[str], str]) -> None:
        name = module("def handler(event, context): return object()")
        result = run("invoke", f"{name}:handler", "--source", "alb")
        assert 1 == result.code
        assert "JSON can hold" in result.err


class TestScope:
    def test_it_is_json_without_the_target(self, run: Run) -> None:
        result = run("invoke", "missing:app", "--scope", "--source", "alb", "--path", "/a%20b?c")
        scope = result.json
        assert ("http", "/a b", "/a%20b", "c=") == (
            scope["type"],
            scope["path"],
            scope["raw_path"],
            scope["query_string"],
        )
        assert ["x-forwarded-port", "443"] in scope["headers"]
        assert set() == {"aws.event", "aws.context", "state"} & set(scope)

    def test_other_events_have_one_too(self, run: Run) -> None:
        arguments = ("invoke", "--scope", "--source", "schedule", "--events-path", "/cron")
        assert "/cron" == run(*arguments).json["path"]

    def test_an_event_without_a_request_has_none(self, run: Run, tmp_path: Path) -> None:
        event = tmp_path / "event.json"
        event.write_text('{"httpMethod": "GET", "path": "/", "body": "!", "isBase64Encoded": true}')
        result = run("invoke", "--scope", "--event", str(event))
        assert 1 == result.code
        assert "expected an event with a request in it" in result.err


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("nowhere:app", "--event", "missing.json"), "missing.json"),
            (("nowhere:app", "--event", "bad.json"), "expected JSON in bad.json"),
            (("nowhere:app", "--source", "alb"), "expected a module nowhere in "),
            (("no.where:app", "--source", "alb"), "expected a module no.where in "),
            (("json:nothing", "--source", "alb"), "expected 'nothing' in module json"),
            (("json:__name__", "--source", "alb"), "Lambda handler, got str"),
            (("app", "--source", "alb"), "module:attribute"),
            (("--source", "alb"), "expected a TARGET"),
            (("a:b", "--event", "bad.json", "--path", "/"), "--path with --source only"),
            (("json:loads", "--source", "alb", "--events-path", "x"), "events_path='x'"),
        ],
    )
    def test_problems_are_one_line(
        self,
        run: Run,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        arguments: tuple[str, ...],
        message: str,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "path", list(sys.path))
        (tmp_path / "bad.json").write_text("{")
        result = run("invoke", *arguments)
        assert (2, "", 1) == (result.code, result.out, result.err.count("\n"))
        assert message in result.err

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("1 / 0", "to import, got ZeroDivisionError: division by zero"),
            ("def broken(:", "to import, got SyntaxError"),
            ("raise SystemExit('stop')", "to import, got SystemExit: stop"),
            ("import no_such_module", "No module named 'no_such_module'"),
        ],
    )
    def test_a_failing_import_shows_its_own_traceback(
        self, run: Run, module: Callable[[str], str], source: str, message: str
    ) -> None:
        name = module(source)
        result = run("invoke", f"{name}:app", "--source", "alb")
        assert 2 == result.code
        assert f"penstock: expected module {name} to import" in result.err.splitlines()[-1]
        assert message in result.err.splitlines()[-1]
        assert f"{name}.py" in result.err
        assert "invoke.py" not in result.err
        assert "importlib" not in result.err

    def test_a_failing_factory_shows_its_own_traceback(
        self, run: Run, module: Callable[[str], str]
    ) -> None:
        name = module("def make():\n    raise OSError('no database')")
        result = run("invoke", f"{name}:make", "--factory", "--source", "alb")
        assert 2 == result.code
        assert "OSError: no database" in result.err.splitlines()[-1]
        assert "in make" in result.err

    def test_a_missing_extra_is_named(
        self, run: Run, module: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "mangum", None)
        name = module("raise ModuleNotFoundError(\"No module named 'mangum'\", name='mangum')")
        result = run("invoke", f"{name}:app", "--source", "alb")
        assert "pip install 'penstock[mangum]'" in result.err

    def test_the_extras_are_those_of_the_project(self) -> None:
        project = Path(__file__).parents[2] / "pyproject.toml"
        extras = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
        assert set() == set(EXTRAS.values()) - set(extras["optional-dependencies"])

    @pytest.mark.parametrize("arguments", [(), ("nothing",), ("invoke", "a:b"), ("event",)])
    def test_an_incomplete_command_is_an_error(self, run: Run, arguments: tuple[str, ...]) -> None:
        result = run(*arguments)
        assert (2, "") == (result.code, result.out)
        assert "usage: penstock" in result.err

    @pytest.mark.parametrize("seconds", ["0", "-1", "nan", "901", "soon"])
    def test_a_timeout_is_one_that_lambda_has(self, run: Run, seconds: str) -> None:
        result = run("invoke", "a:b", "--source", "alb", "--timeout", seconds)
        assert (2, "") == (result.code, result.out)
        assert f"expected seconds, 900 at most, got '{seconds}'" in result.err

    def test_help_and_version(self, run: Run) -> None:
        assert 0 == run("--help").code
        version = run("--version")
        assert 0 == version.code
        assert version.out.startswith("penstock ")

    def test_help_imports_no_adapter_and_no_event_loop(self) -> None:
        script = (
            "import sys; from penstock.infra.cli import main; main(['--help']);"
            "sys.exit(','.join({'asyncio', 'penstock.adapter'} & sys.modules.keys()))"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], check=False, capture_output=True, text=True
        )
        assert "" == done.stderr.strip()
