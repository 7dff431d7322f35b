"""Django on this kernel, in a process of its own, because its settings are made once in one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "django_site"


def test_django_runs_unmodified() -> None:
    """Each test of ``django_site`` passes; its output shows which does not."""
    done = subprocess.run(
        [Path(sys.executable).with_name("pytest"), "-q", "-p", "no:cacheprovider", FOLDER],
        env={**os.environ, "PENSTOCK_TEST_DJANGO": "1"},
        cwd=FOLDER.parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
