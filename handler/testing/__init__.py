"""A test client for any ASGI application, in process, with nothing to install.

``AsyncClient`` is for asynchronous tests, ``Client`` for the others::

    with Client(app) as client:  # start-up here, shutdown at the end of the block
        assert client.get("/").json() == {"hello": "world"}
"""

from __future__ import annotations

from penstock.handler.exceptions import WebSocketDisconnect
from penstock.handler.testing.answer import Answer
from penstock.handler.testing.blocking import Client
from penstock.handler.testing.client import AsyncClient, TooManyRedirects
from penstock.handler.testing.exchange import LifespanFailed
from penstock.handler.testing.session import WebSocketDenied

__all__ = [
    "Answer",
    "AsyncClient",
    "Client",
    "LifespanFailed",
    "TooManyRedirects",
    "WebSocketDenied",
    "WebSocketDisconnect",
]
