"""Run commands whose output matters only if they fail."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def run(
    command: Sequence[str],
    folder: Path | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    stdin: str = "",
) -> str:
    """Return a command's output, or end this process with all that it has written."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        name = " ".join(part.partition("\n")[0] for part in command)
        sys.exit(f"{done.stdout}{done.stderr}{name} failed (exit status {done.returncode})")
    return done.stdout
