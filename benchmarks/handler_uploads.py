"""Time uploads of 64 MiB through penstock.handler and Django in one process; JSON on stdout.

Both get the same messages, from the same event loop, and keep what they have not in memory in the
same folder. They take turns, so whatever slows the machine down for a while (the disk, above all)
slows both; a ratio is the median of the ratios of such rounds, a time the median of its own. What
the view does with the file is the case: nothing (``size``), reading it (``read``), or giving it a
place on the same disk by its path (``move``), for which penstock has to copy it and Django has not.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from handler_memory import SIZE, Views, django, penstock, request

from penstock.handler import HttpResponse

ROUNDS, QUICK_ROUNDS = 31, 11
KIB = 1_024
# What the view does, and the bytes in a message; asyncio reads 256 KiB at a time.
CASES = (("size", 64 * KIB), ("size", 256 * KIB), ("read", 64 * KIB), ("move", 64 * KIB))


def views(folder: str, response: type) -> Views:
    def size(request: Any) -> Any:
        return response(str(request.FILES["file"].size))

    def read(request: Any) -> Any:
        return response(str(sum(map(len, request.FILES["file"].chunks()))))

    def move(request: Any) -> Any:
        target = Path(request.FILES["file"].temporary_file_path()).replace(f"{folder}/kept")
        return response(str(target.stat().st_size))

    return {"size": size, "read": read, "move": move}


async def measure(rounds: int, folder: str) -> list[dict[str, Any]]:
    contestants = {"penstock": penstock(views(folder, HttpResponse))}
    # Django comes later: with it in the process, our handlers would send its signals, too.
    from django.http import HttpResponse as DjangoResponse

    contestants["django"] = django(views(folder, DjangoResponse))
    rows = []
    for case, part in CASES:
        wall: dict[str, list[float]] = {name: [] for name in contestants}
        cpu: dict[str, list[float]] = {name: [] for name in contestants}
        for number in range(rounds + 1):
            for name in sorted(contestants, reverse=bool(number % 2)):
                wall_began, cpu_began = time.perf_counter(), time.process_time()
                sent = await request(contestants[name], case, part)
                if number:  # the first one imports what is imported on demand
                    wall[name].append((time.perf_counter() - wall_began) * 1e3)
                    cpu[name].append((time.process_time() - cpu_began) * 1e3)
                assert sent == len(str(SIZE)), sent
        row: dict[str, Any] = {"case": case, "message_bytes": part}
        for clock, samples in (("wall", wall), ("cpu", cpu)):
            for name, times in samples.items():
                row[f"{name}_{clock}_ms"] = median(times)
            pairs = zip(samples["penstock"], samples["django"], strict=True)
            row[f"{clock}_to_django"] = median(mine / other for mine, other in pairs)
        rows.append(row)
    return rows


def main() -> None:
    logging.disable()
    rounds = QUICK_ROUNDS if "--quick" in sys.argv else ROUNDS
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        print(json.dumps(asyncio.run(measure(rounds, folder))))


if __name__ == "__main__":
    main()
