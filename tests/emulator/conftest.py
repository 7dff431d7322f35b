from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.register_assert_rewrite("surface")

from emulator import Emulator  # noqa: E402 - after the registration
from surface import EXAMPLES, ROOT, Client  # noqa: E402 - the same

from penstock.infra.gateway import SOURCES  # noqa: E402 - the same

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

APPS = Path(__file__).parent / "apps"
AWS_CLIENT = (sys.executable, "-m", "awslambdaric")
# AWS's client writes JSON differently on its managed runtimes and everywhere else.
MANAGED, OTHER = {"AWS_EXECUTION_ENV": "AWS_Lambda_python3.13"}, {"AWS_EXECUTION_ENV": None}
OURS = {**MANAGED, "PENSTOCK_APP": "app:app", "PENSTOCK_EVENTS_PATH": "/events"}
RUNTIMES: dict[str, tuple[tuple[str, ...], dict[str, str | None]]] = {
    "managed-runtime": ((*AWS_CLIENT, "app.handler"), {**MANAGED}),
    "other-runtime": ((*AWS_CLIENT, "app.handler"), {**OTHER}),
    "taken-over": ((*AWS_CLIENT, "penstock.adapter.runtime.handler"), {**OURS}),
    "started": ((sys.executable, "-m", "penstock.adapter.runtime"), {**OURS}),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.emulator)
            if sys.platform != "linux":
                item.add_marker(pytest.mark.skip("AWS publishes its emulator for Linux only"))


@pytest.fixture(
    scope="session",
    params=[(example, runtime) for example in EXAMPLES for runtime in RUNTIMES],
    ids="-".join,
)
def example_and_emulator(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Emulator]]:
    """One example in one execution environment, which serves all tests of it."""
    example, runtime = request.param
    log = tmp_path_factory.mktemp(example) / "log"
    command, environment = RUNTIMES[runtime]
    folder = ROOT / "examples" / example
    with Emulator(folder, log, command=command, environment=environment) as emulator:
        yield example, emulator


@pytest.fixture
def example(example_and_emulator: tuple[str, Emulator]) -> str:
    return example_and_emulator[0]


@pytest.fixture
def invoke(example_and_emulator: tuple[str, Emulator]) -> Callable[[Any], Any]:
    return example_and_emulator[1].invoke


@pytest.fixture(params=SOURCES)
def client(request: pytest.FixtureRequest, invoke: Callable[[Any], Any]) -> Client:
    return Client(request.param, invoke)


@pytest.fixture(scope="session")
def run_app(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., AbstractContextManager[Emulator]]:
    """Start one of the small applications in ``apps``: ``with run_app("sized") as emulator``."""

    @contextmanager
    def run(name: str, **options: Any) -> Iterator[Emulator]:
        log = tmp_path_factory.mktemp(name) / "log"
        with Emulator(APPS, log, handler=f"{name}.handler", **options) as emulator:
            yield emulator

    return run
