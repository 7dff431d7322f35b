"""Everything that is no HTTP request, passed to the application as a ``POST`` of its JSON.

The answer of the application is what the function returns, so partial batch failures, Cognito
triggers and authorizers work as in an ordinary Lambda handler.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from penstock.adapter.errors import EventFailed
from penstock.adapter.headers import as_map
from penstock.adapter.scope import EVENT_SOURCE_HEADER, quote_path
from penstock.adapter.sources import EventSource

if TYPE_CHECKING:
    from penstock.adapter.asgi import Scope
    from penstock.adapter.reply import Reply
    from penstock.adapter.settings import Settings

_KIND = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._/-]{0,127}")


class Event(EventSource):
    """SQS, SNS, EventBridge, S3, streams, authorizers, warm-up calls: all that is not HTTP."""

    name = "event"

    def read(self, event: Any, settings: Settings) -> tuple[Scope, bytes]:
        from json import dumps

        body = event if isinstance(event, bytes) else dumps(event).encode()
        path = settings.events_path or "/"
        headers = [
            (b"host", b"lambda.local"),
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (EVENT_SOURCE_HEADER, event_kind(event).encode("ascii")),
        ]
        trace = os.environ.get("_X_AMZN_TRACE_ID")
        if trace:
            headers.append((b"x-amzn-trace-id", trace.encode("latin-1", "replace")))
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.5"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "https",
            "path": path,
            "raw_path": quote_path(path).encode("ascii"),
            "query_string": b"",
            "root_path": "",
            "headers": headers,
            "client": None,
            "server": ("lambda.local", 443),
            "aws.event": event,
        }
        return scope, body

    def write(self, reply: Reply, scope: Scope, settings: Settings) -> Any:
        """Return the JSON of the answer; null for no body, text that is no JSON as a string.

        Bytes that are no text come as ``{"body": …, "isBase64Encoded": true}``.
        Raises: EventFailed if the status is a failure, or if the application has not answered (it
        raised, or was late): Lambda must not take the event for done.
        """
        failures = settings.event_failures
        if reply.is_substitute or (
            reply.status in failures if failures is not None else not 200 <= reply.status < 300
        ):
            is_page = dict(reply.headers).get("content-type", "").startswith("text/html")
            raise EventFailed(
                event_kind(scope["aws.event"]),
                scope["path"],
                reply.status,
                "" if is_page else reply.body,
            )
        if not reply.body:
            return None
        if reply.is_base64:
            return {"body": reply.body, "isBase64Encoded": True}
        from json import loads

        try:
            return loads(reply.body)
        except ValueError:
            return reply.body


def event_kind(event: Any) -> str:
    """Return what the event says that it is (``aws:sqs``, ``aws.events``), ``unknown`` if nothing.

    Only for logs and the header ``x-penstock-event-source``; the sender may choose it freely.
    """
    facts = as_map(event)
    records = facts.get("Records", facts.get("records"))
    first = as_map(records[0]) if isinstance(records, list) and records else {}
    for kind in (
        first.get("eventSource"),
        first.get("EventSource"),
        facts.get("eventSource"),
        facts.get("source"),
        facts.get("triggerSource"),
        facts.get("type"),
    ):
        if isinstance(kind, str) and _KIND.fullmatch(kind):
            return kind
    return "aws:cloudfront" if "cf" in first else "unknown"
