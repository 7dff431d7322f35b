"""Compare penstock's runtime with AWS's client and Mangum: ``make bench-runtime``.

Options: ``--quick`` for a short run, ``--json FILE`` for the numbers. Measurements are no tests:
the exit status is 0 also where a limit is missed, and the table says so.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from compileall import compile_dir
from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from cpu_share import cpu_share
from runtime_server import Server

from penstock.infra.gateway import ClientRequest, make_event

if TYPE_CHECKING:
    from collections.abc import Iterator

APP = Path(__file__).resolve().parent / "runtime_app"
EXECUTION_ENV = "AWS_Lambda_python3.13"

# -S: the function's folder has everything, and there is no editable install that would cost extra.
PENSTOCK = [sys.executable, "-S", "-m", "penstock.adapter.runtime", "app:app"]
TAKEOVER = [sys.executable, "-S", "-m", "awslambdaric", "penstock.adapter.runtime.handler"]
AWS = [sys.executable, "-S", "-m", "awslambdaric", "app.handler"]
PACKAGES = ("penstock.adapter", "pybase64", "mangum", "awslambdaric", "simplejson")
MODULES = ("runtime_client", "snapshot_restore_py", "typing_extensions")


@cache
def function_folder() -> Path:
    """A folder with the application, both runtimes and all that they need, byte code included."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-benchmark-"))
    atexit.register(shutil.rmtree, folder)
    for name in PACKAGES:
        source = Path(str(import_module(name).__file__)).parent
        shutil.copytree(source, folder.joinpath(*name.split(".")))
    for name in MODULES:
        shutil.copy(str(import_module(name).__file__), folder)
    shutil.copy(APP / "app.py", folder)
    compile_dir(folder, quiet=1)
    return folder


def event(path: str, source: str = "http-api") -> bytes:
    headers = (
        ("accept", "application/json"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        ("accept-encoding", "gzip, deflate, br"),
    )
    return json.dumps(make_event(source, ClientRequest("GET", path, headers))).encode()


@contextmanager
def running(command: list[str], **variables: str) -> Iterator[tuple[Server, subprocess.Popen[Any]]]:
    """A runtime process of its own, and the Runtime API that it asks for events."""
    server, folder = Server(), str(function_folder())
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_LAMBDA_RUNTIME_API": server.address,
        "AWS_EXECUTION_ENV": EXECUTION_ENV,
        "AWS_LAMBDA_FUNCTION_NAME": "benchmark",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "LAMBDA_TASK_ROOT": folder,
        "PYTHONPATH": folder,
        "PENSTOCK_APP": "app:app",
        **variables,
    }
    if command == AWS:
        environment["BENCHMARK_MANGUM"] = "1"
    process = subprocess.Popen(
        command, cwd=folder, env=environment, start_new_session=True, stdout=subprocess.DEVNULL
    )
    try:
        yield server, process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        server.close()


def cold_start_ms(command: list[str]) -> float:
    """From the start of the process to the end of its first answer."""
    began = time.monotonic_ns()
    with running(command) as (server, _):
        return float((server.invoke(event("/")).ended_at - began) / 1e6)


def cpu_ns(pid: int) -> int:
    """CPU time of a process so far, also that of threads which have ended."""
    return time.clock_gettime_ns((~pid << 3) | 2)  # what clock_getcpuclockid(3) returns


def rss_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise ValueError(f"expected VmRSS in the status of process {pid}, got none")


def pss_kib(pids: list[int]) -> int:
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def processes_of(group: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(stat[2]) == group:
                found.append(int(folder.name))
    return found


class Pair(NamedTuple):
    """What penstock needs, what the other needs, and their ratio."""

    ours: float
    theirs: float
    ratio: float

    @classmethod
    def of(cls, ours: float, theirs: float) -> Pair:
        return cls(ours, theirs, ours / theirs)


def of_batches(ours: list[float], theirs: list[float]) -> Pair:
    """Medians; what slows the machine down for a while slows both of a pair of batches."""
    ratio = median(x / y for x, y in zip(ours, theirs, strict=True))
    return Pair(median(ours), median(theirs), ratio)


class Warm:
    """One runtime that is kept running, to be measured in turns with the other."""

    def __init__(self, server: Server, process: subprocess.Popen[Any], payload: bytes) -> None:
        self.server, self.pid, self.payload = server, process.pid, payload
        self.latency: list[float] = []
        self.cpu: list[float] = []

    def batch(self, count: int, *, keep: bool = True) -> None:
        before = cpu_ns(self.pid)
        latency = []
        for _ in range(count):
            answer = self.server.invoke(self.payload)
            latency.append((answer.ended_at - answer.event_at) / 1e3)
        if keep:
            self.latency.append(median(latency))
            self.cpu.append((cpu_ns(self.pid) - before) / 1e3 / count)


def alternate(path: str, batches: int, count: int, **variables: str) -> dict[str, Pair]:
    """CPU and latency per invocation in µs, and RSS, of both; medians of batches in turns."""
    payload = event(path)
    with running(PENSTOCK, **variables) as ours, running(AWS, **variables) as theirs:
        pair = Warm(*ours, payload), Warm(*theirs, payload)
        for warm in pair:
            warm.batch(count, keep=False)
        for number in range(batches):
            for warm in pair if number % 2 else pair[::-1]:
                warm.batch(count)
        a, b = pair
        return {
            "latency": of_batches(a.latency, b.latency),
            "cpu": of_batches(a.cpu, b.cpu),
            "rss": Pair.of(rss_kib(a.pid), rss_kib(b.pid)),
        }


def concurrent(
    command: list[str], slots: int, count: int, wait_ms: int, share: float = 1.0
) -> dict[str, float]:
    """Rate and CPU of invocations that wait, PSS of all processes, time until all slots wait.

    From then on the runtime has one CPU, or a share of it, and the Runtime API another, so that
    none is in the other's way.
    """
    payload = event(f"/wait/{wait_ms}")
    began = time.monotonic()
    with running(command, AWS_LAMBDA_MAX_CONCURRENCY=str(slots)) as (server, process):
        server.wait_for_pollers(slots)
        ready_ms = (time.monotonic() - began) * 1000
        processes = processes_of(process.pid)
        with apart(processes), cpu_share(processes, share) if share < 1 else nullcontext():
            for answer in server.submit(*[payload] * slots):
                answer.done.wait(60)
            before = sum(map(cpu_ns, processes))
            began = time.monotonic()
            for answer in server.submit(*[payload] * count):
                answer.done.wait(60)
            rate = count / (time.monotonic() - began)
            cpu_us = (sum(map(cpu_ns, processes)) - before) / 1e3 / count
        memory = pss_kib(processes) / 1024
    return {"rate": rate, "cpu_us": cpu_us, "pss_mib": memory, "ready_ms": ready_ms}


def compare(slots: int, count: int, wait_ms: int, share: float = 1.0) -> dict[str, Pair]:
    """Return what ``concurrent`` measures, of both."""
    ours, theirs = (
        concurrent(command, slots, count, wait_ms, share) for command in (PENSTOCK, AWS)
    )
    return {name: Pair.of(ours[name], theirs[name]) for name in ours}


@contextmanager
def apart(processes: list[int]) -> Iterator[None]:
    """Keep these processes on one CPU, and this one on the others, if there are any."""
    cpus = os.sched_getaffinity(0)
    own = [os.getpid()]
    theirs = {min(cpus)}
    for group, share in ((processes, theirs), (own, cpus - theirs or cpus)):
        set_cpus(group, share)
    try:
        yield
    finally:
        set_cpus(own, cpus)


def set_cpus(processes: list[int], cpus: set[int]) -> None:
    for pid in processes:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(ProcessLookupError):  # it has ended
                os.sched_setaffinity(int(thread.name), cpus)


def first_byte_ms(count: int) -> float:
    """From the application's first send to the arrival of its bytes; median."""
    payload = event("/stream/first", "function-url")
    times = []
    with running(PENSTOCK, PENSTOCK_INVOKE_MODE="response_stream") as (server, _):
        for _ in range(count):
            answer = server.invoke(payload)
            sent_at = int(answer.start.partition(bytes(8))[2].split(b"\r\n")[2])
            times.append((answer.first_at - sent_at) / 1e6)
    return float(median(times[1:]))


def stream_mb_s(runs: int) -> tuple[Pair, float]:
    """Megabytes a second of a 200 MB stream, and of asyncio's own writer; MiB that memory grew."""
    payload = event("/stream/parts", "function-url")
    ours, bare, growth = [], [], []
    with running(PENSTOCK, PENSTOCK_INVOKE_MODE="response_stream") as (server, process):
        server.invoke(event("/", "function-url"))
        for _ in range(runs):
            before = rss_kib(process.pid)
            with apart([process.pid]):
                answer = server.invoke(payload)
            ours.append(answer.size / (answer.ended_at - answer.first_at) * 1e3)
            growth.append((rss_kib(process.pid) - before) / 1024)
            bare.append(bare_writer_mb_s())
    return of_batches(ours, bare), max(growth)


def bare_writer_mb_s() -> float:
    server = Server()
    code = f"""
import asyncio
async def main():
    host, port = {server.address!r}.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    input()
    part, parts = bytes(65536), 200_000_000 // 65536
    writer.write(b"POST /2018-06-01/runtime/invocation HTTP/1.1\\r\\n"
                 b"Content-Length: %d\\r\\n\\r\\n" % (len(part) * parts))
    for _ in range(parts):
        writer.write(part)
        await writer.drain()
    await reader.readuntil(b"OK")
asyncio.run(main())
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    with apart([process.pid]):
        process.communicate(b"\n")
    server.close()
    [answer] = server.uploads
    return float(answer.size / (answer.ended_at - answer.first_at) * 1e3)


def main() -> None:
    """Measure, print, and save if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, more noise")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there, too")
    options = parser.parse_args()
    quick = options.quick
    table = Table()
    starts: dict[str, list[float]] = {"-m": [], "takeover": [], "AWS": []}
    for turn in range(6 if quick else 22):
        for name, command in (("-m", PENSTOCK), ("AWS", AWS), ("takeover", TAKEOVER)):
            took = cold_start_ms(command)
            if turn:  # the first one fills the caches of the disk
                starts[name].append(took)
    for name in ("-m", "takeover"):
        table.pair(f"cold start, {name} (ms)", of_batches(starts[name], starts["AWS"]), 0.9)
    small = alternate("/", 6 if quick else 20, 200)
    table.pair("CPU per small invocation (µs)", small["cpu"], 0.35)
    table.pair("latency of a small invocation (µs)", small["latency"])
    table.pair("memory, RSS (KiB)", small["rss"], 1.0)
    large = alternate("/large", 4 if quick else 10, 10, BENCHMARK="large")
    table.pair("4 MiB binary answer, latency (µs)", large["latency"], 0.15)
    table.pair("4 MiB binary answer, CPU (µs)", large["cpu"], 0.15)
    rounds = 10 if quick else 30
    for slots, wait_ms in ((16, 50), (64, 50), (64, 10)):
        pairs = compare(slots, slots * rounds * 50 // wait_ms, wait_ms)
        name = f"{slots} at once, {wait_ms} ms each"
        table.pair(f"{name}: rate (1/s)", pairs["rate"])
        table.pair(f"{name}: CPU of one (µs)", pairs["cpu_us"])
        if wait_ms == 50:
            limits = (0.08, 0.3) if slots == 64 else (None, None)
            table.pair(f"{name}: memory, PSS (MiB)", pairs["pss_mib"], limits[0])
            table.pair(f"{name}: ready (ms)", pairs["ready_ms"], limits[1])
    name = "64 at once, 50 ms each, half a CPU: rate (1/s)"
    try:
        table.pair(name, compare(64, 64 * rounds, 50, share=0.5)["rate"], 2.0, at_least=True)
    except OSError as error:
        print(f"{name}: not measured, as there is no control group: {error}")
    table.value("stream: first byte (ms)", first_byte_ms(50 if quick else 300), 1.0)
    rate, growth_mib = stream_mb_s(1 if quick else 5)
    table.pair("stream: MB/s; a bare asyncio writer", rate, 0.5, at_least=True)
    table.value("stream: growth of memory over 200 MB (MiB)", growth_mib, 8)
    if options.json:
        options.json.write_text(json.dumps(table.rows, indent=2, ensure_ascii=False) + "\n")


class Table:
    """Rows that are printed as they are measured."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        print(f"| {'':46} | penstock | AWS + Mangum | ratio | limit |")
        print(f"|{'-' * 48}|---------:|-------------:|------:|-------|")

    def pair(
        self, name: str, pair: Pair, limit: float | None = None, *, at_least: bool = False
    ) -> None:
        """Print one measurement of both; the limit is for the ratio."""
        verdict = ""
        if limit is not None:
            holds = pair.ratio >= limit if at_least else pair.ratio <= limit
            verdict = f"{'≥' if at_least else '≤'} {limit:g}{'' if holds else ' MISS'}"
        print(
            f"| {name:46} | {pair.ours:8,.1f} | {pair.theirs:12,.1f} | {pair.ratio:5.3f} |"
            f" {verdict} |",
            flush=True,
        )
        self.rows.append({"name": name, **pair._asdict(), "limit": limit, "verdict": verdict})

    def value(self, name: str, value: float, limit: float) -> None:
        """Print a measurement that has nothing to be compared with."""
        verdict = f"≤ {limit:g}{'' if value <= limit else ' MISS'}"
        print(f"| {name:46} | {value:8,.1f} | {'':12} | {'':5} | {verdict} |", flush=True)
        self.rows.append({"name": name, "ours": value, "limit": limit, "verdict": verdict})


if __name__ == "__main__":
    main()
