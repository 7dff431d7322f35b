"""Build the wheel, install it where nothing else is, and use it as a user would."""

from __future__ import annotations

import os
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

from commands import run

ROOT = Path(__file__).resolve().parent.parent

# Most Lambda functions have a handler.py: it must stay the user's own.
HANDLER = """
from penstock.adapter import LambdaAdapter


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    body = f"{scope['method']} {scope['path']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


handler = LambdaAdapter(app)
"""

CHECK = """
import importlib.util
import sys
from importlib import resources
from pathlib import Path

import handler
import penstock.adapter

installed, expected = Path(penstock.adapter.__file__), Path(sys.prefix)
assert installed.is_relative_to(expected), f"imported {installed}, not what is in {expected}"
assert Path(handler.__file__).parent == Path.cwd(), handler.__file__
for name in ("adapter", "infra"):
    assert importlib.util.find_spec(name) is None, f"the wheel installs a top-level {name}"
for name in ("adapter", "handler", "infra"):
    assert (resources.files(f"penstock.{name}") / "py.typed").is_file(), f"{name} has no py.typed"
answer = handler.handler({"httpMethod": "GET", "path": "/hello"}, None)
assert (answer["statusCode"], answer["body"]) == (200, "GET /hello"), answer
"""


def main() -> None:
    """Stop with the failing command's output if anything is not as it should be."""
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder)
        wheel = build(temporary / "dist")
        check_contents(wheel)
        environment = temporary / "venv"
        venv.create(environment, with_pip=True)
        scripts = environment / ("Scripts" if sys.platform == "win32" else "bin")
        python = str(scripts / "python")
        run([python, "-m", "pip", "install", "--quiet", str(wheel)], temporary)

        project = temporary / "project"
        project.mkdir()
        (project / "handler.py").write_text(HANDLER)
        run([python, "-W", "error", "-c", CHECK], project)
        write = [python, "-m", "penstock.adapter.runtime", "--write-exec", "penstock-exec"]
        run(write, project)
        if not os.access(project / "penstock-exec", os.X_OK):
            sys.exit("expected --write-exec to write a script that can be executed")
        event = run([str(scripts / "penstock"), "event", "http-api", "--path", "/hello"], project)
        invoke = [str(scripts / "penstock"), "invoke", "handler:handler", "--event", "-"]
        answer = run(invoke, project, stdin=event)
        if '"body": "GET /hello"' not in answer:
            sys.exit(f"expected the answer of handler.py from penstock invoke, got: {answer}")
    print(f"{wheel.name} installs and works")


def build(folder: Path) -> Path:
    """Build the sdist, and the wheel from that sdist, so that both are proven complete."""
    run([sys.executable, "-m", "build", "--outdir", str(folder)], ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


def check_contents(wheel: Path) -> None:
    """The wheel holds the three packages, typed, and every module of theirs: nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    packages = ("adapter", "handler", "infra")
    modules = {path for package in packages for path in (ROOT / package).rglob("*.py")}
    expected = {f"penstock/{path.relative_to(ROOT).as_posix()}" for path in modules}
    expected |= {f"penstock/{package}/py.typed" for package in packages}
    expected |= {f"penstock/adapter/runtime/{script}" for script in ("bootstrap", "exec")}
    if missing := expected - names:
        sys.exit(f"the wheel lacks {', '.join(sorted(missing))}: see packages in pyproject.toml")
    if foreign := {name for name in names if not name.startswith("penstock/")}:
        sys.exit(f"the wheel installs {', '.join(sorted(foreign))} outside of penstock")


if __name__ == "__main__":
    main()
