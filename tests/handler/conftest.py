"""Signals as they were before, after every test; generated examples without a clock."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from penstock.handler.signals import got_request_exception, request_finished, request_started

if TYPE_CHECKING:
    from collections.abc import Iterator

# The machine may be busy, and a test asserts no time.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


class Signals(list[tuple[str, dict[str, Any]]]):
    """What the kernel's signals said, in order."""

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self]

    def of(self, name: str) -> list[dict[str, Any]]:
        return [fields for kind, fields in self if kind == name]

    @property
    def outcomes(self) -> list[str]:
        return [fields["outcome"] for fields in self.of("finished")]


@pytest.fixture
def no_django(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process without Django, whose signals cost a hop each; for tests that count hops."""
    monkeypatch.delitem(sys.modules, "django.core.signals", raising=False)
    for signal in (request_started, request_finished, got_request_exception):
        signal.disconnect(dispatch_uid="penstock.handler.django_signals")


@pytest.fixture
def signals() -> Iterator[Signals]:
    """Records request_started, request_finished and got_request_exception, without a hop."""
    seen = Signals()

    async def started(**fields: Any) -> None:
        seen.append(("started", fields))

    async def finished(**fields: Any) -> None:
        seen.append(("finished", fields))

    async def failed(**fields: Any) -> None:
        seen.append(("failed", fields))

    pairs = (
        (request_started, started),
        (request_finished, finished),
        (got_request_exception, failed),
    )
    for signal, receiver in pairs:
        signal.connect(receiver, weak=False)
    yield seen
    for signal, receiver in pairs:
        signal.disconnect(receiver)
