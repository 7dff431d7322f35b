"""Install AWS's Lambda runtime client for Node.js and print where its command is.

npm builds it from source, which takes about a minute and needs Node.js, cmake and a C++ compiler.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REQUIREMENT = "aws-lambda-ric@4.0.2"
CACHE = Path(__file__).resolve().parent.parent / ".cache"
NEEDED = ("node", "npm", "cmake", "make", "c++")


class NodeClientUnavailableError(RuntimeError):
    """AWS's Node client cannot be installed here."""


def fetch_node_client(cache: Path = CACHE) -> Path:
    """Return the path of the command, installing it the first time."""
    folder = cache / REQUIREMENT
    command = folder / "node_modules" / ".bin" / "aws-lambda-ric"
    if command.exists():
        return command
    if missing := [name for name in NEEDED if shutil.which(name) is None]:
        msg = f"expected {', '.join(NEEDED)} on PATH; missing: {', '.join(missing)}"
        raise NodeClientUnavailableError(msg)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as built:
        install(Path(built))
        # A rename is atomic: an installation that was broken off leaves nothing behind.
        shutil.rmtree(folder, ignore_errors=True)
        Path(built).rename(folder)
        Path(built).mkdir()
    return command


def install(folder: Path) -> None:
    """Let npm install the package into a folder of its own."""
    (folder / "package.json").write_text("{}")
    command = ["npm", "install", "--no-audit", "--no-fund", "--save-exact", REQUIREMENT]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"npm could not install {REQUIREMENT}:\n{done.stderr.strip()[-4000:]}"
        raise NodeClientUnavailableError(msg)


def main() -> int:
    """Print the path for a shell: ``$(python scripts/fetch_node_client.py)``."""
    try:
        print(os.fspath(fetch_node_client()))
    except NodeClientUnavailableError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
