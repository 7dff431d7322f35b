"""A Docker engine of its own for one command, which leaves nothing behind.

It runs in namespaces made for it, with its own loopback interface and no other: it meets no engine
that may run on the machine, changes nothing of the machine's network, and reaches nothing outside.
What the command starts ends with it.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import base_image
import docker

NAMESPACES = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
START_SECONDS = 60


def run_with_engine(archive: Path, command: list[str]) -> int:
    """Return the exit status of a command that finds an engine, with the image, at DOCKER_HOST."""
    with tempfile.TemporaryDirectory(prefix="penstock-engine-") as folder:
        inside = [sys.executable, __file__, folder, str(archive), *command]
        return subprocess.run([*NAMESPACES, *inside], check=False).returncode


def inside_namespaces(folder: Path, archive: Path, command: list[str]) -> int:
    """Start the engine, load the image, run the command."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    address = f"unix://{folder}/docker.sock"
    daemon = [
        "dockerd",
        f"--host={address}",
        f"--data-root={folder}/data",
        f"--exec-root={folder}/exec",
        f"--pidfile={folder}/docker.pid",
        # Ports are passed on by the engine's own proxy: no packet filter, no way out.
        *("--iptables=false", "--ip-forward=false", "--ip-masq=false"),
    ]
    log = folder / "log"
    with log.open("wb") as output, subprocess.Popen(daemon, stdout=output, stderr=output) as engine:
        try:
            client = wait_for(engine, address, log)
            load_images(client, archive)
            return subprocess.run(
                command, env={**os.environ, "DOCKER_HOST": address}, check=False
            ).returncode
        finally:
            engine.kill()  # nothing of it is kept, and a shutdown takes ten seconds


def load_images(client: docker.DockerClient, archive: Path) -> None:
    """Give the engine the images by AWS's names; ``sam local`` asks for an architecture's."""
    python, provided = base_image.python_image(), base_image.provided_image()
    images = {python: base_image.CHANGES, base_image.plain_image(): base_image.PLAIN_CHANGES}
    for name, changes in images.items():
        repository, tag = name.rsplit(":", 1)
        client.api.import_image(str(archive), repository, tag, changes=list(changes))
    dockerfile = io.BytesIO(base_image.PROVIDED.format(image=python).encode())
    client.images.build(fileobj=dockerfile, tag=provided)
    for name in (python, provided):
        repository, tag = name.rsplit(":", 1)
        client.images.get(name).tag(repository, f"{tag}-{base_image.architecture()}")


def wait_for(engine: subprocess.Popen[bytes], address: str, log: Path) -> docker.DockerClient:
    """Return a client of the engine once it answers."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and engine.poll() is None:
        try:
            client = docker.DockerClient(base_url=address)
            client.ping()
        except docker.errors.DockerException:
            time.sleep(0.1)
        else:
            return client
    sys.exit(f"{log.read_text(errors='replace')}dockerd did not start within {START_SECONDS} s")


if __name__ == "__main__":
    sys.exit(inside_namespaces(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
