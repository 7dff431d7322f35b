from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

# Django's settings can be made once in a process, and other tests make their own: see
# tests/handler/test_django.py, which runs this folder.
if "PENSTOCK_TEST_DJANGO" not in os.environ:
    collect_ignore_glob = ["*"]


@pytest.fixture(scope="session", autouse=True)
def _tables() -> Iterator[None]:
    import django_site

    django_site.prepare()
    yield
    shutil.rmtree(django_site.FOLDER)
