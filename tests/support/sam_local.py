"""``sam local invoke``: one event, in a container that is made for it."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import sam_project

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = ("--skip-pull-image", *sam_project.parameters())


def invoke(function: str, template: Path, event: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the function's answer, and what SAM and the function have logged."""
    folder = template.parent
    (folder / "event.json").write_text(json.dumps(event))
    command = sam_project.sam("local", "invoke", function, "--template", str(template))
    command += ["--event", str(folder / "event.json"), *OPTIONS]
    # What is in a template's layers is kept in a cache, which is the user's by default.
    command += ["--layer-cache-basedir", str(folder / "layers")]
    done = subprocess.run(
        command,
        cwd=folder,
        env=sam_project.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer, done.stderr
