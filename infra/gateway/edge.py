"""Events of Lambda@Edge: viewer requests and origin requests."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from penstock.infra.gateway.door import (
    Door,
    append_client,
    with_content_length,
    with_host,
)

if TYPE_CHECKING:
    from penstock.infra.gateway.messages import ClientRequest

BODY_LIMITS = {"viewer-request": 40_000, "origin-request": 1_000_000}
"""Bytes of a request body, or of a generated answer, by event type; inclusive."""


def edge_event(request: ClientRequest, door: Door) -> dict[str, Any]:
    """Return CloudFront's event, body included, as with the policy that forwards all headers.

    Shapes: headers are lists of entries under lower-case names; the body is always base64, and a
    prefix with ``inputTruncated`` when it is over the limit.
    Source: "Lambda@Edge event structure", "Restrictions on Lambda@Edge".
    """
    origin_request = door.edge_event_type == "origin-request"
    headers = with_content_length(list(request.headers), request.body, always=False)
    headers = with_host(headers, door)
    if origin_request:
        headers = append_client(headers, request.client_ip)
        headers = [*headers, ("Via", f"1.1 {door.domain} (CloudFront)")]
    entries: dict[str, list[dict[str, str]]] = {}
    for name, value in headers:
        entries.setdefault(name.lower(), []).append({"key": name, "value": value})
    limit = BODY_LIMITS[door.edge_event_type]
    return {
        "Records": [
            {
                "cf": {
                    "config": {
                        "distributionDomainName": door.domain,
                        "distributionId": "EDFDVBD6EXAMPLE",
                        "eventType": door.edge_event_type,
                        "requestId": door.request_id,
                    },
                    "request": {
                        "clientIp": request.client_ip,
                        "headers": entries,
                        "method": request.method,
                        "querystring": request.query,
                        "uri": request.path,
                        "body": {
                            "inputTruncated": len(request.body) > limit,
                            "action": "read-only",
                            "encoding": "base64",
                            "data": base64.b64encode(request.body[:limit]).decode(),
                        },
                        **({"origin": _origin()} if origin_request else {}),
                    },
                }
            }
        ]
    }


def _origin() -> dict[str, Any]:
    return {
        "custom": {
            "customHeaders": {},
            "domainName": "example.org",
            "keepaliveTimeout": 5,
            "path": "",
            "port": 443,
            "protocol": "https",
            "readTimeout": 30,
            "sslProtocols": ["TLSv1.2"],
        }
    }
