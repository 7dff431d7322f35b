from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

# Django's settings can be made once in a process, and other tests make their own: see
# tests/handler/test_django.py, which runs this folder.
if "PENSTOCK_TEST_DJANGO" not in os.environ:
    collect_ignore_glob = ["*"]
else:
    sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session", autouse=True)
def _tables() -> Iterator[None]:
    import site_of_tests

    site_of_tests.prepare()
    yield
    shutil.rmtree(site_of_tests.FOLDER)
