from __future__ import annotations

import asyncio

import pytest

from tests.differential.both import penstocks_loop


@pytest.fixture(autouse=True)
def _current_loop() -> None:
    """Mangum's constructor makes an event loop where there is none, and nobody would close it."""
    asyncio.set_event_loop(penstocks_loop())
