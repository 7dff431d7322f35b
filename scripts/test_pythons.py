"""Run the tests on every other supported Python that this machine has, and say which it lacks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from setup_venv import set_up_with

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ("3.11", "3.12", "3.13", "3.14")


def main() -> int:
    """Return 1 if the tests fail on any of them; a Python that is not here is no failure."""
    own = "{}.{}".format(*sys.version_info[:2])
    failed, missing = [], []
    for version in VERSIONS:
        if version == own:
            continue
        python = find(version)
        if python is None:
            missing.append(version)
        elif not test(version, python):
            failed.append(version)
    print(f"==> tested by make test: Python {own}; not found here: {', '.join(missing) or 'none'}")
    if failed:
        print(f"the tests failed on Python {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


def find(version: str) -> Path | None:
    """Return an interpreter of this version that really runs: shims may be there and not do so."""
    on_path = shutil.which(f"python{version}")
    managed = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [Path(on_path)] if on_path else []
    candidates += sorted(managed.glob(f"{version}.*/bin/python"), reverse=True)
    probe = "import sys; print('%d.%d' % sys.version_info[:2])"
    for candidate in candidates:
        done = subprocess.run([candidate, "-c", probe], capture_output=True, text=True, check=False)
        if done.stdout.strip() == version:
            return candidate
    return None


def test(version: str, python: Path) -> bool:
    """Return whether the tests pass, those with AWS's client and emulator included."""
    folder = f".venv-{version}"
    if not set_up_with(python, folder, "test"):
        return False
    print(f"==> tests on Python {version}", flush=True)
    # Not "python -m pytest": that would put the folders adapter and handler on sys.path.
    command = [str(ROOT / folder / "bin" / "pytest"), "-q", "-n", "auto", "--dist", "loadfile"]
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
