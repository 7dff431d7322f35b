"""Functions of one file: penstock, and where Lambda has none the Python, come from elsewhere."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import base_image
import managed_runtime
import pytest
import sam_project
from own_script import write_script
from sam_local import invoke
from samcli.yamlhelper import yaml_dump

from penstock.infra.gateway import ClientRequest, make_event, read_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.engine

APP = """
import json, os, sys
import penstock.adapter

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return await send({"type": "lifespan.shutdown.complete"})
    told = {
        "path": scope["path"],
        "penstock": penstock.adapter.__file__,
        "python": sys.executable,
        "aws": "awslambdaric" in sys.modules,
        "folder": os.getcwd(),
    }
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})
"""
PYTHON = managed_runtime.interpreter()
MANAGED = PYTHON.name


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Penstock and what it needs, as for a layer's folder ``python``."""
    folder = tmp_path_factory.mktemp("packages")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder)]
    command += ["--no-index", "--find-links", str(sam_project.PACKAGES), "penstock"]
    subprocess.run(command, check=True)
    return folder


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that is one folder: it finds its library from where its executable lies."""
    folder = tmp_path_factory.mktemp("python")
    (folder / "bin").mkdir()
    shutil.copy(PYTHON, folder / "bin" / "python3")
    shutil.copytree(
        Path(sys.base_prefix, "lib", PYTHON.name),
        folder / "lib" / PYTHON.name,
        ignore=shutil.ignore_patterns("__pycache__", "config-*", "dist-packages", "test"),
    )
    return folder


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """The folders of a function with nothing but its file, and of an empty layer."""
    for name in ("code", "layer"):
        (tmp_path / name).mkdir()
    (tmp_path / "code" / "app.py").write_text(APP)
    return tmp_path


def ask(stack: Path, runtime: str, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return what the application tells, deployed as it lies there."""
    function: dict[str, Any] = {
        "Architectures": [base_image.architecture()],
        "CodeUri": "code",
        "Environment": {"Variables": dict(variables or {})},
        "Handler": "app.app",
        "MemorySize": 512,
        "Runtime": runtime,
    }
    resources: dict[str, Any] = {
        "Function": {"Type": "AWS::Serverless::Function", "Properties": function}
    }
    if any((stack / "layer").iterdir()):
        function["Layers"] = [{"Ref": "Layer"}]
        resources["Layer"] = {
            "Type": "AWS::Serverless::LayerVersion",
            "Properties": {"ContentUri": "layer"},
        }
    template = stack / "template.yaml"
    text = yaml_dump({"Transform": "AWS::Serverless-2016-10-31", "Resources": resources})
    template.write_text(text)
    event = make_event("http-api", ClientRequest("GET", "/tea"))
    answer, _ = invoke("Function", template, event)
    told: dict[str, Any] = json.loads(read_answer("http-api", answer).body)
    return told


def test_a_layer_with_the_wrapper_script(stack: Path, packages: Path) -> None:
    shutil.copytree(packages, stack / "layer" / "python")
    write_script("exec", stack / "layer" / "penstock-exec", packages)
    assert ask(stack, MANAGED, {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/penstock-exec"}) == {
        "path": "/tea",
        "penstock": "/opt/python/penstock/adapter/__init__.py",
        "python": f"/var/lang/bin/{PYTHON.name}",
        "aws": False,
        "folder": "/var/task",
    }


class TestProvided:
    """``provided.al2023``, where there is no Python but that of the function."""

    def test_everything_in_the_function(self, stack: Path, packages: Path, python: Path) -> None:
        shutil.copytree(packages, stack / "code", dirs_exist_ok=True)
        shutil.copytree(python, stack / "code" / "python")
        write_script("bootstrap", stack / "code" / "bootstrap", packages)
        assert ask(stack, "provided.al2023") == {
            "path": "/tea",
            "penstock": "/var/task/penstock/adapter/__init__.py",
            "python": "/var/task/python/bin/python3",
            "aws": False,
            "folder": "/var/task",
        }

    def test_everything_in_a_layer(self, stack: Path, packages: Path, python: Path) -> None:
        shutil.copytree(packages, stack / "layer" / "python")
        shutil.copytree(python, stack / "layer" / "python", dirs_exist_ok=True)
        write_script("bootstrap", stack / "layer" / "bootstrap", packages)
        assert ask(stack, "provided.al2023") == {
            "path": "/tea",
            "penstock": "/opt/python/penstock/adapter/__init__.py",
            "python": "/opt/python/bin/python3",
            "aws": False,
            "folder": "/var/task",
        }

    def test_a_python_elsewhere(self, stack: Path, packages: Path, python: Path) -> None:
        shutil.copytree(packages, stack / "code", dirs_exist_ok=True)
        shutil.copytree(python, stack / "layer" / "snake")
        write_script("bootstrap", stack / "code" / "bootstrap", packages)
        told = ask(stack, "provided.al2023", {"PENSTOCK_PYTHON": "/opt/snake/bin/python3"})
        assert told["python"] == "/opt/snake/bin/python3"
        assert told["path"] == "/tea"
