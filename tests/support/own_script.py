"""A user's code folder with a script in it that starts penstock: as the documentation makes it."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import managed_runtime

if TYPE_CHECKING:
    from pathlib import Path

WRAPPER = "penstock-exec"


def with_wrapper(code: Path, folder: Path) -> Path:
    """Copy a built function, and add the script for AWS_LAMBDA_EXEC_WRAPPER."""
    return _with_script(code, folder, "--write-exec", WRAPPER)


def with_bootstrap(code: Path, folder: Path) -> Path:
    """Copy a built function, and add what a ``provided.al2023`` function is started by."""
    return _with_script(code, folder, "--write-bootstrap", "bootstrap")


def _with_script(code: Path, folder: Path, *arguments: str) -> Path:
    shutil.copytree(code, folder)
    command = [str(managed_runtime.interpreter()), "-m", "penstock.adapter.runtime"]
    subprocess.run([*command, *arguments], cwd=folder, check=True)
    return folder
