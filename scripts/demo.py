"""Show one application behind every front door of Lambda: ``make demo``."""

from __future__ import annotations

import json
import platform
import sys
import tempfile
import time
from contextlib import contextmanager
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from emulator import Emulator
from fetch_emulator import EmulatorUnavailableError, fetch_emulator

from penstock.infra.gateway import ClientRequest, make_event, make_trigger_event, read_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.infra.gateway import ClientResponse

    Invoke = Callable[[Any], Any]

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "fastapi"
SHOWN_HEADERS = ("content-type", "set-cookie")
WIDTH = 92

JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", 'multipart/form-data; boundary="="')
UPLOAD = (
    '--=\r\nContent-Disposition: form-data; name="file"; filename="tea.txt"\r\n\r\n'
    "Darjeeling\r\n--=--\r\n"
)


class Scene(NamedTuple):
    """One request at one front door, and what it is there to show."""

    door: str
    source: str
    shows: str
    request: ClientRequest


SCENES = (
    Scene(
        "API Gateway REST API",
        "rest-api",
        "links include the stage",
        ClientRequest("GET", "/url"),
    ),
    Scene(
        "API Gateway HTTP API",
        "http-api",
        "JSON in, JSON out, in any script",
        ClientRequest("POST", "/items", (JSON,), '{"name": "Crème brûlée", "price": 3.5}'.encode()),
    ),
    Scene(
        "API Gateway HTTP API, payload 1.0",
        "http-api-1",
        "path and query are decoded once",
        ClientRequest("GET", "/items/caf%C3%A9%20noir?q=50%25"),
    ),
    Scene(
        "Lambda function URL",
        "function-url",
        "binary answers",
        ClientRequest("GET", "/image"),
    ),
    Scene(
        "Application Load Balancer",
        "alb",
        "what start-up made (lifespan)",
        ClientRequest("GET", "/"),
    ),
    Scene(
        "Application Load Balancer, multi-value headers",
        "alb-multi",
        "several cookies",
        ClientRequest("GET", "/cookies", (("Cookie", "visits=41"),)),
    ),
    Scene(
        "CloudFront, Lambda@Edge",
        "edge",
        "a streamed answer, complete",
        ClientRequest("GET", "/stream"),
    ),
    Scene(
        "VPC Lattice, event version 1",
        "lattice-1",
        "an upload",
        ClientRequest("POST", "/upload", (FORM,), UPLOAD.encode()),
    ),
    Scene(
        "VPC Lattice, event version 2",
        "lattice-2",
        "an error of the application",
        ClientRequest("GET", "/boom"),
    ),
)


def main() -> None:
    """Print the scenes in order."""
    name = EXAMPLE.relative_to(ROOT)
    with running() as (invoke, where):
        print(f"{name}/app.py: one FastAPI application, one line for Lambda.\n{where}\n")
        began = time.perf_counter()
        for scene in SCENES:
            show(scene, invoke)
        show_queue(invoke)
        milliseconds = round((time.perf_counter() - began) * 1000)
    print(f"{len(SCENES) + 1} invocations in {milliseconds} ms.\n")
    print(f"Next: change {name}/app.py and run this again, or ask it something yourself:")
    print(
        f"  cd {name} && ../../.venv/bin/penstock invoke app:handler"
        " --source http-api --path '/items/tea?q=1'"
    )


@contextmanager
def running() -> Iterator[tuple[Invoke, str]]:
    """Start the function on AWS's parts, or in this process where there are none."""
    try:
        fetch_emulator()
    except EmulatorUnavailableError as error:
        sys.path.insert(0, str(EXAMPLE))
        handler = import_module("app").handler
        try:
            yield lambda event: handler(event, None), f"Called in this process. {error}"
        finally:
            handler.close()
    else:
        with tempfile.TemporaryDirectory() as folder:
            client = f"awslambdaric {metadata.version('awslambdaric')}"
            python = f"Python {platform.python_version()}"
            with Emulator(EXAMPLE, Path(folder) / "log") as emulator:
                yield emulator.invoke, f"Run by AWS's Lambda emulator and {client} on {python}."


def show(scene: Scene, invoke: Invoke) -> None:
    """Print one request and what its client sees."""
    request = scene.request
    answer = invoke(make_event(scene.source, request))
    response = read_answer(scene.source, answer, method=request.method)
    print(f"{scene.door}  [{scene.source}]: {scene.shows}")
    headers = "".join(f"  {name.lower()}: {value}" for name, value in request.headers)
    print(trimmed(f"  > {request.method} {request.target}{headers}"))
    print(f"  < {response.status}")
    for name, value in response.headers:
        if name in SHOWN_HEADERS:
            print(trimmed(f"    {name}: {value}"))
    print(f"    {trimmed(body_of(response))}\n")


def show_queue(invoke: Invoke) -> None:
    """Print what becomes of an event that is not HTTP."""
    answer = invoke(make_trigger_event("sqs", ["a good order", "a bad order"]))
    print("SQS queue, two messages  [sqs]: served by POST /events")
    print("  > a good order, a bad order")
    print(trimmed(f"  < {json.dumps(answer)}") + "\n")


def body_of(response: ClientResponse) -> str:
    """Return the body in one line; bytes that are not text only as their number."""
    types = response.values("content-type")
    if types and types[0].startswith("image/"):
        return f"({len(response.body)} bytes, {response.body[:8]!r}…)"
    return response.body.decode().rstrip().replace("\n", " ⏎ ")


def trimmed(line: str) -> str:
    """Return what fits the width."""
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"


if __name__ == "__main__":
    main()
