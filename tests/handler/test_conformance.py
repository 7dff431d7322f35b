"""Every row of the handler's conformance list, C001 to C190, has a test that is marked with it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MARK = re.compile(r"conformance\(([^)]*)\)")
NUMBER = re.compile(r'"(C\d{3})"')
ROWS = [f"C{number:03}" for number in range(1, 191)]


def marked() -> Counter[str]:
    found: Counter[str] = Counter()
    for folder in ("tests/handler", "tests/isolated", "tests/differential"):
        for path in (ROOT / folder).rglob("test_*.py"):
            if path != Path(__file__):
                for mark in MARK.findall(path.read_text(encoding="utf-8")):
                    found.update(NUMBER.findall(mark))
    return found


def test_no_row_is_without_a_test() -> None:
    assert [] == [row for row in ROWS if row not in marked()]


def test_no_mark_is_misspelt() -> None:
    assert set() == marked().keys() - set(ROWS)
