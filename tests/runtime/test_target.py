"""What the runtime runs: how it is named, found, imported and sorted, and what can go wrong."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from penstock.adapter import LambdaAdapter, event_loop
from penstock.adapter.errors import Fault
from penstock.adapter.runtime.reports import Report
from penstock.adapter.runtime.target import TAKEOVER, load

if sys.platform != "linux":
    pytest.skip("AWS's client is for Linux only", allow_module_level=True)

from awslambdaric.bootstrap import _get_handler
from awslambdaric.lambda_runtime_exception import FaultException

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Write = Callable[[str], None]

APP = """
from penstock.adapter import LambdaAdapter

async def app(scope, receive, send): ...
def handler(event, context): ...
async def async_handler(event, context): ...
def handler_with_more(event, context, extra=None): ...
def make_app(): return app
class Framework:
    async def __call__(self, scope, receive, send): ...
class Handler:
    async def __call__(self, event, context): ...
class group:
    handler = Handler()
framework = Framework()
adapter = LambdaAdapter(app)
number = 42
def one(event): ...
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Write the code of module ``made_app``, which nothing else imports."""
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("PENSTOCK_APP", "PENSTOCK_FACTORY", "_HANDLER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(event_loop.process_loop, "reserved", False, raising=False)
    before = set(sys.modules)

    def write(code: str) -> None:
        for name in set(sys.modules) - before:
            if name.startswith("made_app"):
                del sys.modules[name]
        importlib.invalidate_caches()
        (tmp_path / "made_app.py").write_text(code)

    write(APP)
    yield write
    write("")


def stack_of(error: BaseException) -> list[str]:
    """Return the stack as it is reported, without the test, which the runtime has not."""
    tests = (__file__,)
    while error.__traceback__ and error.__traceback__.tb_frame.f_code.co_filename in tests:
        error.__traceback__ = error.__traceback__.tb_next
    trace: list[str] = Report(error).details["stackTrace"]
    return trace


class TestNames:
    """Command line, then PENSTOCK_APP, then _HANDLER."""

    def test_precedence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("_HANDLER", "made_app.handler")
        assert "handler" == load().handler.__name__
        monkeypatch.setenv("PENSTOCK_APP", "made_app:async_handler")
        assert "async_handler" == load().handler.__name__
        assert "adapter" == load("made_app:framework").kind

    @pytest.mark.parametrize(
        "name",
        ["made_app:group.handler", "made_app.handler", "made_app:handler"],
    )
    def test_forms(self, name: str) -> None:
        assert callable(load(name).handler)

    def test_slashes_are_dots(self, tmp_path: Path) -> None:
        (tmp_path / "made_app_package").mkdir()
        (tmp_path / "made_app_package" / "module.py").write_text(APP)
        assert "sync" == load("made_app_package/module.handler").kind

    @pytest.mark.parametrize(
        "handler",
        [
            None,
            "",
            TAKEOVER,
            "penstock/adapter/runtime.handler",
            "penstock.adapter.runtime:handler",
        ],
    )
    def test_the_takeover_itself_is_no_target(
        self, handler: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if handler is not None:
            monkeypatch.setenv("_HANDLER", handler)
        with pytest.raises(Fault, match="PENSTOCK_APP=app:app") as raised:
            load()
        assert "Runtime.MalformedHandlerName" == raised.value.kind

    @pytest.mark.parametrize("name", ["made_app", ":app", "made_app:", ".app", "a..", "/a.b"])
    def test_malformed(self, name: str) -> None:
        with pytest.raises(Fault, match="Bad handler") as raised:
            load(name)
        assert "Runtime.MalformedHandlerName" == raised.value.kind


class TestKinds:
    """Each kind of target is told by its signature."""

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("app", "adapter"),
            ("framework", "adapter"),
            ("adapter", "adapter"),
            ("handler", "sync"),
            ("handler_with_more", "sync"),
            ("async_handler", "async"),
            ("group.handler", "async"),
        ],
    )
    def test_kinds(self, name: str, kind: str) -> None:
        target = load(f"made_app:{name}")
        assert kind == target.kind
        assert isinstance(target.handler, LambdaAdapter) == (kind == "adapter")

    @pytest.mark.parametrize("framework", ["fastapi", "starlette", "django", "litestar", "quart"])
    def test_applications_of_frameworks(self, framework: str, module: Write) -> None:
        made = {
            "fastapi": "from fastapi import FastAPI\napp = FastAPI()",
            "starlette": "from starlette.applications import Starlette\napp = Starlette()",
            "django": (
                "from django.conf import settings\n"
                "if not settings.configured: settings.configure()\n"
                "from django.core.asgi import get_asgi_application\napp = get_asgi_application()"
            ),
            "litestar": "from litestar import Litestar\napp = Litestar()",
            "quart": "from quart import Quart\napp = Quart(__name__)",
        }
        module(made[framework])
        target = load("made_app:app")
        assert "adapter" == target.kind

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            ("handler = functools.partial(lambda extra, event, context: 1, 2)", "sync"),
            (
                (
                    "def wrap(f):\n"
                    "    @functools.wraps(f)\n"
                    "    def wrapped(*args, **kwargs): return f(*args, **kwargs)\n"
                    "    return wrapped\n"
                    "@wrap\n"
                    "async def handler(scope, receive, send): ..."
                ),
                "adapter",
            ),
            (
                (
                    "async def configured(config, scope, receive, send): ...\n"
                    "handler = functools.partial(configured, {})"
                ),
                "adapter",
            ),
            ("def handler(*args): ...", "sync"),
            ("handler = print", "sync"),
        ],
    )
    def test_wrapped_ones(self, code: str, kind: str, module: Write) -> None:
        module(f"import functools\n{code}")
        assert kind == load("made_app:handler").kind

    def test_a_factory_is_called(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert "adapter" == load("made_app:make_app", factory=True).kind
        monkeypatch.setenv("PENSTOCK_FACTORY", "1")
        assert "adapter" == load("made_app:make_app").kind

    def test_adapters_made_by_the_module_are_left_to_the_runtime(
        self, module: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Middleware below the adapter is still accepted, so nothing has been started yet."""
        monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9")
        module(
            "from penstock.adapter import LambdaAdapter\n"
            "events = []\n"
            "async def app(scope, receive, send): events.append(scope['type'])\n"
            "handler = LambdaAdapter(app)"
        )
        load("made_app:handler")
        assert [] == importlib.import_module("made_app").events


class TestFaults:
    """Errors have Lambda's types, and say as much as from AWS's client, or more."""

    def fault(self, name: str, **options: Any) -> Fault:
        with pytest.raises(Fault) as raised:
            load(name, **options)
        return raised.value

    @pytest.mark.parametrize(
        ("name", "code"),
        [
            ("made_app.missing", APP),
            ("made_app.handler", "import not_there_at_all"),
            ("not_there_at_all.handler", APP),
            ("made_app.handler", "def handler(:\n  pass"),
            ("sys.handler", APP),
        ],
    )
    def test_as_from_awslambdaric(self, name: str, code: str, module: Write) -> None:
        module(code)
        with pytest.raises(FaultException) as theirs:
            _get_handler(name)
        ours = self.fault(name)
        assert theirs.value.exception_type == ours.kind
        assert theirs.value.msg == str(ours)
        assert (theirs.value.trace or []) == (ours.trace or [])

    def test_an_import_that_fails_deep_inside_is_located(self, module: Write) -> None:
        module("def connect():\n    import not_there_at_all\nconnect()")
        trace = stack_of(self.fault("made_app.handler"))
        assert "made_app.py" in trace[0]
        assert "in connect" in trace[1]

    def test_what_the_module_raises_comes_through(self, module: Write) -> None:
        module("raise LookupError('no such table')")
        with pytest.raises(LookupError) as raised:
            load("made_app.handler")
        assert "Function.LookupError" == Report(raised.value).type
        assert "made_app.py" in stack_of(raised.value)[0]

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("number", "expected an ASGI application, a LambdaAdapter or a handler, got int: 42"),
            ("one", "scope, receive, send"),
        ],
    )
    def test_what_cannot_be_run(self, name: str, expected: str) -> None:
        fault = self.fault(f"made_app:{name}")
        assert "Runtime.HandlerNotFound" == fault.kind
        assert expected in str(fault)
        assert f"'{name}' on module 'made_app'" in str(fault)

    def test_a_factory_that_is_none(self) -> None:
        assert "a callable without arguments" in str(self.fault("made_app:number", factory=True))

    def test_what_a_factory_returned(self, module: Write) -> None:
        module("def make(): return 7")
        assert "what factory 'make'" in str(self.fault("made_app:make", factory=True))


class TestPaths:
    """Started directly, the process finds modules in the order of the managed runtimes."""

    def paths(self, folder: Path, **environment: str) -> list[str]:
        code = (
            "import os, sys\n"
            "from penstock.adapter.runtime.target import set_paths\n"
            "set_paths()\n"
            "print(*sys.path, os.getcwd(), sep='\\n')"
        )
        return subprocess.run(
            [sys.executable, "-c", code],
            env={"PATH": os.environ["PATH"], **environment},
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout.splitlines()

    def test_the_functions_folder_then_the_layers_then_the_rest(self, tmp_path: Path) -> None:
        task, runtime, elsewhere = tmp_path / "task", tmp_path / "runtime", tmp_path / "elsewhere"
        for folder in (task, runtime, elsewhere, task / "more"):
            folder.mkdir()
        (task / "made.pth").write_text(f"{task / 'more'}\n")
        paths = self.paths(elsewhere, LAMBDA_TASK_ROOT=str(task), LAMBDA_RUNTIME_DIR=str(runtime))
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        layers = [f"/opt/python/lib/python{version}/site-packages", "/opt/python"]
        assert [str(task), *layers] == paths[:3]
        assert str(runtime) in paths
        assert str(task / "more") in paths
        assert str(elsewhere) not in paths
        assert "" not in paths
        assert str(task) == paths[-1]

    def test_processes_of_the_function_find_the_packages_of_the_runtime(
        self, tmp_path: Path
    ) -> None:
        code = (
            "import os; from penstock.adapter.runtime.target import set_paths\n"
            "set_paths(); print(os.environ['PYTHONPATH'])"
        )
        for given, expected in (({}, tmp_path), ({"PYTHONPATH": "/own"}, "/own")):
            done = subprocess.run(
                [sys.executable, "-c", code],
                env={"PATH": os.environ["PATH"], "LAMBDA_RUNTIME_DIR": str(tmp_path), **given},
                check=True,
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert f"{expected}\n" == done.stdout

    def test_a_pythonpath_leaves_the_layers_to_it(self, tmp_path: Path) -> None:
        paths = self.paths(tmp_path, LAMBDA_TASK_ROOT=str(tmp_path), PYTHONPATH="/somewhere")
        assert [str(tmp_path), "/somewhere"] == paths[:2]
        assert "/opt/python" not in paths

    @pytest.mark.parametrize("task", ["task", "missing"])
    def test_an_image_keeps_its_working_directory(self, tmp_path: Path, task: str) -> None:
        """Its code may be there: Lambda sets LAMBDA_TASK_ROOT whatever the image has."""
        (tmp_path / "task").mkdir()
        folder = tmp_path / "function"
        folder.mkdir()
        (folder / "app.py").write_text(
            "import os, sys\nprint(os.getcwd(), file=sys.stderr)\nraise SystemExit(3)\n"
        )
        done = subprocess.run(
            [sys.executable, "-m", "penstock.adapter.runtime", "app:app"],
            env={
                "PATH": os.environ["PATH"],
                "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9",
                "LAMBDA_TASK_ROOT": str(tmp_path / task),
            },
            cwd=folder,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode != 0
        assert str(folder) in done.stderr.splitlines()

    def test_outside_of_lambda_the_current_folder_stays_first(self, tmp_path: Path) -> None:
        assert "" in self.paths(tmp_path)[:3]
