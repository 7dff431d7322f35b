"""What ``make test-sam`` has built, and the functions in it on AWS's own parts.

These tests run in the environment that has AWS SAM. Elsewhere there is nothing to collect.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytest.register_assert_rewrite("surface")

if importlib.util.find_spec("samcli") is None:
    collect_ignore_glob = ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.sam)


@pytest.fixture
def example() -> str:
    """The example that ApiFunction is."""
    return "fastapi"
