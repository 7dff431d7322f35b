"""How fast a streamed answer may leave: a token bucket, without a clock of its own.

Source: "Response streaming for Lambda functions", bandwidth limits; the step is that of AWS's
runtime interface emulator.
"""

from __future__ import annotations

from typing import Final

BURST_BYTES: Final = 6 * 1024 * 1024
RATE_BYTES_PER_S: Final = 2 * 1024 * 1024
STEP_S: Final = 0.125


class TokenBucket:
    """The first 6 MiB pass at once, the rest at 2 MiB a second, in steps of 125 ms."""

    def __init__(
        self, *, burst_bytes: int = BURST_BYTES, rate_bytes_per_s: int = RATE_BYTES_PER_S
    ) -> None:
        self._rate = rate_bytes_per_s
        self._burst = burst_bytes
        self._tokens = burst_bytes
        self._refilled_at: float | None = None

    def spend(self, size_bytes: int, now: float) -> float:
        """Take so many bytes out; return the seconds to wait before they may go on.

        A piece is let through whole once the bucket is not empty, and its debt is paid by the next.
        """
        if self._refilled_at is None:
            self._refilled_at = now
        steps = int((now - self._refilled_at) / STEP_S)
        if steps > 0:
            self._tokens = min(self._burst, self._tokens + int(steps * STEP_S * self._rate))
            self._refilled_at += steps * STEP_S
        self._tokens -= size_bytes
        if self._tokens >= 0:
            return 0.0
        missing_steps = -(self._tokens // int(STEP_S * self._rate))
        return self._refilled_at + missing_steps * STEP_S - now
