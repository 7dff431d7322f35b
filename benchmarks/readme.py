"""Puts the figures of ``run.py --json FILE`` into the table of README.md: ``readme.py FILE``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- benchmarks: begin -->\n", "<!-- benchmarks: end -->\n"
DOORS = ("http-api", "rest-api", "alb", "alb-multi", "function-url", "edge")


def table(results: dict[str, Any]) -> str:
    """Rows of penstock's time / Mangum's time = ratio, a column for each event source."""
    cells: dict[str, dict[str, str]] = {}
    for row in results["calls"]:
        # A load balancer passes on less, so its large bodies are smaller and stand by themselves.
        case = row["case"].removeprefix("4 MiB ").removeprefix("700 KB ")
        large = case != row["case"]
        name = f"{case}, 4 MiB (load balancer: 700 KB)" if large else case
        scale, unit = (1000, " ms") if large else (1, " µs")
        times = f"{row['penstock_us'] / scale:.1f} / {row['mangum_us'] / scale:.1f}{unit}"
        cells.setdefault(name, {})[row["door"]] = f"{times} = **{row['ratio']:.2f}**"
    lines = [
        "| penstock / Mangum | " + " | ".join(f"`{door}`" for door in DOORS) + " |",
        "|---" * (len(DOORS) + 1) + "|",
    ]
    lines += [
        f"| {name} | " + " | ".join(row.get(door, "") for door in DOORS) + " |"
        for name, row in cells.items()
    ]
    conditions = "; ".join(results["conditions"])
    return (
        "\n".join(lines)
        + f"\n\n{conditions}. CPU time of one call, medians of alternating batches.\n"
    )


def main() -> None:
    results = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(before + BEGIN + "\n" + table(results) + "\n" + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
