"""VPC Lattice, event structure versions V1 and V2.

Source: VPC Lattice User Guide, "Lambda functions as targets in VPC Lattice". Envoy's "AWS Lambda"
filter sends the shape of V1 too, and wants its answer in snake case.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from penstock.adapter.body import decode_body
from penstock.adapter.headers import encode_headers, merge_maps
from penstock.adapter.scope import (
    ascii_query,
    forwarded_client,
    http_scope,
    mount,
    split_path,
)
from penstock.adapter.sources import EventSource

if TYPE_CHECKING:
    from penstock.adapter.asgi import Scope
    from penstock.adapter.reply import Reply
    from penstock.adapter.settings import Settings

logger = logging.getLogger("penstock")


class Lattice1(EventSource):
    """VPC Lattice with event structure V1, the default; with ``envoy=True``, Envoy's filter."""

    name = "lattice-1"
    path_key = "raw_path"
    time_limit: float | None = None

    def __init__(self, *, envoy: bool = False) -> None:
        self._envoy = envoy

    def read(self, event: Any, settings: Settings) -> tuple[Scope, bytes]:
        is_base64 = event.get("is_base64_encoded", event.get("isBase64Encoded"))
        body = decode_body(self.name, event.get("body"), is_base64=is_base64)
        headers, by_name = encode_headers(self.name, event.get("headers"), None)
        encoded_path, mark, query = event[self.path_key].partition("?")
        if not mark:
            query = _joined(
                event.get("query_string_parameters", event.get("queryStringParameters"))
            )
        root_path = settings.root_path or ""
        path, raw_path = split_path(encoded_path, root_path)
        path, root_path = mount(settings, root_path, path)
        scope = http_scope(
            self.name,
            settings,
            event,
            body,
            method=event["method"],
            path=path,
            raw_path=raw_path,
            root_path=root_path,
            query=ascii_query(self.name, query),
            headers=headers,
            by_name=by_name,
            # Lattice adds no header about it, so whatever says "http" is a client's own word.
            scheme="https",
            client=forwarded_client(headers, by_name, settings.trusted_hops),
        )
        return scope, body

    def write(self, reply: Reply, scope: Scope, settings: Settings) -> dict[str, Any]:
        """One value a header; of several cookies the last, as joining them would mix them up."""
        headers: dict[str, Any] = {}
        cookies: list[str] = []
        for name, value in reply.headers:
            if name == "set-cookie":
                cookies.append(value)
            elif name in headers:
                headers[name] = f"{headers[name]}, {value}"
            else:
                headers[name] = value
        if self._envoy:
            return {
                "status_code": reply.status,
                "headers": headers,
                "cookies": cookies,
                "body": reply.body,
                "is_base64_encoded": reply.is_base64,
            }
        if cookies:
            headers["set-cookie"] = self._set_cookie(cookies, scope)
        return {
            "statusCode": reply.status,
            "headers": headers,
            "body": reply.body,
            "isBase64Encoded": reply.is_base64,
        }

    def _set_cookie(self, cookies: list[str], scope: Scope) -> Any:
        if len(cookies) > 1:
            logger.warning(
                "request %s: %d set-cookie headers, and VPC Lattice V1 carries one: sent the last."
                " Event structure V2 carries them all.",
                getattr(scope["aws.context"], "aws_request_id", None),
                len(cookies),
            )
        return cookies[-1]


class Lattice2(Lattice1):
    """VPC Lattice with event structure V2: lists of values, also in the answer."""

    name = "lattice-2"
    path_key = "path"

    def __init__(self) -> None:
        super().__init__()

    def _set_cookie(self, cookies: list[str], scope: Scope) -> Any:
        return cookies if len(cookies) > 1 else cookies[0]


def _joined(parameters: object) -> str:
    """The query of a map that is still encoded, as it is."""
    pairs = merge_maps(parameters, None)
    return "&".join([f"{name}={'' if value is None else value}" for name, value in pairs])
