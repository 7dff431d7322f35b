"""Measure penstock.handler beside other frameworks, and print the tables: part of ``make bench``.

Options: ``--quick`` for a short run, ``--json FILE`` for the numbers. A limit that is missed is
printed as MISS; the exit status is 0 either way, because measurements are no tests.
"""

from __future__ import annotations

import argparse
import json
import os
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

HERE = Path(__file__).resolve().parent
FRAMEWORKS = ("penstock", "starlette", "falcon", "django", "quart", "litestar", "fastapi")
IMPORT_RUNS, QUICK_IMPORT_RUNS = 15, 5
MEMORY_RUNS, QUICK_MEMORY_RUNS = 5, 2
MIB = 1 << 20
IMPORT_LIMIT_MS = 12.0
# By case: µs at most, and of the other framework's time at most.
LIMITS: dict[str, dict[str, float]] = {
    "async view": {"penstock_us": 40},
    "async view, no disconnects": {"penstock_us": 25},
    "async view, 3 middlewares": {"to_starlette": 0.15, "to_django": 0.12},
    "sync view": {"to_starlette": 1.2, "to_django": 0.3},
}
MIXINS_LIMIT = 0.3
MEMORY_LIMITS = {"file": 2 * MIB, "stream": 2 * MIB, "upload": 2_621_440 + MIB}
UPLOAD_LIMIT = 0.6  # of Django's time, for a view that looks at the upload's size


def main() -> None:
    """Measure, print, and save if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, more noise")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there, too")
    options = parser.parse_args()
    print("\n" + ", ".join(f"{name} {metadata.version(name)}" for name in FRAMEWORKS), flush=True)
    requests = run("handler_requests.py", *(["--quick"] if options.quick else []))
    print_requests(requests)
    memory = memory_costs(QUICK_MEMORY_RUNS if options.quick else MEMORY_RUNS)
    print_memory(memory)
    uploads = run("handler_uploads.py", *(["--quick"] if options.quick else []))
    print_uploads(uploads)
    imports = import_costs(QUICK_IMPORT_RUNS if options.quick else IMPORT_RUNS)
    print_imports(imports)
    if options.json:
        facts = {"requests": requests, "memory": memory, "uploads": uploads, "imports": imports}
        options.json.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n")


def run(script: str, *arguments: str) -> Any:
    """What a script prints, from a process of its own."""
    command = [sys.executable, str(HERE / script), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def mark(value: float, limit: float | None) -> str:
    if limit is None:
        return ""
    return f" (limit {limit:g}: {'ok' if value <= limit else 'MISS'})"


def print_requests(rows: list[dict[str, Any]]) -> None:
    """Print what one request takes, and what seven mixins add to it."""
    print("\none request, wall µs, best batch; ratio of penstock's time to the other's, median")
    for row in rows:
        limits = LIMITS.get(row["case"], {})
        cells = [f"{row['case']:28}"]
        for name in ("penstock", "starlette", "django"):
            key, ratio = f"{name}_us", f"to_{name}"
            if key in row:
                cell = f"{name} {row[key]:.1f}{mark(row[key], limits.get(key))}"
                if ratio in row:
                    cell += f" = {row[ratio]:.2f}{mark(row[ratio], limits.get(ratio))}"
                cells.append(cell)
        print("  ".join(cells))
    times = {row["case"]: row for row in rows}
    plain, mixins = times["async view"], times["async view, 7 mixins"]
    added = [mixins[key] - plain[key] for key in ("penstock_us", "django_us")]
    ratio = added[0] / added[1]
    verdict = mark(ratio, MIXINS_LIMIT)
    print(f"7 mixins add {added[0]:.0f}, in Django {added[1]:.0f} = {ratio:.2f}{verdict}")


def memory_costs(runs: int) -> dict[str, dict[str, float]]:
    cases = (*MEMORY_LIMITS, "django-upload")
    samples: dict[str, list[dict[str, float]]] = {case: [] for case in cases}
    for _ in range(runs):
        for case in cases:
            samples[case].append(run("handler_memory.py", case))
    return {
        case: {name: median(one[name] for one in rows) for name in rows[0]}
        for case, rows in samples.items()
    }


def print_memory(costs: dict[str, dict[str, float]]) -> None:
    """Print the peak that 64 MiB cause."""
    print("\n64 MiB, peak of Python's memory in MiB")
    for case, cost in costs.items():
        limit = MEMORY_LIMITS.get(case)
        peak = mark(cost["peak_bytes"] / MIB, None if limit is None else limit / MIB)
        print(f"{case:28}{cost['peak_bytes'] / MIB:6.2f}{peak}")


def print_uploads(rows: list[dict[str, Any]]) -> None:
    """Print what an upload takes, by what the view does with it."""
    print(
        "\nupload of 64 MiB, ms (CPU in brackets), medians of alternating rounds; ratio to Django's"
    )
    for row in rows:
        case = f"{row['case']}, {row['message_bytes'] >> 10} KiB a message"
        cells = [
            f"{name} {row[f'{name}_wall_ms']:.0f} ({row[f'{name}_cpu_ms']:.0f})"
            for name in ("penstock", "django")
        ]
        verdict = mark(row["wall_to_django"], UPLOAD_LIMIT if row["case"] == "size" else None)
        ratios = f"{row['wall_to_django']:.2f} ({row['cpu_to_django']:.2f}){verdict}"
        print(f"{case:28}{'  '.join(cells)} = {ratios}")


def import_costs(runs: int) -> dict[str, dict[str, float]]:
    samples: dict[str, list[list[float]]] = {name: [] for name in FRAMEWORKS}
    with tempfile.TemporaryDirectory() as folder:
        # As an installed wheel: an editable install is looked up in another, slower way, which -S
        # leaves out.
        package = Path(folder, "penstock", "handler")
        shutil.copytree(Path(str(import_module("penstock.handler").__file__)).parent, package)
        compile_dir(package, quiet=1)
        path = os.pathsep.join((folder, sysconfig.get_path("purelib")))
        for number in range(runs + 1):
            for name in FRAMEWORKS:
                command = [sys.executable, "-S", str(HERE / "handler_imports.py"), name]
                done = subprocess.run(
                    command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": path}, check=True
                )
                if number:  # the first one fills the file system's cache
                    samples[name].append([float(text) for text in done.stdout.split()])
    names = ("modules", "import_ms", "first_request_ms")
    return {
        name: dict(zip(names, map(min, zip(*rows, strict=True)), strict=True))
        for name, rows in samples.items()
    }


def print_imports(costs: dict[str, dict[str, float]]) -> None:
    """Print what a fresh process pays."""
    print(f"\n{'beyond asyncio, json, logging; best':36}  modules  import ms  first ms")
    for name, cost in costs.items():
        limit = mark(cost["import_ms"], IMPORT_LIMIT_MS) if name == "penstock" else ""
        print(
            f"{name:36}{cost['modules']:9.0f}{cost['import_ms']:11.1f}"
            f"{cost['first_request_ms']:10.1f}{limit}"
        )


if __name__ == "__main__":
    main()
