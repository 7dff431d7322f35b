"""``python -m penstock.infra.runtime_api [options] -- COMMAND …``: a function as a process.

The first line of standard output is JSON with the addresses; the function's log goes to standard
error. Runs until it gets SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.infra.runtime_api.local import LocalRuntimeAPI

if TYPE_CHECKING:
    from collections.abc import Sequence


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m penstock.infra.runtime_api")
    parser.add_argument("command", nargs="*", help="starts the runtime; without it, you do")
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="the function's code")
    parser.add_argument("--handler", default="app.handler", help="the value of _HANDLER")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS")
    parser.add_argument("--concurrency", type=int, metavar="SLOTS", help="Managed Instances")
    parser.add_argument("--wait-when-busy", action="store_true", help="instead of refusing")
    parser.add_argument(
        "--invoke-mode", choices=("buffered", "response_stream"), default="buffered"
    )
    parser.add_argument("--env", action="append", default=[], type=_variable, metavar="NAME=VALUE")
    parser.add_argument("--quiet", action="store_true", help="do not print the function's log")
    return parser


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    return name, value


async def _serve(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with LocalRuntimeAPI(
        options.command or None,
        folder=options.folder,
        handler=options.handler,
        timeout_s=options.timeout,
        concurrency=options.concurrency,
        refuse_when_busy=False if options.wait_when_busy else None,
        invoke_mode=options.invoke_mode,
        environ=dict(options.env),
        echo_log=not options.quiet,
    ) as api:
        addresses = {
            "runtime_api": api.address,
            "endpoint_url": api.endpoint_url,
            "function_url": api.function_url,
            "environ": api.environ,
        }
        sys.stdout.write(json.dumps(addresses) + "\n")
        sys.stdout.flush()
        await stop.wait()


def main(argv: Sequence[str] | None = None) -> int:
    """Serve one function until told to stop."""
    options = _parser().parse_args(argv)
    asyncio.run(_serve(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
