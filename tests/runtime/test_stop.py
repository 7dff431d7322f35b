"""How long there is after SIGTERM."""

from __future__ import annotations

import pytest

from penstock.adapter.runtime.stop import INVOCATIONS_S, SHUTDOWN_S, StopSignal


def test_all_waits_after_the_signal_share_one_end() -> None:
    now = 100.0
    stop = StopSignal(lambda: now)
    assert stop.left_s() == INVOCATIONS_S
    now = 200.0
    stop.request()
    now += INVOCATIONS_S / 2
    stop.request()  # a second signal gives no more time
    assert stop.left_s() == pytest.approx(INVOCATIONS_S / 2)
    assert stop.grace_s == pytest.approx(INVOCATIONS_S / 6)
    assert stop.left_s(SHUTDOWN_S) == pytest.approx(SHUTDOWN_S - INVOCATIONS_S / 2)
    now += 60  # of code that blocks
    assert 0 < stop.left_s() == stop.left_s(SHUTDOWN_S) < INVOCATIONS_S
