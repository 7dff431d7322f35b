"""Lambda@Edge, viewer-request and origin-request, answered by the function itself.

Source: CloudFront Developer Guide, "Lambda@Edge event structure" and "Restrictions on edge
functions".
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from penstock.adapter.body import decode_body
from penstock.adapter.errors import EventError
from penstock.adapter.headers import as_map, encode_headers
from penstock.adapter.reply import Reply
from penstock.adapter.scope import ascii_query, http_scope, mount, split_path
from penstock.adapter.sources import EventSource

if TYPE_CHECKING:
    from penstock.adapter.asgi import Scope
    from penstock.adapter.settings import Settings

logger = logging.getLogger("penstock")

_REASONS = {status.value: status.phrase for status in HTTPStatus}

# Disallowed everywhere, or read-only in viewer or in origin requests: CloudFront answers 502 to
# them, so all are left out.
_REFUSED = frozenset(
    (
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "trailer",
        "upgrade",
        "x-accel-buffering",
        "x-accel-charset",
        "x-accel-limit-rate",
        "x-accel-redirect",
        "x-amzn-auth",
        "x-amzn-cf-billing",
        "x-amzn-cf-id",
        "x-amzn-cf-xff",
        "x-amzn-errortype",
        "x-amzn-fle-profile",
        "x-amzn-header-count",
        "x-amzn-header-order",
        "x-amzn-lambda-integration-tag",
        "x-amzn-requestid",
        "x-cache",
        "x-forwarded-proto",
        "x-real-ip",
        "content-length",
        "host",
        "transfer-encoding",
        "via",
        "accept-encoding",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
    )
)
_REFUSED_PREFIXES = ("x-amz-cf-", "x-edge-")


class Edge(EventSource):
    """CloudFront, before its cache (viewer-request) or behind it (origin-request)."""

    name = "edge"
    time_limit = 30.0

    def read(self, event: Any, settings: Settings) -> tuple[Scope, bytes]:
        cf = event["Records"][0]["cf"]
        request = cf["request"]
        if not isinstance(request, dict):
            raise EventError(
                self.name, "Records[0].cf.request", f"expected a map, got {request!r:.40}"
            )
        content = as_map(request.get("body"))
        if content.get("inputTruncated"):
            raise EventError(
                self.name,
                "Records[0].cf.request.body",
                "CloudFront cut the body off at its limit, and a part of it is of no use",
                status=413,
            )
        body = decode_body(
            self.name,
            content.get("data"),
            is_base64=content.get("encoding") == "base64",
            field="Records[0].cf.request.body.data",
        )
        uri = request.get("uri")
        if not isinstance(uri, str):
            raise EventError(
                self.name, "Records[0].cf.request.uri", f"expected text, got {uri!r:.40}"
            )
        root_path = settings.root_path or ""
        path, raw_path = split_path(uri, root_path)
        path, root_path = mount(settings, root_path, path)
        headers, by_name = encode_headers(self.name, _values(request), None)
        client = request.get("clientIp")
        config = as_map(cf.get("config"))
        proto = by_name.get(b"cloudfront-forwarded-proto")
        scope = http_scope(
            self.name,
            settings,
            event,
            body,
            method=request.get("method"),
            path=path,
            raw_path=raw_path,
            root_path=root_path,
            query=ascii_query(self.name, request.get("querystring")),
            headers=headers,
            by_name=by_name,
            # Before its cache CloudFront has not written this header: a viewer has ("Restrictions
            # on Lambda@Edge", CloudFront headers).
            scheme="http" if proto == b"http" and _is_behind_cache(config) else "https",
            client=(client, 0) if client and isinstance(client, str) else None,
            domain=config.get("distributionDomainName"),
        )
        return scope, body

    def write(self, reply: Reply, scope: Scope, settings: Settings) -> dict[str, Any]:
        """A generated response: text for the status, a list of entries for each header."""
        if reply.status < 200:
            logger.error(
                "request %s: expected a status from 200 to 599, which CloudFront takes, got %d:"
                " answered 500",
                getattr(scope["aws.context"], "aws_request_id", None),
                reply.status,
            )
            reply = Reply.plain(500, "")
        headers: dict[str, list[dict[str, str]]] = {}
        for name, value in reply.headers:
            if name in _REFUSED or name.startswith(_REFUSED_PREFIXES):
                logger.debug("left out header %s, which CloudFront refuses", name)
            else:
                headers.setdefault(name, []).append({"key": name, "value": value})
        answer: dict[str, Any] = {
            "status": str(reply.status),
            "statusDescription": _REASONS.get(reply.status, "Unknown"),
            "headers": headers,
        }
        if reply.body:
            answer["body"] = reply.body
            answer["bodyEncoding"] = "base64" if reply.is_base64 else "text"
        return answer

    def answer_limit(self, event: Any) -> int:
        config = as_map(event["Records"][0]["cf"].get("config"))
        return 1_000_000 if _is_behind_cache(config) else 40_000


def _is_behind_cache(config: dict[str, Any]) -> bool:
    return config.get("eventType") == "origin-request"


def _values(request: dict[str, Any]) -> dict[Any, list[Any]]:
    """The headers with the values of their entries."""
    return {
        name: [entry.get("value") for entry in entries if isinstance(entry, dict)]
        for name, entries in as_map(request.get("headers")).items()
        if isinstance(entries, list)
    }
