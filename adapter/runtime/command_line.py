"""The command line beyond a target: help, and the scripts that start the runtime on Lambda."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

_EPILOG = (
    "TARGET is module:attribute or module.attribute: an ASGI application, a LambdaAdapter, or a"
    " handler of (event, context), plain or async. Without it, PENSTOCK_APP and then _HANDLER say"
    " what to run."
)


def answer(arguments: list[str]) -> int:
    """Do what the arguments ask for, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m penstock.adapter.runtime",
        description="Run an application on Lambda's Runtime API.",
        epilog=_EPILOG,
    )
    parser.add_argument("target", metavar="TARGET", nargs="?")
    parser.add_argument("--factory", action="store_true", help="call TARGET to get the application")
    parser.add_argument(
        "--write-exec",
        metavar="FILE",
        type=Path,
        help="write the script for AWS_LAMBDA_EXEC_WRAPPER to FILE, and do nothing else",
    )
    parser.add_argument(
        "--write-bootstrap",
        metavar="FILE",
        type=Path,
        help="write the bootstrap for provided.al2023 to FILE, and do nothing else",
    )
    options = parser.parse_args(arguments)
    wanted = {"exec": options.write_exec, "bootstrap": options.write_bootstrap}
    for name, file in wanted.items():
        if file is not None:
            _write(name, file)
    if not any(wanted.values()):
        parser.error("expected options before one TARGET")
    return 0


def _write(name: str, file: Path) -> None:
    # Bytes: Lambda's shell takes no CR. The mode: some ways of unpacking a wheel lose it.
    file.write_bytes((Path(__file__).parent / name).read_bytes())
    file.chmod(file.stat().st_mode | (0o755 & ~_umask()))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
