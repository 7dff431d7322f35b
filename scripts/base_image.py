"""Make the container images that stand in for AWS's: of a Python runtime, and of ``provided``.

``sam local`` runs functions in images from AWS's container registry, and users build theirs upon
them. Where that cannot be reached, these, under the same names, have what both need: the
distribution's Python where Lambda's is, AWS's client in ``/var/runtime``, its emulator, its start.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import sys
import tempfile
from pathlib import Path

import managed_runtime
from commands import run
from fetch_emulator import fetch_emulator

PLAIN_CHANGES = (
    "ENV PATH=/var/lang/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin",
    # There is no network where images are built from it: pip takes what it is given.
    "ENV PIP_NO_INDEX=1",
)
# As in AWS's images.
CHANGES = (
    *PLAIN_CHANGES,
    'ENTRYPOINT ["/lambda-entrypoint.sh"]',
    "WORKDIR /var/task",
    "ENV LANG=en_US.UTF-8 TZ=:/etc/localtime",
    "ENV LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime",
)
# Started with the handler's name. Only the emulator has to be told what Lambda would tell.
ENTRYPOINT = """#!/bin/sh
export _HANDLER="$1"
if [ -n "$AWS_LAMBDA_RUNTIME_API" ]; then
  exec /var/runtime/bootstrap
fi
exec /usr/local/bin/aws-lambda-rie /var/runtime/bootstrap
"""
# The image of ``provided`` has no Python.
PROVIDED = """FROM {image}
RUN rm -r /lambda-entrypoint.sh /var/lang /var/runtime/* /usr/bin/python3* /usr/lib/python3*
ENV PATH=/usr/local/bin:/usr/bin:/bin:/opt/bin
ENTRYPOINT []
"""
PYTHON = Path("/var/lang/bin", managed_runtime.interpreter().name)
ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "arm64"}
# Half of what debootstrap brings is for reading and for installing more.
NOT_NEEDED = ("usr/share/doc", "usr/share/locale", "usr/share/man", "var/lib/apt", "var/cache/apt")


def architecture() -> str:
    """Return Lambda's name of this machine's instruction set."""
    return ARCHITECTURES[platform.machine()]


def python_image() -> str:
    """Return the name of AWS's image of this Python's runtime."""
    return "public.ecr.aws/lambda/python:{}.{}".format(*sys.version_info[:2])


def plain_image() -> str:
    """Return the name of an image that has the same Python and knows nothing of Lambda."""
    return "python:{}.{}-slim".format(*sys.version_info[:2])


def provided_image() -> str:
    """Return the name of AWS's image without a runtime."""
    return "public.ecr.aws/lambda/provided:al2023"


def make_image(cache: Path, runtime: Path) -> Path:
    """Return the Python image's files as a tar archive; made once, which takes about a minute."""
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
            run(["tar", "--create", "--file", str(unfinished), *everything])
            unfinished.replace(archive)
    return archive


def make_files(root: Path, suite: str, runtime: Path) -> None:
    """Fill a folder with the image's files."""
    packages = "python3,python3-pip,ca-certificates"
    run(["debootstrap", "--variant=minbase", f"--include={packages}", suite, str(root)])
    for name in NOT_NEEDED:
        shutil.rmtree(root / name)
    for folder in ("opt", "var/lang/bin", "var/task"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    add_python(root)
    shutil.copytree(runtime, root / "var/runtime")
    managed_runtime.write_bootstrap(
        root / "var/runtime/bootstrap", python=PYTHON, folder=Path("/var/runtime")
    )
    shutil.copy(fetch_emulator(), root / "usr/local/bin/aws-lambda-rie")
    entrypoint = root / "lambda-entrypoint.sh"
    entrypoint.write_text(ENTRYPOINT)
    entrypoint.chmod(0o755)


def add_python(root: Path) -> None:
    """Give the distribution's Python the place and the names of Lambda's."""
    for name in ("python", "python3", PYTHON.name):
        (root / "var/lang/bin" / name).symlink_to(f"/usr/bin/{PYTHON.name}")
    # Lambda's Python has no package manager beside pip.
    (root / f"usr/lib/{PYTHON.name}/EXTERNALLY-MANAGED").unlink(missing_ok=True)
