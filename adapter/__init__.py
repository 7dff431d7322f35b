"""Run any ASGI application on AWS Lambda.

>>> from penstock.adapter import LambdaAdapter

Names are imported at their first use: importing the package alone loads nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.adapter.adapter import LambdaAdapter
    from penstock.adapter.errors import (
        ApplicationError,
        ClientDisconnected,
        ConfigurationError,
        EventError,
        EventFailed,
        LifespanError,
        PayloadTooLarge,
        PenstockError,
        ProtocolError,
        RuntimeAPIError,
        UnsupportedEvent,
    )
    from penstock.adapter.reply import Reply
    from penstock.adapter.sources import EventSource

__all__ = [
    "ApplicationError",
    "ClientDisconnected",
    "ConfigurationError",
    "EventError",
    "EventFailed",
    "EventSource",
    "LambdaAdapter",
    "LifespanError",
    "PayloadTooLarge",
    "PenstockError",
    "ProtocolError",
    "Reply",
    "RuntimeAPIError",
    "UnsupportedEvent",
]

# Where a name is; all others are errors.
_MODULES = {"EventSource": "sources", "LambdaAdapter": "adapter", "Reply": "reply"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        # Not one of ours: a module below this package, or nothing.
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = _MODULES.get(name, "errors")
    value = getattr(import_module(f"penstock.adapter.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
