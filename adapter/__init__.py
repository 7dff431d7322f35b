"""Run any ASGI application on AWS Lambda.

>>> from penstock.adapter import LambdaAdapter
"""

from __future__ import annotations

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
