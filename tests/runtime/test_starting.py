"""The ways in: asking for the handler, the command, and the scripts for wrapper and bootstrap."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from penstock.adapter import runtime

if TYPE_CHECKING:
    from pathlib import Path

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
