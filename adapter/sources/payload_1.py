"""API Gateway payload format 1.0: REST APIs, and HTTP APIs that are set to it.

Source: API Gateway Developer Guide, "Lambda proxy integrations in API Gateway" and "Create AWS
Lambda proxy integrations for HTTP APIs".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.adapter.body import decode_body
from penstock.adapter.headers import as_map, encode_headers
from penstock.adapter.scope import (
    encode_query,
    gateway_client,
    gateway_scheme,
    http_scope,
    mount,
    split_path,
)
from penstock.adapter.sources import PRELUDE_LIMIT, EventSource

if TYPE_CHECKING:
    from penstock.adapter.asgi import Scope
    from penstock.adapter.reply import Reply
    from penstock.adapter.settings import Settings


class RestAPI(EventSource):
    """API Gateway REST API."""

    name = "rest-api"
    time_limit = 29.0
    prelude_limit = PRELUDE_LIMIT

    def read(self, event: Any, settings: Settings) -> tuple[Scope, bytes]:
        context = as_map(event.get("requestContext"))
        body = decode_body(self.name, event.get("body"), is_base64=event.get("isBase64Encoded"))
        headers, by_name = encode_headers(
            self.name, event.get("multiValueHeaders"), event.get("headers")
        )
        multi_query = event.get("multiValueQueryStringParameters")
        query = event.get("queryStringParameters")
        root, full_path = client_path(event, context, settings.root_path)
        path, raw_path = split_path(full_path)
        path, root_path = mount(settings, root if "%" not in root else split_path(root)[0], path)
        scope = http_scope(
            self.name,
            settings,
            event,
            body,
            method=event["httpMethod"],
            path=path,
            raw_path=raw_path,
            root_path=root_path,
            query=encode_query(multi_query, query) if multi_query or query else b"",
            headers=headers,
            by_name=by_name,
            scheme=gateway_scheme(by_name, context),
            client=gateway_client(as_map(context.get("identity"))),
            domain=context.get("domainName"),
            protocol=context.get("protocol"),
        )
        return scope, body

    def write(self, reply: Reply, scope: Scope, settings: Settings) -> dict[str, Any]:
        """The keys that API Gateway takes, and no other: it answers 502 to any other."""
        single: dict[str, str] = {}
        multi: dict[str, list[str]] = {}
        for name, value in reply.headers:
            if name in multi:
                multi[name].append(value)
            elif name in single:
                multi[name] = [single.pop(name), value]
            else:
                single[name] = value
        return {
            "statusCode": reply.status,
            "headers": single,
            "multiValueHeaders": multi,
            "body": reply.body,
            "isBase64Encoded": reply.is_base64,
        }


class HTTPAPI1(RestAPI):
    """API Gateway HTTP API with payload format 1.0."""

    name = "http-api-1"
    time_limit = 30.0
    prelude_limit = 0


def client_path(
    event: dict[str, Any], context: dict[str, Any], configured: str | None
) -> tuple[str, str]:
    """Return the root path, and the whole path that the client asked for, both encoded.

    The event's ``path`` lacks the stage on an execute-api domain (REST) or has it (HTTP API), and
    a base path mapping is in it (older REST APIs) or not (newer): no one key tells.
    """
    path: str = event["path"] or "/"
    if not path.startswith("/"):
        path = "/" + path
    if configured is not None:
        return configured, configured + path
    if "rawPath" in event:  # newer REST APIs behind a base path mapping
        raw = event["rawPath"]
        if isinstance(raw, str) and raw.endswith(path):
            root = raw[: -len(path)].rstrip("/")
            return root, root + path

    domain = context.get("domainName")
    at_execute_api = not isinstance(domain, str) or ".execute-api." in domain
    asked = context.get("path")
    root = ""
    if isinstance(asked, str):
        # Mostly a plain end; a last slash, and percent-escapes, may differ.
        root = asked[: -len(path)].rstrip("/") if asked.endswith(path) else _before(asked, path)
    if root:
        if not at_execute_api and root == f"/{context.get('stage')}":
            return "", path  # an HTTP API on a custom domain: the client's URL has no stage
        return root, root + path
    if not at_execute_api or domain is None:
        return _mapped(event, path), path
    stage = context.get("stage")
    stage_root = f"/{stage}" if isinstance(stage, str) and stage not in ("", "$default") else ""
    if isinstance(asked, str) and _begins(asked, stage_root):
        if not _same(asked, path):
            return stage_root, stage_root + path  # the two disagree: a sample somebody edited
        resource = context.get("resourcePath")
        if not (isinstance(resource, str) and _begins(resource, stage_root)):
            return stage_root, path  # an HTTP API on its own domain: the stage is in the path
    return "", path


def _before(longer: str, path: str) -> str:
    """What ``longer`` has before ``path``, without their last slashes, and decoded if need be."""
    longer, path = longer.rstrip("/"), path.rstrip("/")
    for end in (path, split_path(path)[0]):
        if longer.endswith(end):
            return longer[: len(longer) - len(end)].rstrip("/")
    return ""


def _same(path: str, encoded: str) -> bool:
    """Whether the two are one path: an HTTP API decodes the one in its context."""
    return path in (encoded, split_path(encoded)[0])


def _begins(path: str, prefix: str) -> bool:
    return bool(prefix) and (path == prefix or path.startswith(prefix + "/"))


def _mapped(event: dict[str, Any], path: str) -> str:
    """The base path mapping in front of the resource, on REST APIs that leave it in the path."""
    resource = event.get("resource")
    if not isinstance(resource, str):
        return ""
    for name, value in as_map(event.get("pathParameters")).items():
        resource = resource.replace(f"{{{name}+}}", str(value)).replace(f"{{{name}}}", str(value))
    path = path.rstrip("/")
    if resource.startswith("/") and path.endswith(resource.rstrip("/")):
        return path[: len(path) - len(resource.rstrip("/"))]
    return ""
