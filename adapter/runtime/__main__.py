"""``python -m penstock.adapter.runtime [--factory] [TARGET]``."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def main(arguments: list[str]) -> NoReturn:
    """Serve Lambda's Runtime API until Lambda ends the process.

    Exit status 2 with a message on stderr: arguments that are wrong, or no Runtime API to serve.
    """
    factory = "--factory" in arguments
    targets = [argument for argument in arguments if argument != "--factory"]
    if len(targets) > 1 or (targets and targets[0].startswith("-")):
        from penstock.adapter.runtime.command_line import answer

        sys.exit(answer(arguments))
    if "AWS_LAMBDA_RUNTIME_API" not in os.environ:
        sys.stderr.write(
            "penstock.adapter.runtime: expected AWS_LAMBDA_RUNTIME_API=host:port, which Lambda sets"
            " for its runtimes, and it is not set here. To run an application on this machine, take"
            " an ASGI server, or start this command under a local Runtime API.\n"
        )
        sys.exit(2)
    from penstock.adapter.runtime.garbage import collect_rarely
    from penstock.adapter.runtime.late_imports import import_asyncio

    collect_rarely()
    import_asyncio()  # before all that imports it
    from penstock.adapter import runtime
    from penstock.adapter.runtime.serve import run
    from penstock.adapter.runtime.target import set_paths

    set_paths()
    runtime.running = True
    run(targets[0] if targets else None, factory=factory or None)


if __name__ == "__main__":
    main(sys.argv[1:])
