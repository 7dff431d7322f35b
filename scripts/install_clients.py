"""Install the real clients that tests/clients drive: curl and Debian's chromium.

Where they are here already, nothing happens. Elsewhere than on Debian and its relatives, or without
the rights, it says what to install by hand.
"""

from __future__ import annotations

import shutil
import sys

import debian

CLIENTS = ("chromium", "curl")


def main() -> int:
    """Return 1 if a client is missing in the end."""
    missing = [name for name in CLIENTS if shutil.which(name) is None]
    if not missing:
        return 0
    if not debian.can_install():
        print(f"the tests with real clients need {' and '.join(missing)} on PATH", file=sys.stderr)
        print(f"on Debian: sudo apt-get install {' '.join(missing)}", file=sys.stderr)
        return 1
    debian.install(missing)
    return 0


if __name__ == "__main__":
    sys.exit(main())
