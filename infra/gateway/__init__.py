"""AWS's half of every front door: requests become events, answers become responses.

``make_event`` and ``read_answer`` are the two directions of an HTTP front door;
``make_trigger_event`` makes the events of queues, topics, streams and schedules.
"""

from __future__ import annotations

from penstock.infra.gateway.answers import read_answer
from penstock.infra.gateway.events import make_event
from penstock.infra.gateway.messages import (
    SOURCES,
    ClientRequest,
    ClientResponse,
    MalformedAnswer,
    RequestRefused,
)
from penstock.infra.gateway.triggers import TRIGGERS, make_trigger_event

__all__ = [
    "SOURCES",
    "TRIGGERS",
    "ClientRequest",
    "ClientResponse",
    "MalformedAnswer",
    "RequestRefused",
    "make_event",
    "make_trigger_event",
    "read_answer",
]
