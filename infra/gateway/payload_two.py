"""Events of payload format 2.0: HTTP APIs, and Lambda function URLs."""

from __future__ import annotations

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
    lowered,
    media_type,
    multi,
    replace,
    with_content_length,
    with_host,
    with_scheme,
    with_trace,
    without,
)

if TYPE_CHECKING:
    from penstock.infra.gateway.messages import ClientRequest

_COOKIE = frozenset({"cookie"})


def http_api_event(request: ClientRequest, door: Door) -> dict[str, Any]:
    """Return an HTTP API's event of payload format 2.0, from its ``$default`` route.

    Shapes: ``rawPath`` is percent-decoded, ends where a decoded ``?`` stood, and begins with a
    stage other than ``$default`` on every domain; cookies are in ``cookies`` and nowhere else.
    Source: "Create AWS Lambda proxy integrations for HTTP APIs", recorded events.
    """
    path = unquote(request.path).partition("?")[0]
    if door.stage != "$default":
        path = f"/{door.stage}{path}"
    headers = with_content_length(list(request.headers), request.body, always=True)
    headers = append_client(with_host(without(headers, _COOKIE), door), request.client_ip)
    headers = with_scheme(with_trace(headers, door), "https")
    return _event(request, door, headers, paths=(path, path), account=ACCOUNT)


def function_url_event(request: ClientRequest, door: Door) -> dict[str, Any]:
    """Return a function URL's event (no authentication): ``rawPath`` stays percent-encoded.

    Shapes: cookies are in ``cookies`` and in ``headers.cookie``; forwarding headers of the
    client are overwritten.
    Source: "Invoking Lambda function URLs", recorded events.
    """
    headers = with_content_length(list(request.headers), request.body, always=False)
    headers = with_host(without(headers, _COOKIE), door)
    if cookies := request.values("cookie"):
        headers = [*headers, ("cookie", "; ".join(cookies))]
    headers = replace(headers, "x-forwarded-for", request.client_ip)
    headers = with_scheme(with_trace(headers, door), "https")
    headers = replace(headers, "x-amzn-tls-version", "TLSv1.3")
    headers = replace(headers, "x-amzn-tls-cipher-suite", "TLS_AES_128_GCM_SHA256")
    paths = (request.path, unquote(request.path))
    return _event(request, door, headers, paths=paths, account="anonymous")


def _event(
    request: ClientRequest, door: Door, headers: Pairs, *, paths: tuple[str, str], account: str
) -> dict[str, Any]:
    raw_path, context_path = paths
    cookies = [
        cookie.strip()
        for line in request.values("cookie")
        for cookie in line.split(";")
        if cookie.strip()
    ]
    query = multi(decoded_query(request.query))
    body, is_base64 = encoded_body(request.body, text=is_text_type(media_type(request)))
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": raw_path,
        "rawQueryString": request.query,
        **({"cookies": cookies} if cookies else {}),
        "headers": {name: ",".join(values) for name, values in multi(lowered(headers)).items()},
        **(
            {"queryStringParameters": {key: ",".join(values) for key, values in query.items()}}
            if query
            else {}
        ),
        "requestContext": {
            "accountId": account,
            "apiId": door.api_id,
            "domainName": door.domain,
            "domainPrefix": door.domain_prefix,
            "http": {
                "method": request.method,
                "path": context_path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.client_ip,
                "userAgent": (request.values("user-agent") or [""])[-1],
            },
            "requestId": door.request_id,
            "routeKey": "$default",
            "stage": door.stage,
            "time": door.log_time,
            "timeEpoch": door.time_ms,
        },
        **({"body": body} if body else {}),
        "isBase64Encoded": is_base64,
    }
