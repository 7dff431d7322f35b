"""Middleware that any service wants, each by itself.

::

    ASGIHandler(
        routes,
        middleware=[
            RequestId(),
            AllowedHosts(),
            SecurityHeaders(hsts_seconds=31_536_000),
            CORS(allow_origins=["https://app.example.com"]),
            BodyLimit(1_000_000),
            GZip(),
            ConditionalGet(),
        ],
    )

This is the order to use them in: the id of a request comes first so that every record has it, the
headers are set on refusals too, and a body is compared before it is compressed. Each works with
sync and async views, alone and with any other middleware.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.handler.batteries.allowed_hosts import AllowedHosts
    from penstock.handler.batteries.body_limit import BodyLimit
    from penstock.handler.batteries.conditional_get import ConditionalGet
    from penstock.handler.batteries.cors import CORS
    from penstock.handler.batteries.gzipping import GZip
    from penstock.handler.batteries.request_id import RequestId, RequestIdFilter, get_request_id
    from penstock.handler.batteries.security_headers import SecurityHeaders

_MODULES = {
    "AllowedHosts": "allowed_hosts",
    "BodyLimit": "body_limit",
    "CORS": "cors",
    "ConditionalGet": "conditional_get",
    "GZip": "gzipping",
    "RequestId": "request_id",
    "RequestIdFilter": "request_id",
    "SecurityHeaders": "security_headers",
    "get_request_id": "request_id",
}

__all__ = [
    "CORS",
    "AllowedHosts",
    "BodyLimit",
    "ConditionalGet",
    "GZip",
    "RequestId",
    "RequestIdFilter",
    "SecurityHeaders",
    "get_request_id",
]


def __getattr__(name: str) -> Any:
    """Import a layer at its first use: a function pays for what it needs."""
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
