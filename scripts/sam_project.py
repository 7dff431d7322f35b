"""The project as AWS SAM sees it: the wheel of this checkout, and what ``sam build`` makes."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import base_image
import managed_runtime
from commands import run

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template.yaml"
CACHE = ROOT / ".cache" / "sam"
WHEELS = CACHE / "dist"
RUNTIME = CACHE / "runtime-{}.{}".format(*sys.version_info[:2])
BUILD = CACHE / "build"
CONSTRAINTS = WHEELS / "constraints.txt"
EXAMPLE = ROOT / "examples" / "fastapi"
PACKAGES = CACHE / "packages"
"""The wheels of all that the example needs, for what is put together without a network."""


def parameters(architecture: str | None = None) -> list[str]:
    """Return sam's options for a function that can run here: this Python, this architecture."""
    chosen = architecture or base_image.architecture()
    version = "{}.{}".format(*sys.version_info[:2])
    return ["--parameter-overrides", f"PythonVersion=python{version} Architecture={chosen}"]


def environment() -> dict[str, str]:
    """Return what sam needs: no account, no telemetry, and penstock from the wheel made here."""
    scripts = Path(sys.executable).parent
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **kept,
        "AWS_DEFAULT_REGION": "us-east-1",
        # With credentials, also of the machine, each command would ask AWS whose they are.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        # Not only a place to look for it: another package of this name may be on an index.
        "PIP_CONSTRAINT": str(CONSTRAINTS),
        "SAM_CLI_TELEMETRY": "0",
    }


def sam(*arguments: str) -> list[str]:
    """Return the command line of sam with these arguments."""
    return [str(Path(sys.executable).with_name("sam")), *arguments]


def build_wheel() -> None:
    """Make the wheel of this checkout, and the constraint that lets pip take no other."""
    # setuptools would take modules that are no longer there out of an older build.
    for outdated in (WHEELS, ROOT / "build"):
        shutil.rmtree(outdated, ignore_errors=True)
    WHEELS.mkdir(parents=True)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    run([*command, "--wheel-dir", str(WHEELS), str(ROOT)])
    (wheel,) = WHEELS.glob("*.whl")
    CONSTRAINTS.write_text(f"penstock @ {wheel.as_uri()}\n")


def collect_packages() -> None:
    """Fetch the wheels of what the example needs, and of penstock take this checkout's."""
    shutil.rmtree(PACKAGES, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", str(PACKAGES)]
    requirements = ["--requirement", str(EXAMPLE / "requirements.txt")]
    run([*command, *requirements], environment=environment())


def build_functions() -> None:
    """Let ``sam build`` make the template's functions."""
    command = sam("build", "--template", str(TEMPLATE), "--build-dir", str(BUILD), *parameters())
    run(command, ROOT, environment=environment())


def read_template(file: Path) -> dict[str, Any]:
    """Return a template as data, with CloudFormation's short forms as their long ones."""
    from samcli.yamlhelper import yaml_parse

    template: dict[str, Any] = yaml_parse(file.read_text())
    return template


def settings_of(template: dict[str, Any], function: str) -> tuple[str, dict[str, str | None]]:
    """Return handler and environment variables of a function, the template's globals included."""
    shared = template["Globals"]["Function"]
    own = template["Resources"][function]["Properties"]
    environments = [settings.get("Environment", {"Variables": {}}) for settings in (shared, own)]
    variables = environments[0]["Variables"] | environments[1]["Variables"]
    return own.get("Handler", shared["Handler"]), variables


def main() -> None:
    """Make all that the tests look at."""
    print("==> wheel", flush=True)
    build_wheel()
    collect_packages()
    print("==> sam build", flush=True)
    build_functions()
    if not (RUNTIME / "bootstrap").exists():
        managed_runtime.make_runtime(RUNTIME)


if __name__ == "__main__":
    main()
