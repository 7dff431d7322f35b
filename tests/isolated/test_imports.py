"""What importing penstock costs and does, each time in a Python process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import Any

import pytest

from penstock.infra.gateway import ClientRequest, make_event

ROOT = Path(__file__).resolve().parents[2]
APP = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    body = (await receive())["body"] or b"hello"
    headers = [(b"content-type", b"text/plain" if body.isascii() else b"image/png")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""
OURS = "from penstock.adapter import LambdaAdapter as Adapter"
OUR_MANGUM = "from penstock.adapter.mangum import Mangum as Adapter"
THEIRS = "from mangum import Mangum as Adapter"
EVENTS = {
    source: make_event(source, ClientRequest("GET", "/users/1?q=tea", (("Accept", "*/*"),)))
    for source in ("http-api", "rest-api", "function-url", "alb-multi")
}
NEVER = (
    "asgiref",
    "boto3",
    "botocore",
    "dataclasses",
    "django",
    "email",
    "http.client",
    "mangum",
    "penstock.adapter.access_log",
    "penstock.adapter.mangum",
    "penstock.adapter.sources.edge",
    "penstock.adapter.sources.event",
    "penstock.adapter.sources.lattice",
    "penstock.handler",
    "penstock.infra",
    "pybase64",
    "pydantic",
    "starlette",
    "typing_extensions",
    "urllib.request",
    "uuid",
)


def python(code: str, *flags: str, folder: Path, variables: dict[str, str] | None = None) -> Any:
    """Run code in a new process; return the JSON that it prints, and fail on anything else."""
    inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    done = subprocess.run(
        [sys.executable, *flags, "-c", code],
        cwd=folder,
        env={**inherited, "PYTHONDONTWRITEBYTECODE": "1", **(variables or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    return json.loads(done.stdout)


def call(adapter: str, source: str) -> str:
    """Code that imports an adapter and answers one event with it."""
    return f"""
{adapter}
{APP}
handler = Adapter(app, lifespan="off")
answer = handler({EVENTS[source]!r}, None)
assert (answer["statusCode"], answer["body"]) == (200, "hello"), answer
"""


def modules_of(code: str, folder: Path) -> set[str]:
    """The modules that the code loads beyond what every Lambda function with asyncio has.

    Without the site module, as the editable install's path hooks would load some of them before.
    """
    package = folder / "penstock"
    package.mkdir(exist_ok=True)
    if not (package / "adapter").exists():
        (package / "adapter").symlink_to(ROOT / "adapter")
    counted = f"""
import sys
sys.path[:0] = [{str(folder)!r}, {sysconfig.get_path("purelib")!r}]
import asyncio, json, logging
before = set(sys.modules)
{code}
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    return set(python(counted, "-I", "-S", folder=folder))


@pytest.mark.parametrize("source", EVENTS)
def test_no_more_modules_than_mangum(source: str, tmp_path: Path) -> None:
    theirs = modules_of(call(THEIRS, source), tmp_path)
    ours = modules_of(call(OURS, source), tmp_path)
    assert len(ours) <= len(theirs), (sorted(ours), sorted(theirs))
    as_mangum = modules_of(call(OUR_MANGUM, source), tmp_path)
    assert {"penstock.adapter.mangum"} == as_mangum - ours


@pytest.mark.parametrize("source", EVENTS)
def test_what_is_not_needed_is_not_imported(source: str, tmp_path: Path) -> None:
    ours = modules_of(call(OURS, source), tmp_path)
    unwanted = {
        name
        for name in ours
        if any(name == never or name.startswith(f"{never}.") for never in NEVER)
    }
    assert set() == unwanted
    assert "penstock.adapter.adapter" in ours


MODULES = sorted(
    "penstock." + ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "adapter").rglob("*.py")
)

WATCHED = """
import asyncio, json, logging, os, signal, sys, threading
from importlib import import_module

seen = []
def watch(event, arguments):
    is_code = event == "open" and str(arguments[0]).endswith((".py", ".pyc", ".so"))
    if event.startswith(("open", "socket.", "subprocess.", "os.system", "os.putenv")):
        if not is_code:
            seen.append(f"{event} {arguments[0]!r:.200}")

def forbidden(*arguments):
    seen.append("event loop")
    raise AssertionError("expected no event loop")

handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
root_handlers, level = list(logging.getLogger().handlers), logging.getLogger().level
environment = dict(os.environ)
hooks = (sys.excepthook, sys.stdout, sys.stderr, threading.excepthook)
asyncio.new_event_loop = asyncio.events.new_event_loop = forbidden
sys.addaudithook(watch)
for name in MODULES:
    import_module(name)
assert handlers == {number: signal.getsignal(number) for number in signal.valid_signals()}
assert (root_handlers, level) == (logging.getLogger().handlers, logging.getLogger().level)
assert environment == dict(os.environ)
assert hooks == (sys.excepthook, sys.stdout, sys.stderr, threading.excepthook)
print(json.dumps({"seen": seen, "threads": threading.active_count()}))
"""


@pytest.mark.parametrize("names", [["penstock.adapter"], MODULES], ids=["package", "every module"])
def test_importing_starts_and_touches_nothing(names: list[str], tmp_path: Path) -> None:
    code = f"MODULES = {names!r}\n{WATCHED}"
    assert {"seen": [], "threads": 1} == python(code, folder=tmp_path)


def test_constructing_outside_of_lambda_starts_nothing(tmp_path: Path) -> None:
    code = f"""
import asyncio, json, threading
{OURS}
{APP}
def forbidden(*arguments):
    raise AssertionError("expected no event loop")
asyncio.new_event_loop = asyncio.events.new_event_loop = forbidden
Adapter(app, lifespan="on")
print(json.dumps(threading.active_count()))
"""
    assert python(code, folder=tmp_path) == 1


@pytest.mark.parametrize(
    ("flags", "variables"),
    [
        (("-W", "error", "-X", "dev"), {}),
        ((), {"PYTHONOPTIMIZE": "2"}),
        (("-bb", "-W", "error"), {}),
        (("-I",), {}),
    ],
    ids=["development mode", "optimised", "bytes warnings", "isolated"],
)
@pytest.mark.parametrize("source", EVENTS)
def test_a_call_under_stricter_flags(
    flags: tuple[str, ...], variables: dict[str, str], source: str, tmp_path: Path
) -> None:
    code = f"{call(OURS, source)}\nimport json\nprint(json.dumps(answer))"
    # Mangum's asserts would be gone under optimisation; here nothing depends on one.
    answer = python(code, *flags, folder=tmp_path, variables=variables)
    assert (200, "hello") == (answer["statusCode"], answer["body"])


def test_from_a_zip_file(tmp_path: Path) -> None:
    archive = tmp_path / "code.zip"
    with zipfile.ZipFile(archive, "w") as code:
        code.mkdir("penstock")  # Python 3.11 does not find a namespace package without
        for path in (ROOT / "adapter").rglob("*.py"):
            code.write(path, f"penstock/{path.relative_to(ROOT)}")
    script = f"""
import sys
sys.path.insert(0, {str(archive)!r})
import penstock.adapter
assert penstock.adapter.__file__.startswith({str(archive)!r}), penstock.adapter.__file__
{call(OURS, "http-api")}
import json
print(json.dumps(sorted(name for name in sys.modules if name.startswith("penstock.adapter.s"))))
"""
    # Without the site module there is no other penstock, and no pybase64.
    found = python(script, "-I", "-S", folder=tmp_path)
    assert "penstock.adapter.sources.payload_2" in found


WITHOUT_PYBASE64 = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pybase64":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

sys.meta_path.insert(0, Blocked())
"""
BODIES = {
    "/4A=": (200, b"\xff\x80"),
    "aGVsbG8=": (200, b"hello"),
    "": (200, b"hello"),
    "aGVs!bG8=": (400, None),
    "aGVs\nbG8=": (400, None),
    "aGVsbG8": (400, None),
    "aGVsbG8==": (400, None),
    "aGVsbG8=aGVs": (400, None),
    "_4A=": (400, None),
    "é": (400, None),
    "====": (400, None),
}


@pytest.mark.parametrize("prelude", ["", WITHOUT_PYBASE64], ids=["pybase64", "standard library"])
def test_base64_in_and_out_is_strict(prelude: str, tmp_path: Path) -> None:
    code = f"""
{prelude}
import base64, json, logging, sys
{OURS}
{APP}
logging.getLogger("penstock").setLevel(logging.CRITICAL)
handler = Adapter(app)
event = {EVENTS["http-api"]!r}
answers = {{}}
for body in {list(BODIES)!r}:
    answer = handler({{**event, "body": body, "isBase64Encoded": True}}, None)
    answers[body] = answer["statusCode"], answer["body"], answer["isBase64Encoded"]
print(json.dumps(["pybase64" in sys.modules, answers]))
"""
    loaded, answers = python(code, folder=tmp_path)
    assert loaded is not bool(prelude)
    expected = {
        text: [
            status,
            "Bad Request" if body is None else "/4A=" if not body.isascii() else body.decode(),
            body is not None and not body.isascii(),
        ]
        for text, (status, body) in BODIES.items()
    }
    assert expected == answers


def test_a_users_own_handler_module_coexists(tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text(f"MINE = True\n{call(OURS, 'http-api')}")
    (tmp_path / "adapter.py").write_text("MINE = True\n")
    (tmp_path / "infra.py").write_text("MINE = True\n")
    code = """
import json
import adapter, handler, infra
import penstock.adapter, penstock.handler, penstock.infra
names = [handler.MINE, adapter.MINE, infra.MINE, handler.answer["body"]]
print(json.dumps([*names, penstock.handler.__name__, penstock.handler is handler]))
"""
    found = python(code, folder=tmp_path)
    assert [True, True, True, "hello", "penstock.handler", False] == found
