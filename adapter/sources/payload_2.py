"""Payload format 2.0: API Gateway HTTP APIs, and Lambda Function URLs.

Source: API Gateway Developer Guide, "Create AWS Lambda proxy integrations for HTTP APIs"; Lambda
Developer Guide, "Invoking Lambda function URLs".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.adapter.body import decode_body
from penstock.adapter.errors import EventError
from penstock.adapter.headers import encode_headers, is_clean
from penstock.adapter.scope import (
    ascii_query,
    encode_query,
    gateway_client,
    gateway_scheme,
    http_scope,
    mount,
    quote_path,
    split_path,
)
from penstock.adapter.sources import LAMBDA_ANSWER_LIMIT, EventSource

if TYPE_CHECKING:
    from penstock.adapter.asgi import Headers, Scope
    from penstock.adapter.reply import Reply
    from penstock.adapter.settings import Settings


class HTTPAPI(EventSource):
    """API Gateway HTTP API."""

    name = "http-api"
    time_limit: float | None = 30.0

    def read(self, event: Any, settings: Settings) -> tuple[Scope, bytes]:
        context = event["requestContext"]
        http = context["http"]
        body = decode_body(self.name, event.get("body"), is_base64=event.get("isBase64Encoded"))
        headers, by_name = encode_headers(self.name, None, event.get("headers"))
        if event.get("cookies"):
            headers = _with_cookies(self.name, headers, by_name, event["cookies"])
        path, raw_path, root_path = self._paths(event, context, settings.root_path)
        path, root_path = mount(settings, root_path, path)
        query = event.get("rawQueryString")
        scope = http_scope(
            self.name,
            settings,
            event,
            body,
            method=http.get("method"),
            path=path,
            raw_path=raw_path,
            root_path=root_path,
            query=ascii_query(self.name, query)
            if query is not None
            else encode_query(None, event.get("queryStringParameters")),
            headers=headers,
            by_name=by_name,
            scheme=gateway_scheme(by_name, context),
            client=gateway_client(http),
            domain=context.get("domainName"),
            protocol=http.get("protocol"),
        )
        return scope, body

    def _paths(
        self, event: dict[str, Any], context: dict[str, Any], configured: str | None
    ) -> tuple[str, str, str]:
        # Decoded by the gateway: decoding it again would turn a client's %2541 into A.
        path = event["rawPath"]
        if not path.startswith("/"):
            path = "/" + path
        root_path = configured
        if root_path is None:
            root_path, path = _stage(context, path)
        else:
            path = root_path + path
        return path, quote_path(path), root_path

    def write(self, reply: Reply, scope: Scope, settings: Settings) -> dict[str, Any]:
        """Cookies in their list, other repeated headers joined: there is no multi-value map."""
        headers: dict[str, str] = {}
        cookies: list[str] = []
        for name, value in reply.headers:
            if name == "set-cookie":
                cookies.append(value)
            elif name in headers:
                headers[name] = f"{headers[name]}, {value}"
            else:
                headers[name] = value
        return {
            "statusCode": reply.status,
            "headers": headers,
            "cookies": cookies,
            "body": reply.body,
            "isBase64Encoded": reply.is_base64,
        }


class FunctionURL(HTTPAPI):
    """Lambda Function URL: the shape of an HTTP API, but ``rawPath`` is encoded."""

    name = "function-url"
    time_limit = None
    prelude_limit = LAMBDA_ANSWER_LIMIT  # none of its own is documented

    def _paths(
        self, event: dict[str, Any], context: dict[str, Any], configured: str | None
    ) -> tuple[str, str, str]:
        root_path = configured or ""
        return *split_path(event["rawPath"], root_path), root_path


def _with_cookies(
    source: str, headers: Headers, by_name: dict[bytes, bytes], cookies: object
) -> Headers:
    if not isinstance(cookies, list):
        raise EventError(source, "cookies", f"expected a list, got {type(cookies).__name__}")
    line = "; ".join([str(cookie) for cookie in cookies if cookie is not None])
    if not is_clean(line):
        raise EventError(source, "cookies", "expected text without CR, LF and NUL, got some with")
    # An HTTP API takes cookies out of the headers; a Function URL leaves them there as well, and
    # they must not double.
    if b"cookie" in by_name:
        headers = [pair for pair in headers if pair[0] != b"cookie"]
    value = by_name[b"cookie"] = line.encode("utf-8", "surrogatepass")
    headers.append((b"cookie", value))
    return headers


def _stage(context: dict[str, Any], path: str) -> tuple[str, str]:
    """Return root path and path: ``rawPath`` has a named stage that only execute-api URLs have."""
    stage = context.get("stage")
    if not isinstance(stage, str) or stage in ("", "$default"):
        return "", path
    root_path = f"/{stage}"
    if path != root_path and not path.startswith(root_path + "/"):
        return "", path
    domain = context.get("domainName")
    if isinstance(domain, str) and ".execute-api." not in domain:
        return "", path[len(root_path) :] or "/"
    return root_path, path
