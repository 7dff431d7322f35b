"""A server on a loopback port for real clients, which ``make test-clients`` installs."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.register_assert_rewrite("surface")

from large_file import LargeFile  # noqa: E402 - after the registration
from surface import load_example  # noqa: E402 - the same
from uvicorn_server import serving  # noqa: E402 - the same

from penstock.handler import ASGIHandler, FileResponse, mount, path  # noqa: E402 - the same

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.handler import ASGIRequest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.clients)


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The example, and a large file of ours besides it."""
    file = tmp_path_factory.mktemp("served") / "large.bin"
    file.write_bytes(random.Random(7).randbytes(20_000_003))

    def large(_request: ASGIRequest) -> FileResponse:
        return FileResponse(file)

    example: Any = load_example("handler").app
    app = ASGIHandler([path("large", large), mount("", example)])
    with serving(app) as host:
        yield host


@pytest.fixture
def large(host: str) -> LargeFile:
    content = random.Random(7).randbytes(20_000_003)
    return LargeFile(f"http://{host}/large", content)


@pytest.fixture(scope="session")
def need() -> Callable[[str], str]:
    """Return the path of a client, or skip the test."""

    def find(name: str) -> str:
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"{name} is not here: make test-clients")
        return found

    return find
