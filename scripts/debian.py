"""Debian's packages, for what a target needs of the machine itself."""

from __future__ import annotations

import os
import shutil

from commands import run


def can_install() -> bool:
    """Return whether packages can be installed without asking: as root, on Debian or a relative."""
    return shutil.which("apt-get") is not None and os.geteuid() == 0


def install(packages: list[str]) -> None:
    """Install packages, or end this process with what the package manager says."""
    print(f"==> installing {', '.join(packages)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "-qq"], environment=environment)
    options = ["-y", "-qq", "--no-install-recommends"]
    run(["apt-get", "install", *options, *packages], environment=environment)
