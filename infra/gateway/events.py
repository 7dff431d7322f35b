"""From a client's request to the event that a front door would invoke the function with."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

from penstock.infra.gateway.balancers import alb_event, lattice_1_event, lattice_2_event
from penstock.infra.gateway.door import REGION, Door
from penstock.infra.gateway.edge import BODY_LIMITS, edge_event
from penstock.infra.gateway.messages import SOURCES, RequestRefused
from penstock.infra.gateway.payload_one import http_api_1_event, rest_event
from penstock.infra.gateway.payload_two import function_url_event, http_api_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.infra.gateway.messages import ClientRequest

EVENT_LIMIT_BYTES = 6_291_456
"""The largest event that Lambda takes; inclusive ("Lambda quotas")."""

_GROWTH_OF_ESCAPES = 6

_EXECUTE_API = f"a1b2c3d4e5.execute-api.{REGION}.amazonaws.com"
_STAGES = {"rest-api": "prod", "http-api": "$default", "http-api-1": "$default"}
_DOMAINS = {
    "rest-api": _EXECUTE_API,
    "http-api": _EXECUTE_API,
    "http-api-1": _EXECUTE_API,
    "function-url": f"a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6.lambda-url.{REGION}.on.aws",
    "alb": f"functions-1234567890.{REGION}.elb.amazonaws.com",
    "alb-multi": f"functions-1234567890.{REGION}.elb.amazonaws.com",
    "edge": "d111111abcdef8.cloudfront.net",
    "lattice-1": f"functions-0a40eebed65f8d69c.7d67968.vpc-lattice-svcs.{REGION}.on.aws",
    "lattice-2": f"functions-0a40eebed65f8d69c.7d67968.vpc-lattice-svcs.{REGION}.on.aws",
}
_MAKERS: dict[str, Callable[[ClientRequest, Door], dict[str, Any]]] = {
    "rest-api": rest_event,
    "http-api": http_api_event,
    "http-api-1": http_api_1_event,
    "function-url": function_url_event,
    "alb": lambda request, door: alb_event(request, door, multi_value=False),
    "alb-multi": lambda request, door: alb_event(request, door, multi_value=True),
    "edge": edge_event,
    "lattice-1": lattice_1_event,
    "lattice-2": lattice_2_event,
}


def make_event(
    source: str,
    request: ClientRequest,
    *,
    stage: str | None = None,
    domain: str | None = None,
    base_path_mapping: str | None = None,
    binary_media_types: tuple[str, ...] | None = None,
    scheme: str | None = None,
    edge_event_type: str = "viewer-request",
    request_id: str | None = None,
    time_ms: int | None = None,
) -> dict[str, Any]:
    """Return the event that the front door ``source`` (one of ``SOURCES``) sends for a request.

    The event is what AWS would send, loss included, and a new JSON-like object every time.

    Args:
        source: the front door's name.
        request: what the client sent, less the stage and the base path.
        stage: ``rest-api`` (default ``prod``), ``http-api`` and ``http-api-1`` (``$default``).
        domain: what the client connects to; by default one of AWS's own domains, where a stage
            is part of the client's URL. Also the ``Host``, unless the request brings one.
        base_path_mapping: ``rest-api`` on a custom domain: the first segment of the client's URL.
        binary_media_types: ``rest-api``: the API's setting; ``()`` is AWS's default, which
            damages bytes that are not UTF-8. ``None`` stands for an API that lists what it needs.
        scheme: ``alb``: the listener's, ``https`` (default) or ``http``.
        edge_event_type: ``edge``: ``viewer-request`` or ``origin-request``.
        request_id: the door's own identifier; default random.
        time_ms: time of arrival in milliseconds since the epoch; default now.

    Raises:
        ValueError: the source is unknown, or a setting does not exist there.
        RequestRefused: the door would answer this request itself, with an error.

    >>> from penstock.infra.gateway import ClientRequest, make_event
    >>> make_event("function-url", ClientRequest("GET", "/a%20b?x=1"))["rawPath"]
    '/a%20b'

    """
    if source not in _MAKERS:
        raise ValueError(f"expected one of {', '.join(SOURCES)} as event source, got {source!r}")
    if stage is not None and source not in _STAGES:
        raise ValueError(f"{source} has no stages: leave out stage={stage!r}")
    if base_path_mapping is not None and source != "rest-api":
        raise ValueError(f"base path mappings are known for rest-api only, not for {source}")
    if binary_media_types is not None and source != "rest-api":
        raise ValueError(f"binary media types are a setting of rest-api, not of {source}")
    if scheme is not None and (not source.startswith("alb") or scheme not in {"http", "https"}):
        raise ValueError(f"expected scheme to be http or https on alb, got {scheme!r} on {source}")
    if edge_event_type not in BODY_LIMITS:
        raise ValueError(f"expected one of {', '.join(BODY_LIMITS)}, got {edge_event_type!r}")
    mapping = f"/{base_path_mapping.strip('/')}" if base_path_mapping else ""
    door = Door(
        stage=stage or _STAGES.get(source, "$default"),
        domain=domain or ("api.example.com" if mapping else _DOMAINS[source]),
        base_path_mapping=mapping,
        binary_media_types=binary_media_types,
        scheme=scheme or "https",
        edge_event_type=edge_event_type,
        request_id=request_id or str(uuid.uuid4()),
        time_ms=int(time.time() * 1000) if time_ms is None else time_ms,
    )
    if mapping and door.on_execute_api:
        raise ValueError(f"a base path mapping needs a custom domain, got {domain!r}")
    event = _MAKERS[source](request, door)
    # What is shorter cannot reach the limit, whatever JSON escapes in it.
    if len(request.body) * _GROWTH_OF_ESCAPES > EVENT_LIMIT_BYTES:
        size = len(json.dumps(event, ensure_ascii=False).encode())
        if size > EVENT_LIMIT_BYTES:
            raise RequestRefused(
                f"expected an event of at most {EVENT_LIMIT_BYTES} bytes of JSON, got {size}", 413
            )
    return event
