from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import pytest

pytest.register_assert_rewrite("surface")

from surface import EXAMPLES, Client, answer_of, load_example  # noqa: E402 - after its registration

from penstock.infra.gateway import SOURCES  # noqa: E402 - the same

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Invoke = Callable[[Any], Any]


@pytest.fixture(scope="session", params=EXAMPLES)
def example(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="session")
def invoke(example: str) -> Iterator[Invoke]:
    if example == "django":
        # Its settings are global to a process, in which other tests have theirs.
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            yield lambda event: process.submit(answer_of, example, event).result()
    else:
        adapter = load_example(example).handler
        yield adapter
        adapter.close()


@pytest.fixture(scope="session", params=SOURCES)
def client(request: pytest.FixtureRequest, invoke: Any) -> Client:
    return Client(request.param, invoke)
