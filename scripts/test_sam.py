"""Test the template with AWS SAM's own tools: ``make test-sam``.

``sam local`` needs a container engine. It is installed and started where that can be done without
asking: on Debian, as root. Elsewhere these tests are left out, and the last line says so.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import debian
from setup_venv import set_up_with

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv-sam"
PYTHON = ENVIRONMENT / "bin" / "python"
DEBIAN_PYTHON = Path("/usr/bin/python3")
PACKAGES = {"dockerd": "docker.io", "debootstrap": "debootstrap", "ip": "iproute2"}


def main() -> int:
    """Return 1 if a test fails."""
    obstacle = why_no_engine()
    if obstacle is None:
        install_engine()
    # The image has Debian's own Python, and functions are built for the Python that sam runs on.
    python = Path(sys.executable) if obstacle else DEBIAN_PYTHON
    if not set_up_with(python, ENVIRONMENT.name, "sam"):
        return 1
    if subprocess.run([PYTHON, ROOT / "scripts" / "sam_project.py"], check=False).returncode:
        return 1
    print("==> tests of the template, the build, and the functions on AWS's emulator", flush=True)
    failed = run_tests("not engine")
    if obstacle is None:
        print("==> tests with sam local", flush=True)
        runner = [PYTHON, ROOT / "scripts" / "sam_local_tests.py"]
        failed |= subprocess.run(runner, cwd=ROOT, check=False).returncode != 0
    else:
        print(f"==> left out, the tests with sam local: {obstacle}")
    return failed


def why_no_engine() -> str | None:
    """Return what is in the way of a container engine, or None."""
    if sys.platform != "linux":
        return "their container engine is set up on Debian only"
    if platform.freedesktop_os_release().get("ID") != "debian":
        return "their container engine and image are made of Debian's packages"
    if os.geteuid() != 0:
        return "to install and start a container engine takes root"
    probe = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    if probe.returncode:
        return "this container may not have containers of its own (unshare --net failed)"
    return None


def install_engine() -> None:
    """Install the packages that are missing."""
    missing = [package for command, package in PACKAGES.items() if shutil.which(command) is None]
    if not DEBIAN_PYTHON.exists():
        missing.append("python3")
    if missing:
        debian.install(missing)


def run_tests(marks: str) -> bool:
    """Return whether a test failed."""
    # Not "python -m pytest": that would put the folders adapter and handler on sys.path.
    command = [str(ENVIRONMENT / "bin" / "pytest"), "-q", "tests/sam", "-m", marks]
    return subprocess.run(command, cwd=ROOT, check=False).returncode != 0


if __name__ == "__main__":
    sys.exit(main())
