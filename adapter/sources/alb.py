"""Application Load Balancer, with multi-value headers off and on.

Source: Elastic Load Balancing, Application Load Balancers guide, "Use Lambda functions as targets
of an Application Load Balancer".
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from penstock.adapter.body import decode_body
from penstock.adapter.errors import EventError
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

_REASONS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


class ALB(EventSource):
    """A target group with `lambda.multi_value_headers.enabled` off: the last of repeats arrives."""

    name = "alb"

    def read(self, event: Any, settings: Settings) -> tuple[Scope, bytes]:
        body = decode_body(self.name, event.get("body"), is_base64=event.get("isBase64Encoded"))
        headers, by_name = encode_headers(
            self.name, event.get("multiValueHeaders"), event.get("headers")
        )
        encoded_path = event.get("path")
        if not isinstance(encoded_path, str):
            raise EventError(self.name, "path", f"expected text, got {encoded_path!r:.40}")
        root_path = settings.root_path or ""
        path, raw_path = split_path(encoded_path, root_path)
        path, root_path = mount(settings, root_path, path)
        proto = by_name.get(b"x-forwarded-proto", b"").rpartition(b",")[2].strip()
        scope = http_scope(
            self.name,
            settings,
            event,
            body,
            method=event.get("httpMethod"),
            path=path,
            raw_path=raw_path,
            root_path=root_path,
            query=_query(event),
            headers=headers,
            by_name=by_name,
            # A health check has no such header, and must not be redirected to https.
            scheme="http" if proto == b"http" else "https",
            client=forwarded_client(headers, by_name, settings.trusted_hops),
        )
        return scope, body

    def write(self, reply: Reply, scope: Scope, settings: Settings) -> dict[str, Any]:
        """A header is one entry; for cookies, which cannot be joined, the name changes case."""
        headers: dict[str, str] = {}
        cookies = 0
        for name, value in reply.headers:
            if name == "set-cookie":
                headers[_cased_set_cookie(cookies)] = value
                cookies += 1
            elif name in headers:
                headers[name] = f"{headers[name]}, {value}"
            else:
                headers[name] = value
        if cookies > 1:
            _warn_of_cookies_once()
        return _answer(reply, "headers", headers)

    def answer_limit(self, event: Any) -> int:
        return 1_000_000  # "1 MB" in the guide; whether it is 2^20 is not documented


class ALBMulti(ALB):
    """A target group with `lambda.multi_value_headers.enabled` on."""

    name = "alb-multi"

    def write(self, reply: Reply, scope: Scope, settings: Settings) -> dict[str, Any]:
        headers: dict[str, list[str]] = {}
        for name, value in reply.headers:
            headers.setdefault(name, []).append(value)
        return _answer(reply, "multiValueHeaders", headers)


def _answer(reply: Reply, header_key: str, headers: Any) -> dict[str, Any]:
    return {
        "statusCode": reply.status,
        "statusDescription": _REASONS.get(reply.status, f"{reply.status} Unknown"),
        header_key: headers,
        "body": reply.body,
        "isBase64Encoded": reply.is_base64,
    }


def _query(event: dict[str, Any]) -> bytes:
    # Neither names nor values are decoded by the balancer: any re-encoding would break them.
    pairs = merge_maps(
        event.get("multiValueQueryStringParameters"), event.get("queryStringParameters")
    )
    if not pairs:
        return b""
    return ascii_query(
        "alb", "&".join([f"{name}={'' if value is None else value}" for name, value in pairs])
    )


def _cased_set_cookie(number: int) -> str:
    """The n-th of the 512 ways to write ``set-cookie`` in upper and lower case."""
    letters = []
    for letter in "set-cookie":
        if letter == "-":
            letters.append(letter)
            continue
        number, upper = divmod(number, 2)
        letters.append(letter.upper() if upper else letter)
    return "".join(letters)


_warned_of_cookies = False


def _warn_of_cookies_once() -> None:
    global _warned_of_cookies  # noqa: PLW0603 - once a process is what it says
    if not _warned_of_cookies:
        _warned_of_cookies = True
        logger.warning(
            "several set-cookie headers for a load balancer that takes one: sent under different"
            " spellings. Turn on lambda.multi_value_headers.enabled of the target group."
        )
