"""What does not belong into the project's files."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@cache
def texts() -> dict[str, str]:
    """Every file of the project that is text, by its name."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    names = [name for name in done.stdout.split("\0") if name]
    if not names:  # an unpacked source archive: it has its own packages, if nothing else
        names = [str(path.relative_to(ROOT)) for path in (ROOT / "adapter").rglob("*.py")]
    found = {}
    for name in names:
        path = ROOT / name
        content = path.read_bytes() if path.is_file() else b"\0"
        if b"\0" not in content:
            found[name] = content.decode("utf-8")
    return found


def backwards(*words: str) -> str:
    """One pattern of several words, written backwards so that this file does not have them."""
    return "|".join(re.escape(word[::-1]) for word in words)


OF_ONE, OF_MANY = backwards("krow", "toor"), backwards("emoh", "sresU")
MACHINE_PATHS = rf"(?<![\w.\]}})])/(?:(?:{OF_ONE})\b|(?:{OF_MANY})/\w)"
REGISTRIES = backwards(
    "gro.ipyp", "detsohnohtyp", "gro.sjmpn", "moc.sjmpn", "yrotcafitra", ".suxen", "lru-xedni"
)
MAKING = backwards(
    "edualc",
    "ciporhtna",
    "ianepo",
    "tpgtahc",
    "tolipoc",
    "ledom egaugnal",
    "tnega-bus",
    "tnegabus",
    "tnega gnidoc",
    "noisses siht",
    "noisses suoiverp",
    "noisses txen",
    "tpircsnart",
    "ia na sa",
)
UNFINISHED = backwards("ODOT", "EMXIF")


def found(pattern: str, flags: int = 0) -> list[str]:
    return [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
        for name, text in texts().items()
        for match in re.finditer(pattern, text, flags)
    ]


def test_there_are_files() -> None:
    assert "adapter/adapter.py" in texts()


@pytest.mark.parametrize(
    ("pattern", "flags", "example"),
    [
        (MACHINE_PATHS, 0, "x/toor/ ees"),
        (REGISTRIES, re.IGNORECASE, "elpmis/gro.ipyp//:sptth"),
        (MAKING, re.IGNORECASE, "eduaLC yb edam"),
        (rf"\b(?:{UNFINISHED})\b", 0, "retal :ODOT #"),
    ],
    ids=["machine paths", "registries", "how it is made", "unfinished"],
)
def test_words_that_do_not_belong_here(pattern: str, flags: int, example: str) -> None:
    assert re.search(pattern, example[::-1], flags), "the pattern finds nothing"
    assert [] == found(pattern, flags)


def test_files_are_tidy() -> None:
    untidy = [
        name
        for name, text in texts().items()
        if text
        and (not text.endswith("\n") or "\r" in text or re.search(r"[ \t]$", text, re.MULTILINE))
    ]
    assert [] == untidy
