"""``python -m penstock.infra.runtime_api``: addresses on standard output, the log on the other."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from penstock.infra.runtime_api.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

APP = """
import os
def handler(event, context):
    print("tea", event)
    return os.environ["TEA"]
"""


@pytest.mark.parametrize("quiet", [False, True])
def test_it_serves_until_it_is_told_to_stop(app: Callable[[str], Path], quiet: bool) -> None:
    pytest.importorskip("awslambdaric")
    command = [sys.executable, "-m", "penstock.infra.runtime_api"]
    command += ["--folder", str(app(APP)), "--env", "TEA=green", *(["--quiet"] if quiet else [])]
    command += ["--", sys.executable, "-m", "awslambdaric", "app.handler"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as api:
        assert api.stdout is not None
        addresses = json.loads(api.stdout.readline())
        host = addresses["endpoint_url"].removeprefix("http://")
        connection = http.client.HTTPConnection(host)
        connection.request("POST", "/2015-03-31/functions/any/invocations", '"milk"')
        assert connection.getresponse().read() == b'"green"'
        connection.close()
        assert addresses["environ"]["AWS_LAMBDA_RUNTIME_API"] == addresses["runtime_api"]
        assert addresses["function_url"].startswith("http://127.0.0.1:")
        api.send_signal(signal.SIGTERM)
        output, log = api.communicate(timeout=20)
        assert (0, "") == (api.returncode, output)
        assert ("tea milk" in log) is not quiet


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    assert "--concurrency" in capsys.readouterr().out


@pytest.mark.parametrize("variable", ["TEA", "=green"])
def test_a_variable_has_a_name_and_a_value(
    capsys: pytest.CaptureFixture[str], variable: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--env", variable])
    assert stop.value.code == 2
    assert f"expected NAME=VALUE, got {variable!r}" in capsys.readouterr().err
