"""Fetch AWS's Lambda runtime interface emulator and print where it is.

AWS publishes the emulator's executable inside the ``aws-sam-cli`` wheel, so the package index that
pip already uses is enough: no account, no container image.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REQUIREMENT = "aws-sam-cli>=1.150,<2"
CACHE = Path(__file__).resolve().parent.parent / ".cache"
ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


class EmulatorUnavailableError(RuntimeError):
    """AWS's emulator cannot run here, or could not be fetched."""


def emulator_name(system: str, machine: str) -> str:
    """Return the file name of the executable for this kind of machine."""
    if system != "Linux":
        msg = f"AWS publishes its runtime emulator for Linux only, and this is {system}."
        raise EmulatorUnavailableError(msg)
    architecture = ARCHITECTURES.get(machine.lower())
    if architecture is None:
        msg = f"AWS publishes its runtime emulator for x86_64 and arm64, and this is {machine}."
        raise EmulatorUnavailableError(msg)
    return f"aws-lambda-rie-{architecture}"


def fetch_emulator(cache: Path = CACHE) -> Path:
    """Return the path of the executable, downloading it the first time."""
    name = emulator_name(platform.system(), platform.machine())
    target = cache / name
    if target.exists():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        extracted = extract(download(Path(folder)), name, Path(folder) / name)
        extracted.chmod(0o755)
        # A rename is atomic: two test runs at once both end with a whole file.
        extracted.replace(target)
    return target


def download(folder: Path) -> Path:
    """Let pip download the wheel that carries the emulator."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--dest", str(folder), "--only-binary", ":all:", REQUIREMENT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        msg = f"pip could not download {REQUIREMENT}:\n{done.stderr.strip()}"
        raise EmulatorUnavailableError(msg)
    return wheels[0]


def extract(wheel: Path, name: str, target: Path) -> Path:
    """Take one file out of the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        member = f"samcli/local/rapid/{name}"
        try:
            content = archive.read(member)
        except KeyError:
            msg = f"{wheel.name} no longer carries {member}; pin an older aws-sam-cli."
            raise EmulatorUnavailableError(msg) from None
    target.write_bytes(content)
    return target


def main() -> int:
    """Print the path for a shell: ``$(python scripts/fetch_emulator.py)``."""
    try:
        print(os.fspath(fetch_emulator()))
    except EmulatorUnavailableError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
