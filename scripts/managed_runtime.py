"""What AWS's managed ``python3.x`` runtimes keep in ``/var/runtime``, made of AWS's own client.

AWS does not publish these runtimes as packages. Their documented part is small: PYTHONPATH names
this folder, and the interpreter starts AWS's client, or is handed, with the client's arguments, to
the program in AWS_LAMBDA_EXEC_WRAPPER (Lambda: "Modifying the runtime environment").
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REQUIREMENT = "awslambdaric>=4,<5"

BOOTSTRAP = """#!/bin/sh
export PYTHONPATH={folder}
export AWS_EXECUTION_ENV=AWS_Lambda_python{version}
set -- {python} -m awslambdaric "$_HANDLER"
if [ -n "$AWS_LAMBDA_EXEC_WRAPPER" ]; then
  exec "$AWS_LAMBDA_EXEC_WRAPPER" "$@"
fi
exec "$@"
"""


def make_runtime(folder: Path) -> None:
    """Install AWS's client for the running Python into the folder, and nothing else."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder)]
    subprocess.run([*command, REQUIREMENT], check=True)
    write_bootstrap(folder / "bootstrap", python=interpreter(), folder=folder)


def write_bootstrap(file: Path, *, python: Path, folder: Path) -> None:
    """Write what Lambda starts: ``folder`` holds AWS's client, ``python`` runs it."""
    version = "{}.{}".format(*sys.version_info[:2])
    file.write_text(BOOTSTRAP.format(folder=folder, python=python, version=version))
    file.chmod(0o755)


def interpreter() -> Path:
    """Return the Python that the running virtual environment was made from: it has no packages."""
    return Path(sys.base_prefix, "bin", "python{}.{}".format(*sys.version_info[:2]))


if __name__ == "__main__":
    make_runtime(Path(sys.argv[1]))
