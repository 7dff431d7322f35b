"""A share of a CPU for some processes, as Lambda gives by a function's memory; Linux, as root."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PERIOD_US = 10_000
_ROOT = Path("/sys/fs/cgroup")


@contextmanager
def cpu_share(processes: list[int], share: float) -> Iterator[None]:
    """Let these processes together have so much of a CPU (0.5: half of one).

    Raises: OSError where control groups cannot be made.
    """
    is_v1 = (_ROOT / "cpu" / "cpu.cfs_quota_us").exists()
    parent = _ROOT / "cpu" if is_v1 else _ROOT
    group = parent / f"penstock-{os.getpid()}"
    group.mkdir()
    try:
        quota = int(PERIOD_US * share)
        if is_v1:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        else:
            (group / "cpu.max").write_text(f"{quota} {PERIOD_US}")
        move(processes, group)
        try:
            yield
        finally:
            move(processes, parent)
    finally:
        group.rmdir()


def move(processes: list[int], group: Path) -> None:
    for process in processes:
        (group / "cgroup.procs").write_text(str(process))
