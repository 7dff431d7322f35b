"""Install the real clients that tests/clients drive: curl and Debian's chromium.

Where they are here already, nothing happens. Elsewhere than on Debian and its relatives, or without
the rights, it says what to install by hand.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

CLIENTS = ("chromium", "curl")


def main() -> int:
    """Return 1 if a client is missing in the end."""
    missing = [name for name in CLIENTS if shutil.which(name) is None]
    if not missing:
        return 0
    apt_get = shutil.which("apt-get")
    if apt_get is None or os.geteuid() != 0:
        print(f"the tests with real clients need {' and '.join(missing)} on PATH", file=sys.stderr)
        print(f"on Debian: sudo apt-get install {' '.join(missing)}", file=sys.stderr)
        return 1
    print(f"==> installing {', '.join(missing)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["update", "-qq"],
        ["install", "-y", "-qq", "--no-install-recommends", *missing],
    ):
        done = subprocess.run(
            [apt_get, *command], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            print(f"{done.stdout}{done.stderr}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
