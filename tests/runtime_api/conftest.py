from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIMIT_S = 60


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave AWS's Node.js client out unless it is asked for: npm builds it for a minute."""
    if "node" in config.option.markexpr:
        return
    left_out = [item for item in items if item.get_closest_marker("node")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run coroutine functions on a loop of their own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}

    async def limited() -> None:
        async with asyncio.timeout(LIMIT_S):
            await pyfuncitem.obj(**arguments)

    asyncio.run(limited())
    return True


@pytest.fixture
def app(tmp_path: Path) -> Callable[[str], Path]:
    """Write a module ``app`` and return its folder: ``app("def handler(event, context): …")``."""

    def write(source: str) -> Path:
        (tmp_path / "app.py").write_text(source)
        return tmp_path

    return write
