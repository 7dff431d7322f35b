"""Events of payload format 1.0: REST APIs, and HTTP APIs that are set to it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from penstock.infra.gateway.door import (
    ACCOUNT,
    Door,
    Pairs,
    append_client,
    decoded_query,
    encoded_body,
    is_text_type,
    media_type,
    multi,
    single,
    with_content_length,
    with_host,
    with_scheme,
    with_trace,
    without,
)

if TYPE_CHECKING:
    from penstock.infra.gateway.messages import ClientRequest

_REST_DROPS = frozenset(
    {
        "connection",
        "content-length",
        "content-md5",
        "expect",
        "max-forwards",
        "server",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "www-authenticate",
    }
)
_REWRITTEN = {
    "content-length": "Content-Length",
    "host": "Host",
    "user-agent": "User-Agent",
    "x-amzn-trace-id": "X-Amzn-Trace-Id",
    "x-forwarded-for": "X-Forwarded-For",
}
_IDENTITY = (
    "accessKey",
    "accountId",
    "caller",
    "cognitoAuthenticationProvider",
    "cognitoAuthenticationType",
    "cognitoIdentityId",
    "cognitoIdentityPoolId",
    "principalOrgId",
    "user",
    "userArn",
)


def rest_event(request: ClientRequest, door: Door) -> dict[str, Any]:
    """Return a REST API's proxy event: encoded path, decoded query, no ``Content-Length``.

    Source: "Lambda proxy integrations in API Gateway", "Amazon API Gateway important notes";
    recorded events for what the two leave open (a leading ``//`` collapses in ``path`` only).
    """
    headers = _forwarded(without(list(request.headers), _REST_DROPS), request, door)
    path = "/" + request.path.lstrip("/")
    proxy = path.strip("/")
    resource = "/{proxy+}" if proxy else "/"
    prefix = f"/{door.stage}" if door.on_execute_api else door.base_path_mapping
    body, is_base64 = _rest_body(request, door)
    method = (request.values("x-http-method-override") or [request.method])[-1]
    mapped = {"rawPath": prefix + path} if door.base_path_mapping else {}
    return {
        "resource": resource,
        "path": path,
        **mapped,
        "httpMethod": method,
        **_maps(headers, request),
        "pathParameters": {"proxy": proxy} if proxy else None,
        "stageVariables": None,
        "requestContext": {
            "resourceId": "res456" if proxy else "res123",
            "resourcePath": resource,
            "deploymentId": "dpl123",
            "requestId": door.request_id,
            "path": prefix + request.path,
            **_context(request, door, method, agent_if_none=None),
        },
        "body": body or None,
        "isBase64Encoded": is_base64,
    }


def http_api_1_event(request: ClientRequest, door: Door) -> dict[str, Any]:
    """Return an HTTP API's event of payload format 1.0, from its ``$default`` route.

    Shapes: ``path`` is encoded and has the stage on the API's own domain only;
    ``requestContext.path`` is decoded and has the stage on every domain.
    Source: "Create AWS Lambda proxy integrations for HTTP APIs", recorded events.
    """
    headers = with_content_length(list(request.headers), request.body, always=True)
    headers = _forwarded(headers, request, door)
    body, is_base64 = encoded_body(request.body, text=is_text_type(media_type(request)))
    staged = request.path if door.stage == "$default" else f"/{door.stage}{request.path}"
    return {
        "version": "1.0",
        "resource": "$default",
        "path": staged if door.on_execute_api else request.path,
        "httpMethod": request.method,
        **_maps(headers, request),
        "requestContext": {
            "resourceId": "$default",
            "resourcePath": "$default",
            "requestId": door.request_id,
            "path": unquote(staged),
            **_context(request, door, request.method, agent_if_none=""),
        },
        "pathParameters": None,
        "stageVariables": None,
        "body": body or None,
        "isBase64Encoded": is_base64,
    }


def _forwarded(headers: Pairs, request: ClientRequest, door: Door) -> Pairs:
    headers = append_client(with_host(headers, door), request.client_ip)
    headers = with_scheme(with_trace(headers, door), "https")
    return [(_REWRITTEN.get(name.lower(), name), value) for name, value in headers]


def _maps(headers: Pairs, request: ClientRequest) -> dict[str, Any]:
    query = decoded_query(request.query)
    return {
        "headers": single(headers),
        "multiValueHeaders": multi(headers),
        "queryStringParameters": single(query) or None,
        "multiValueQueryStringParameters": multi(query) or None,
    }


def _context(
    request: ClientRequest, door: Door, method: str, *, agent_if_none: str | None
) -> dict[str, Any]:
    agents = request.values("user-agent")
    return {
        "accountId": ACCOUNT,
        "apiId": door.api_id,
        "domainName": door.domain,
        "domainPrefix": door.domain_prefix,
        "extendedRequestId": door.extended_request_id,
        "httpMethod": method,
        "identity": {
            **dict.fromkeys(_IDENTITY),
            "sourceIp": request.client_ip,
            "userAgent": agents[-1] if agents else agent_if_none,
        },
        "protocol": "HTTP/1.1",
        "requestTime": door.log_time,
        "requestTimeEpoch": door.time_ms,
        "stage": door.stage,
    }


def _rest_body(request: ClientRequest, door: Door) -> tuple[str, bool]:
    if door.binary_media_types is None:
        return encoded_body(request.body, text=True)
    if {"*/*", media_type(request)} & set(door.binary_media_types) and request.body:
        return base64.b64encode(request.body).decode(), True
    return request.body.decode(errors="replace"), False
