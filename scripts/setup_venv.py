"""Make the project's virtual environment, with nothing but a Python to start from.

Usage: ``python3 scripts/setup_venv.py FOLDER GROUP``, with one of pyproject's dependency groups.
The links in ``.dev`` are for type checkers, which cannot follow an editable install whose folders
have other names than its packages.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import debian
from commands import run

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("adapter", "handler", "infra")
MINIMUM = (3, 11)


def main() -> None:
    """Create or update the environment; the stamp file in it says when that was done last."""
    folder, group = ROOT / sys.argv[1], sys.argv[2]
    if sys.version_info < MINIMUM:
        sys.exit(f"penstock needs Python 3.11 or newer, and {sys.executable} is {version()}.")
    print(f"==> setting up {folder.name} (Python {version()})", flush=True)
    python = folder / "bin" / "python"
    if not works(python):
        ensure_pip_can_be_installed()
        venv.create(folder, clear=True, with_pip=True, symlinks=os.name != "nt")
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install"]
    run([*pip, "--upgrade", "pip>=25.1"], ROOT)
    run([*pip, "--group", group, "--editable", "."], ROOT)
    link_packages()
    (folder / "stamp").touch()


def set_up_with(python: Path, name: str, group: str) -> bool:
    """Let another Python make an environment, unless there is a new one; whether it is there."""
    stamp, sources = ROOT / name / "stamp", (ROOT / "pyproject.toml", Path(__file__))
    newest = max(source.stat().st_mtime for source in sources)
    if stamp.exists() and stamp.stat().st_mtime >= newest:
        return True
    return subprocess.run([python, __file__, name, group], check=False).returncode == 0


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
    if not debian.can_install():
        sys.exit(
            f"{sys.executable} cannot make virtual environments: it has no ensurepip.\n"
            f"On Debian and Ubuntu: sudo apt-get install {package}"
        )
    debian.install([package])


def link_packages() -> None:
    links = ROOT / ".dev" / "penstock"
    links.mkdir(parents=True, exist_ok=True)
    for name in PACKAGES:
        link = links / name
        if not link.is_symlink():
            link.symlink_to(Path("..", "..", name), target_is_directory=True)


if __name__ == "__main__":
    main()
