"""Container images, built of the Dockerfile in the documentation."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
import sys
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import base_image
import docker
import pytest
import sam_project
from emulator import free_ports
from sam_local import OPTIONS, invoke
from samcli.yamlhelper import yaml_dump
from surface import Client, ServesTheExampleSurface, json_of

from penstock.infra.gateway import ClientRequest, make_event, read_answer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.engine

PAGE = sam_project.ROOT / "docs" / "runtime.md"
BLOCK = re.compile(r"^```dockerfile\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A whole one; and what to say instead of its first line, and of its last two.
DOCUMENTED, ANOTHER_BASE, WRAPPER = BLOCK.findall(PAGE.read_text())
START_SECONDS = 20
ANSWER_SECONDS = 60


def write_stack(folder: Path, dockerfile: str) -> Path:
    """Lay out what the page lays out, and return a template of it."""
    for name in ("app.py", "requirements.txt"):
        shutil.copy(sam_project.EXAMPLE / name, folder / name)
    # The page's dist has penstock alone. These are all, as nothing can be fetched here.
    shutil.copytree(sam_project.PACKAGES, folder / "dist")
    (folder / "Dockerfile").write_text(dockerfile)
    function = {
        "Type": "AWS::Serverless::Function",
        "Properties": {
            "PackageType": "Image",
            "Architectures": [base_image.architecture()],
            "MemorySize": 512,
        },
        "Metadata": {"DockerContext": ".", "Dockerfile": "Dockerfile"},
    }
    template = folder / "template.yaml"
    resources = {"ApiFunction": function}
    template.write_text(
        yaml_dump({"Transform": "AWS::Serverless-2016-10-31", "Resources": resources})
    )
    return template


def sam_build(template: Path) -> Path:
    """Return the template that ``sam build`` writes when it has built the image."""
    command = sam_project.sam("build", "--template", str(template), *OPTIONS)
    done = subprocess.run(
        command,
        cwd=template.parent,
        env=sam_project.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return template.parent / ".aws-sam" / "build" / "template.yaml"


DOCKERFILES: dict[str, str] = {
    "own entry point": DOCUMENTED,
    "wrapper script": DOCUMENTED.partition("ENTRYPOINT")[0] + WRAPPER,
    "another base": ANOTHER_BASE + DOCUMENTED.partition("\n")[2],
}


def with_this_python(dockerfile: str) -> str:
    """Name the Python that the images here have."""
    version = "{}.{}".format(*sys.version_info[:2])
    return re.sub(r"(?<=python:)3\.\d+", version, dockerfile, count=1)


@pytest.fixture(scope="module", params=DOCKERFILES)
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """Which Dockerfile, and the template of the built image."""
    dockerfile = with_this_python(DOCKERFILES[request.param])
    template = write_stack(tmp_path_factory.mktemp("image"), dockerfile)
    return request.param, sam_build(template)


def test_sam_local_invoke(built: tuple[str, Path]) -> None:
    event = make_event("http-api", ClientRequest("GET", "/items/tea?q=1"))
    answer, _ = invoke("ApiFunction", built[1], event)
    assert json_of(read_answer("http-api", answer)) == {"name": "tea", "q": "1"}


class TestDockerRun(ServesTheExampleSurface):
    """The image and the emulator in it, as the page starts them."""

    @pytest.fixture(scope="class")
    @classmethod
    def container(cls, built: tuple[str, Path]) -> Iterator[int]:
        """The port of the emulator in the container."""
        way, template = built
        resources = sam_project.read_template(template)["Resources"]
        image = resources["ApiFunction"]["Properties"]["ImageUri"]
        options: dict[str, Any] = {}
        if way != "wrapper script":
            options = {
                "entrypoint": "/usr/local/bin/aws-lambda-rie",
                "command": ["python", "-m", "penstock.adapter.runtime", "app:app"],
            }
        port, _ = free_ports()
        with closing(docker.from_env()) as engine:
            container = engine.containers.run(
                image, ports={"8080": ("127.0.0.1", port)}, detach=True, **options
            )
            try:
                yield port
            finally:
                container.remove(force=True)

    @pytest.fixture
    def client(self, container: int) -> Client:
        return Client("http-api", lambda event: post(container, event))


def post(port: int, event: object) -> Any:
    """Return the function's answer, once the emulator listens."""
    deadline = time.monotonic() + START_SECONDS
    path = "/2015-03-31/functions/function/invocations"
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
        with closing(connection), suppress(OSError):
            connection.request("POST", path, json.dumps(event))
            return json.loads(connection.getresponse().read())
        time.sleep(0.05)
    pytest.fail(f"the emulator did not listen within {START_SECONDS} s")
