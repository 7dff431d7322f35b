"""The ``penstock`` command: invoke a function on this machine, and make sample events.

Exit codes: 0, or 1 when the invocation fails, or 2 when the command cannot be carried out as given.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from penstock.infra.gateway.messages import SOURCES
from penstock.infra.gateway.triggers import TRIGGERS
from penstock.infra.problems import InvocationFailed, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

_REQUEST_OPTIONS = (
    ("--method", {"help": "request method (default: GET, with --data POST)"}),
    ("--path", {"help": "path, without the stage (default: /); a query may follow"}),
    ("--query", {"help": "query as on the wire, such as 'a=1&a=2'"}),
    ("--header", {"action": "append", "metavar": "'NAME: VALUE'", "help": "repeatable"}),
    ("--cookie", {"action": "append", "metavar": "NAME=VALUE", "help": "repeatable"}),
    ("--data", {"action": "append", "help": "body, or @FILE; repeatable for records"}),
    ("--data-file", {"metavar": "FILE", "help": "file with the body"}),
    ("--stage", {"help": "stage of rest-api, http-api and http-api-1"}),
    ("--domain", {"help": "what the client connects to (default: a domain of AWS)"}),
)


class _Version(argparse.Action):
    """Print the installed version: looked up only when asked for, since that reads files."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        from importlib import metadata

        try:
            version = metadata.version("penstock")
        except metadata.PackageNotFoundError:
            version = "(a checkout, not installed)"
        print(f"penstock {version}")
        parser.exit()


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 900:
        raise argparse.ArgumentTypeError(f"expected seconds, 900 at most, got {text!r}")
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="penstock", description="Run any ASGI application on AWS Lambda."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    invoke = commands.add_parser(
        "invoke", help="call a function with an event, and print what it returns"
    )
    invoke.add_argument(
        "target",
        nargs="?",
        help="module:app or module.app: an ASGI application, an adapter, or a Lambda handler",
    )
    event_from = invoke.add_mutually_exclusive_group(required=True)
    event_from.add_argument("--event", metavar="FILE", help="JSON file; - is standard input")
    event_from.add_argument(
        "--source", choices=(*SOURCES, *TRIGGERS), help="make the event, as 'penstock event' does"
    )
    invoke.add_argument("--factory", action="store_true", help="call TARGET to get the application")
    invoke.add_argument(
        "--scope", action="store_true", help="print the ASGI scope; TARGET is not imported"
    )
    invoke.add_argument("--events-path", metavar="PATH", help="pass non-HTTP events to this path")
    invoke.add_argument(
        "--timeout",
        type=_seconds,
        default=30.0,
        metavar="SECONDS",
        help="the function's (default: 30)",
    )

    event = commands.add_parser("event", help="print a sample event")
    event.add_argument(
        "source",
        choices=(*SOURCES, *TRIGGERS),
        metavar="SOURCE",
        help=f"a front door ({', '.join(SOURCES)}) or a trigger ({', '.join(TRIGGERS)})",
    )
    for command in (invoke, event):
        request = command.add_argument_group("the request")
        for flag, settings in _REQUEST_OPTIONS:
            request.add_argument(flag, **settings)  # type: ignore[arg-type]
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the ``penstock`` command with these arguments (default: the process's); return its code.

    Results go to standard output as JSON; what went wrong is one line on standard error, after the
    traceback where it is the user's own code that failed.
    """
    try:
        options = _parser().parse_args(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    try:
        result = _event(options) if options.command == "event" else _invoke(options)
    except (Problem, InvocationFailed) as error:
        print(f"{error.traceback}penstock: {error}", file=sys.stderr)
        return 2 if isinstance(error, Problem) else 1
    try:
        print(result, flush=True)
    except BrokenPipeError:
        # Whoever reads has enough (`| head`); Python would complain once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _event(options: argparse.Namespace) -> str:
    from penstock.infra.sample import sample_event

    event = sample_event(options.source, _request_options(options))
    return json.dumps(event, indent=2, ensure_ascii=False)


def _invoke(options: argparse.Namespace) -> str:
    from penstock.infra import invoke
    from penstock.infra.sample import read_json, sample_event

    given = _request_options(options)
    if options.source:
        event = sample_event(options.source, given)
    elif given:
        flag = next(iter(given)).replace("_", "-")
        raise Problem(f"expected --{flag} with --source only: --event brings the request along")
    else:
        event = read_json(options.event)
    context = invoke.LocalContext(timeout_s=options.timeout)
    if options.scope:
        result = invoke.scope_of(event, context, events_path=options.events_path)
    elif options.target is None:
        raise Problem("expected a TARGET such as app:app (only --scope goes without), got none")
    else:
        target = invoke.load_target(options.target, factory=options.factory)
        result = invoke.call(target, event, context, events_path=options.events_path)
    try:
        return json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvocationFailed(f"expected a result that JSON can hold: {error}") from None


def _request_options(options: argparse.Namespace) -> dict[str, Any]:
    names = (flag.removeprefix("--").replace("-", "_") for flag, _ in _REQUEST_OPTIONS)
    given = {name: getattr(options, name) for name in names}
    return {name: value for name, value in given.items() if value is not None}


if __name__ == "__main__":
    sys.exit(main())
