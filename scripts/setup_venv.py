"""Make the project's virtual environment, with nothing but a Python to start from.

Usage: ``python3 scripts/setup_venv.py FOLDER GROUP``, with one of pyproject's dependency groups.
The links in ``.dev`` are for type checkers, which cannot follow an editable install whose folders
have other names than its packages.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("adapter", "handler", "infra")
MINIMUM = (3, 11)


def main() -> None:
    """Create or update the environment; the stamp file in it says when that was done last."""
    folder, group = ROOT / sys.argv[1], sys.argv[2]
    if sys.version_info < MINIMUM:
        stop(f"penstock needs Python 3.11 or newer, and {sys.executable} is {version()}.")
    print(f"==> setting up {folder.name} (Python {version()})", flush=True)
    python = folder / "bin" / "python"
    if not works(python):
        ensure_pip_can_be_installed()
        venv.create(folder, clear=True, with_pip=True, symlinks=os.name != "nt")
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install"]
    run([*pip, "--upgrade", "pip>=25.1"])
    run([*pip, "--group", group, "--editable", "."])
    link_packages()
    (folder / "stamp").touch()


def version() -> str:
    """Return the running interpreter's version."""
    return ".".join(map(str, sys.version_info[:3]))


def works(python: Path) -> bool:
    """Whether the environment is there, of this Python version, and not half made."""
    probe = "import sys, pip; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", probe], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return done.stdout.strip() == "{}.{}".format(*sys.version_info[:2])


def ensure_pip_can_be_installed() -> None:
    """Debian keeps ``ensurepip``, which a virtual environment needs, in a package of its own."""
    probe = [sys.executable, "-m", "ensurepip", "--version"]
    if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
        return
    package = "python{}.{}-venv".format(*sys.version_info[:2])
    apt_get = shutil.which("apt-get")
    if apt_get is None or os.geteuid() != 0:
        stop(
            f"{sys.executable} cannot make virtual environments: it has no ensurepip.\n"
            f"On Debian and Ubuntu: sudo apt-get install {package}"
        )
    print(f"==> installing {package}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["update", "-qq"],
        ["install", "-y", "-qq", "--no-install-recommends", package],
    ):
        run([apt_get, *command], environment)


def link_packages() -> None:
    links = ROOT / ".dev" / "penstock"
    links.mkdir(parents=True, exist_ok=True)
    for name in PACKAGES:
        link = links / name
        if not link.is_symlink():
            link.symlink_to(Path("..", "..", name), target_is_directory=True)


def run(command: list[str], environment: dict[str, str] | None = None) -> None:
    """Run a command; its output matters only if it fails."""
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        name = " ".join(command)
        stop(f"{done.stdout}{done.stderr}{name} failed (exit status {done.returncode})")


def stop(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
