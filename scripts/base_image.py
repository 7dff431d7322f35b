"""Make a container image that stands in for AWS's image of a managed Python runtime.

``sam local`` runs functions in images from AWS's container registry. Where that cannot be reached,
this one, under the same name, has what they need of it: the distribution's Python where Lambda's
is, AWS's client in ``/var/runtime``, and its start.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import managed_runtime

# ENV and WORKDIR as in AWS's images.
CHANGES = (
    "WORKDIR /var/task",
    "ENV LANG=en_US.UTF-8 TZ=:/etc/localtime",
    "ENV LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime",
    "ENV PATH=/var/lang/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin",
)
ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "arm64"}
# Half of what debootstrap brings is for reading and for installing more.
NOT_NEEDED = ("usr/share/doc", "usr/share/locale", "usr/share/man", "var/lib/apt", "var/cache/apt")


def architecture() -> str:
    """Return Lambda's name of this machine's instruction set."""
    return ARCHITECTURES[platform.machine()]


def image_names() -> list[str]:
    """Return what ``sam local`` calls the image of this Python's runtime, and of ``provided``."""
    version = "{}.{}".format(*sys.version_info[:2])
    images = (f"python:{version}", "provided:al2023")
    return [f"public.ecr.aws/lambda/{image}-{architecture()}" for image in images]


def make_image(cache: Path, runtime: Path) -> Path:
    """Return the image's files as a tar archive; made once, which takes about a minute."""
    sources = (Path(__file__), Path(managed_runtime.__file__))
    made_by = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
    archive = cache / f"image-{suite}-{made_by}.tar"
    if not archive.exists():
        for outdated in cache.glob("image-*.tar"):
            outdated.unlink()
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            root = Path(folder) / "root"
            make_files(root, suite, runtime)
            unfinished = Path(folder) / archive.name
            everything = ["--exclude=./dev/*", "--exclude=./proc/*", "--directory", str(root), "."]
            subprocess.run(["tar", "--create", "--file", unfinished, *everything], check=True)
            unfinished.replace(archive)
    return archive


def make_files(root: Path, suite: str, runtime: Path) -> None:
    """Fill a folder with the image's files."""
    command = ["debootstrap", "--variant=minbase", "--include=python3,ca-certificates"]
    done = subprocess.run([*command, suite, str(root)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}debootstrap failed (exit status {done.returncode})")
    for name in NOT_NEEDED:
        shutil.rmtree(root / name)
    python = Path("/var/lang/bin", managed_runtime.interpreter().name)
    for folder in ("opt", "var/lang/bin", "var/task"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / python.relative_to("/")).symlink_to(f"/usr/bin/{python.name}")
    shutil.copytree(runtime, root / "var/runtime")
    managed_runtime.write_bootstrap(
        root / "var/runtime/bootstrap", python=python, folder=Path("/var/runtime")
    )
