from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pytest.register_assert_rewrite("surface")

from surface import EXAMPLES, Client, load_example  # noqa: E402 - after its registration

from penstock.infra.gateway import SOURCES  # noqa: E402 - the same

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.adapter import LambdaAdapter


@pytest.fixture(scope="session", params=EXAMPLES)
def example(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="session")
def handler(example: str) -> Iterator[LambdaAdapter]:
    adapter: LambdaAdapter = load_example(example).handler
    yield adapter
    adapter.close()


@pytest.fixture(scope="session")
def invoke(handler: LambdaAdapter) -> Any:
    return handler


@pytest.fixture(scope="session", params=SOURCES)
def client(request: pytest.FixtureRequest, invoke: Any) -> Client:
    return Client(request.param, invoke)
