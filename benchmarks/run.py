"""Compare penstock with Mangum, and print one table: ``make bench``.

Options: ``--quick`` for a short run, ``--json FILE`` for the numbers. Measurements are no tests:
the exit status is 0 also where a limit is missed, and the table says so.
"""

from __future__ import annotations

import argparse
import json
import marshal
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from compileall import compile_dir
from importlib import import_module, metadata
from pathlib import Path
from statistics import median
from typing import Any

from penstock.infra.gateway import ClientRequest, make_event

HERE = Path(__file__).resolve().parent
IMPORT_RUNS, QUICK_IMPORT_RUNS = 31, 15
IMPORT_LIMIT_MS = 10.0

# Of penstock's time to Mangum's: which cases, at which doors (empty: all).
RATIO_LIMITS: tuple[tuple[str, tuple[str, ...], float], ...] = (
    ("lifespan off", ("http-api", "rest-api"), 0.85),
    ("lifespan off", ("alb",), 0.45),
    ("default options", ("http-api", "rest-api", "alb"), 0.3),
    ("4 MiB base64 request", (), 0.1),
    ("4 MiB binary answer", (), 0.1),
)


def main() -> None:
    """Measure, print, and save if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, more noise")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there, too")
    options = parser.parse_args()
    print("\n".join(conditions()), flush=True)
    calls = with_limits(time_calls(quick=options.quick))
    print_calls(calls)
    runs = QUICK_IMPORT_RUNS if options.quick else IMPORT_RUNS
    imports = import_costs(runs)
    verdicts = print_imports(imports, runs)
    verdicts += [row["verdict"] for row in calls if row["verdict"]]
    missed = verdicts.count("MISS")
    print(f"\n{len(verdicts) - missed} limits hold, {missed} missed.")
    if options.json:
        facts = {"conditions": conditions(), "calls": calls, "imports": imports}
        options.json.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n")


def conditions() -> list[str]:
    """What the numbers depend on."""
    arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
    flags = [
        words
        for flag, words in (("--enable-optimizations", "PGO"), ("--with-lto", "LTO"))
        if flag in arguments
    ]
    build = " and ".join(flags) if flags else "neither PGO nor LTO"
    python = f"{platform.python_implementation()} {platform.python_version()} (built with {build})"
    return [
        f"{python}, {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        ", ".join(
            f"{name} {metadata.version(name)}" for name in ("penstock", "mangum", "pybase64")
        ),
    ]


def time_calls(*, quick: bool) -> list[dict[str, Any]]:
    """Return the rows that calls.py prints, from a process that has nothing else to do."""
    command = [sys.executable, str(HERE / "calls.py"), *(["--quick"] if quick else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def with_limits(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with ``limit`` and ``verdict``, None and empty where there is no limit."""
    for row in rows:
        row["limit"], row["verdict"] = None, ""
        for words, doors, limit in RATIO_LIMITS:
            if words in row["case"] and (not doors or row["door"] in doors):
                row["limit"], row["verdict"] = limit, verdict(row["ratio"], limit)
    return rows


def verdict(value: float, limit: float) -> str:
    return "ok" if value <= limit else "MISS"


def print_calls(rows: list[dict[str, Any]]) -> None:
    """Print the first part of the table."""
    print(f"\n{'':29}{'':13}{'penstock µs':>12}{'Mangum µs':>12}{'ratio':>8}{'limit':>8}")
    for row in rows:
        limit = f"{row['limit']:8.2f} {row['verdict']}" if row["verdict"] else ""
        print(
            f"{row['case']:29}{row['door']:13}{row['penstock_us']:12,.1f}{row['mangum_us']:12,.1f}"
            f"{row['ratio']:8.2f}{limit}"
        )
    print(
        "one process, alternating batches; µs of CPU: medians of one call; ratio: median of"
        f" {rows[0]['pairs']} pairs, {rows[-1]['pairs']} of the large ones"
    )


def import_costs(runs: int) -> dict[str, dict[str, float]]:
    """Return the medians of what import and first call cost, by adapter."""
    event = marshal.dumps(make_event("http-api", ClientRequest("GET", "/")))
    samples: dict[str, list[list[float]]] = {"penstock": [], "mangum": []}
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder))
        # -S: nothing but that folder is looked through, no editable install and no .pth file.
        command = [sys.executable, "-S", str(HERE / "import_cost.py")]
        for run in range(runs + 1):
            for which in sorted(samples, reverse=bool(run % 2)):
                done = subprocess.run(
                    [*command, which],
                    input=event,
                    stdout=subprocess.PIPE,
                    env={"PYTHONPATH": folder},
                    check=True,
                )
                if run:  # the first one fills the file system's cache
                    samples[which].append([float(text) for text in done.stdout.split()])
    names = ("modules", "import_ms", "first_call_ms")
    return {
        which: dict(zip(names, map(median, zip(*rows, strict=True)), strict=True))
        for which, rows in samples.items()
    }


def fill(folder: Path) -> None:
    """Put both adapters and what they need into one folder, byte code included."""
    for name in ("penstock.adapter", "pybase64", "mangum"):
        source = Path(str(import_module(name).__file__)).parent
        shutil.copytree(source, folder.joinpath(*name.split(".")))
    shutil.copy(str(import_module("typing_extensions").__file__), folder)
    compile_dir(folder, quiet=1)


def print_imports(costs: dict[str, dict[str, float]], runs: int) -> list[str]:
    """Print the second part of the table; return its verdicts."""
    mine, theirs = costs["penstock"], costs["mangum"]
    verdicts = [
        verdict(mine["modules"], theirs["modules"]),
        verdict(mine["import_ms"], IMPORT_LIMIT_MS),
    ]
    print(f"\n{'beyond asyncio, fresh processes':42}{'penstock':>12}{'Mangum':>12}")
    print(
        f"{'modules, after the first call':42}{mine['modules']:12.0f}{theirs['modules']:12.0f}"
        f"{'':8}{theirs['modules']:8.0f} {verdicts[0]}"
    )
    print(
        f"{'import, ms':42}{mine['import_ms']:12.1f}{theirs['import_ms']:12.1f}"
        f"{mine['import_ms'] / theirs['import_ms']:8.2f}{IMPORT_LIMIT_MS:8.1f} {verdicts[1]}"
    )
    totals = [cost["import_ms"] + cost["first_call_ms"] for cost in (mine, theirs)]
    print(
        f"{'import and first call, ms':42}{totals[0]:12.1f}{totals[1]:12.1f}"
        f"{totals[0] / totals[1]:8.2f}"
    )
    print(
        f"medians of {runs} runs each, alternating; one folder on the path, byte code compiled,"
        " default options"
    )
    return verdicts


if __name__ == "__main__":
    main()
