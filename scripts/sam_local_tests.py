"""Run the tests of ``sam local``, with a container engine and an image made for them."""

from __future__ import annotations

import sys
from pathlib import Path

from base_image import make_image
from container_engine import run_with_engine
from sam_project import CACHE, RUNTIME


def main() -> int:
    """Return pytest's exit status."""
    archive = make_image(CACHE, RUNTIME)
    pytest = str(Path(sys.executable).with_name("pytest"))
    return run_with_engine(archive, [pytest, "-q", "tests/sam", "-m", "engine"])


if __name__ == "__main__":
    sys.exit(main())
