"""The ways in: asking for the handler, the command, and the scripts for wrapper and bootstrap."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from penstock.adapter import runtime

ROOT = Path(__file__).parents[2]
API = "127.0.0.1:9"


class TestAskingForTheHandler:
    """Only AWS's client may start the runtime by it; to anybody else, it is not there."""

    def test_outside_of_lambda(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_LAMBDA_RUNTIME_API", raising=False)
        assert not hasattr(runtime, "handler")
        with pytest.raises(AttributeError, match="AWS_LAMBDA_RUNTIME_API is set"):
            _ = runtime.handler

    def test_in_another_thread(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", API)
        problems: list[str] = []

        def ask() -> None:
            try:
                _ = runtime.handler
            except AttributeError as error:
                problems.append(str(error))

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        assert ["main thread only" in problem for problem in problems] == [True]

    def test_inside_of_the_runtime_itself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", API)
        monkeypatch.setattr(runtime, "running", True)
        with pytest.raises(AttributeError, match="already"):
            _ = runtime.handler

    def test_other_names_are_plain_errors(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", API)
        with pytest.raises(AttributeError, match="has no attribute 'app'"):
            _ = runtime.app

    def test_nothing_is_raised_into_awss_client(self) -> None:
        """It would take an AttributeError for a handler that is missing."""
        code = "import penstock.adapter.runtime as r\ntry: r.handler\nfinally: print('came back')"
        done = run(sys.executable, "-c", code, AWS_LAMBDA_RUNTIME_API="nonsense")
        assert (1, "") == (done.returncode, done.stdout)
        assert "AWS_LAMBDA_RUNTIME_API='nonsense': expected host:port" in done.stderr

    def test_the_import_is_light(self) -> None:
        """AWS's client imports the module before it asks; other uses should cost nothing."""
        code = (
            "import penstock.adapter, sys; before = set(sys.modules);"
            "import penstock.adapter.runtime; print(*set(sys.modules) - before)"
        )
        assert "penstock.adapter.runtime\n" == run(sys.executable, "-c", code).stdout


def run(
    *command: str, folder: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


class TestCommand:
    """``python -m penstock.adapter.runtime``."""

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run(sys.executable, "-m", "penstock.adapter.runtime", *arguments)

    def test_without_a_runtime_api_it_says_so(self) -> None:
        done = self.command("app:app")
        assert 2 == done.returncode
        assert "expected AWS_LAMBDA_RUNTIME_API=host:port" in done.stderr
        assert "Traceback" not in done.stderr

    def test_help(self) -> None:
        done = self.command("--help")
        assert 0 == done.returncode
        for word in ("TARGET", "--factory", "--write-exec", "--write-bootstrap"):
            assert word in done.stdout

    @pytest.mark.parametrize("arguments", [("a:b", "c:d"), ("--nonsense",), ("--factory", "-x")])
    def test_wrong_arguments(self, arguments: tuple[str, ...]) -> None:
        done = self.command(*arguments)
        assert 2 == done.returncode
        assert "usage: python -m penstock.adapter.runtime" in done.stderr

    @pytest.mark.parametrize("script", ["exec", "bootstrap"])
    def test_the_scripts_are_written_ready_to_run(self, script: str, tmp_path: Path) -> None:
        file = tmp_path / "script"
        done = self.command(f"--write-{script}", str(file))
        assert (0, "") == (done.returncode, done.stderr)
        assert file.read_bytes().startswith(b"#!/bin/sh\n")
        assert b"\r" not in file.read_bytes()
        assert 0o111 == stat.S_IMODE(file.stat().st_mode) & 0o111


@pytest.mark.skipif(sys.platform == "win32", reason="shell scripts, for Lambda's Linux")
class TestScripts:
    """The wrapper for managed runtimes, and the bootstrap of ``provided.al2023``."""

    @pytest.fixture
    def scripts(self, tmp_path: Path) -> Path:
        for name in ("exec", "bootstrap"):
            run(
                *(sys.executable, "-m", "penstock.adapter.runtime"),
                *(f"--write-{name}", str(tmp_path / name)),
            )
        return tmp_path

    def test_the_wrapper_starts_the_interpreter_that_lambda_names(self, scripts: Path) -> None:
        command = (str(scripts / "exec"), sys.executable, "/var/runtime/bootstrap.py")
        done = run(*command, folder=scripts)
        assert 2 == done.returncode
        assert "expected AWS_LAMBDA_RUNTIME_API=host:port" in done.stderr

    def test_the_bootstrap_takes_the_python_that_it_is_given(self, scripts: Path) -> None:
        done = run(
            str(scripts / "bootstrap"),
            LAMBDA_TASK_ROOT=str(scripts),
            PENSTOCK_PYTHON=sys.executable,
        )
        assert 2 == done.returncode
        assert "expected AWS_LAMBDA_RUNTIME_API=host:port" in done.stderr

    def test_the_bootstrap_takes_the_python_of_the_function(self, scripts: Path) -> None:
        own = scripts / "python" / "bin" / "python3"
        own.parent.mkdir(parents=True)
        own.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        own.chmod(0o755)
        done = run(str(scripts / "bootstrap"), LAMBDA_TASK_ROOT=str(scripts))
        assert "expected AWS_LAMBDA_RUNTIME_API=host:port" in done.stderr

    def test_the_bootstrap_without_a_python_says_so(self, scripts: Path) -> None:
        done = run(*("/bin/sh", str(scripts / "bootstrap")), PATH="", LAMBDA_TASK_ROOT=str(scripts))
        assert 127 == done.returncode
        assert "expected a Python in" in done.stderr


LAYER = """
set -e
mount -t tmpfs tmpfs /opt
mkdir -p "/opt/$1/penstock"
cp -R "$2" "/opt/$1/penstock/adapter"
shift 2
exec "$@"
"""


def can_mount() -> bool:
    """Whether a test can have an /opt of its own, without hiding the Python that it runs."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return is_root and shutil.which("unshare") is not None and "/opt/" not in BASE_PYTHON


BASE_PYTHON = str(getattr(sys, "_base_executable", sys.executable))
"""The Python outside of the virtual environment, where penstock is not installed."""


@pytest.mark.skipif(not can_mount(), reason="needs root and unshare, for a layer at /opt")
@pytest.mark.parametrize("folder", ["python", "python/lib/python{}.{}/site-packages"])
@pytest.mark.parametrize("script", ["exec", "bootstrap"])
def test_the_scripts_find_penstock_in_a_layer(script: str, folder: str, tmp_path: Path) -> None:
    file = tmp_path / script
    run(sys.executable, "-m", "penstock.adapter.runtime", f"--write-{script}", str(file))
    place = folder.format(*sys.version_info)
    layer = ("unshare", "--mount", "sh", "-c", LAYER, "sh", place, str(ROOT / "adapter"))
    by_lambda = (BASE_PYTHON,) if script == "exec" else ()
    variables = {"PENSTOCK_PYTHON": BASE_PYTHON, "LAMBDA_TASK_ROOT": str(tmp_path)}
    done = run(*layer, str(file), *by_lambda, folder=tmp_path, **variables)
    assert (2, True) == (done.returncode, "AWS_LAMBDA_RUNTIME_API" in done.stderr), done.stderr
