"""Fixtures of these tests; signals are as they were, after every test; examples have no clock."""

from __future__ import annotations

import gc
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from asgi_calls import http_scope
from form_bodies import read_async, read_sync
from hypothesis import settings

from penstock.handler.signals import got_request_exception, request_finished, request_started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.handler import Signal

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


@pytest.fixture(autouse=True, scope="module")
def no_remains() -> None:
    """What other tests threw away is collected now, not while a test listens to the signals."""
    gc.collect()


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


@pytest.fixture(params=["alone", "supervised"])
def scope(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Of a server that says that there are no disconnects, and of one that does not."""
    alone = request.param == "alone"
    return http_scope(extensions={"penstock": {"no_disconnect": alone}})


@pytest.fixture
def connect() -> Iterator[Callable[[Signal, Any], None]]:
    """Connects a receiver to a signal, until the test ends."""
    with ExitStack() as connected:

        def connect(signal: Signal, receiver: Any) -> None:
            signal.connect(receiver)
            connected.callback(signal.disconnect, receiver)

        yield connect


@pytest.fixture
def failures() -> Iterator[list[Exception]]:
    seen: list[Exception] = []

    def note(exception: Exception, **_: Any) -> None:
        seen.append(exception)

    got_request_exception.connect(note, weak=False)
    yield seen
    got_request_exception.disconnect(note)


@pytest.fixture(params=[read_sync, read_async], ids=["sync", "async"])
def read(request: pytest.FixtureRequest) -> Any:
    return request.param
