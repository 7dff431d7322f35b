"""The scripts that start penstock, made as the documentation says, by the installed package."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Literal

import managed_runtime

if TYPE_CHECKING:
    from pathlib import Path

WRAPPER = "penstock-exec"


def with_wrapper(code: Path, folder: Path) -> Path:
    """Copy a built function, and add the script for AWS_LAMBDA_EXEC_WRAPPER."""
    shutil.copytree(code, folder)
    write_script("exec", folder / WRAPPER, folder)
    return folder


def write_script(kind: Literal["exec", "bootstrap"], file: Path, packages: Path) -> None:
    """Write a script with the penstock that is installed in a folder."""
    command = [str(managed_runtime.interpreter()), "-m", "penstock.adapter.runtime"]
    subprocess.run([*command, f"--write-{kind}", str(file)], cwd=packages, check=True)
