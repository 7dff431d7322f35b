"""The hook that is called after each invocation, before Lambda freezes the sandbox."""

from __future__ import annotations

import asyncio
import logging
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from penstock.adapter.cycle import seconds_left

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.adapter.transport import Transport

logger = logging.getLogger("penstock")


class Hook:
    """``before_freeze``: what it raises is logged, as telemetry must not take an answer away.

    One that is asynchronous is cancelled ``margin_s`` seconds before Lambda's deadline.
    """

    def __init__(self, function: Callable[[], Any], margin_s: float) -> None:
        self._function = function
        self._margin_s = margin_s

    async def run(self, context: Any, transport: Transport | None = None) -> None:
        """Call it, and wait for it, as long as ``transport`` allows if there is one."""
        try:
            result = self._function()
            if isawaitable(result):
                left_s = seconds_left(context)
                limit_s = None if left_s is None else max(left_s - self._margin_s, 0)
                await (transport.finish if transport else asyncio.wait_for)(result, limit_s)
        except Exception:
            logger.exception(
                "request %s: before_freeze failed", getattr(context, "aws_request_id", None)
            )
