"""A user's code folder with the script for AWS_LAMBDA_EXEC_WRAPPER in it."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import managed_runtime

if TYPE_CHECKING:
    from pathlib import Path

WRAPPER = "penstock-exec"


def with_wrapper(code: Path, folder: Path) -> Path:
    """Copy a built function, and let the penstock in it write the script."""
    shutil.copytree(code, folder)
    command = [str(managed_runtime.interpreter()), "-m", "penstock.adapter.runtime"]
    subprocess.run([*command, "--write-exec", WRAPPER], cwd=folder, check=True)
    return folder
