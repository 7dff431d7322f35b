"""Event sources: what each of them is, and which one an event came from."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.adapter.asgi import Scope
    from penstock.adapter.reply import Reply
    from penstock.adapter.settings import Settings

# AWS Lambda quotas, invocation payload (synchronous): 6 MB, and Lambda refuses what is above this.
LAMBDA_ANSWER_LIMIT = 6_291_556

# API Gateway takes these and no others, and finds the end of them in the first 16 KB or not at all.
_PRELUDE_KEYS = ("statusCode", "headers", "multiValueHeaders", "cookies")
PRELUDE_LIMIT = 16_384 - 8


class EventSource:
    """One front door, in both directions of its own format and nothing else.

    Subclass it for a source of your own, and hand an instance to ``LambdaAdapter(sources=[…])``:
    its ``matches`` is asked before penstock's own sources. An instance of one of penstock's own
    classes takes the place of the one that penstock would have used.

    Attributes: ``name``; ``time_limit``, the seconds that the front door waits for an answer
    (None: as long as Lambda does); ``prelude_limit``, the most bytes that the prelude of a streamed
    answer may have, 0 if the front door cannot stream.
    """

    name: str = ""
    time_limit: float | None = None
    prelude_limit = 0

    def matches(self, event: Any, context: Any) -> bool:
        """True if the event is this source's."""
        return recognise(event) == self.name

    def read(self, event: Any, settings: Settings) -> tuple[Scope, bytes]:
        """Return the ASGI HTTP scope of the event, and the body as bytes.

        The adapter adds ``state``, ``extensions`` and ``aws.context``.
        Raises: EventError if the event cannot be mapped; the client then gets its status.
        """
        raise NotImplementedError(f"{type(self).__name__} must define read")

    def write(self, reply: Reply, scope: Scope, settings: Settings) -> Any:
        """Return what the Lambda function returns for a reply to the request of that scope.

        The scope is as ``read`` returned it, and holds what the application wrote into it since;
        where ``read`` raised EventError, it has ``aws.event`` and ``aws.context`` only.
        """
        raise NotImplementedError(f"{type(self).__name__} must define write")

    def prelude(self, reply: Reply, scope: Scope, settings: Settings) -> dict[str, Any]:
        """Return what goes before the body of a streamed answer: status, headers, cookies.

        Source: Lambda Developer Guide, "Response streaming for Lambda functions"; API Gateway
        Developer Guide, "Set up a Lambda proxy integration with payload response streaming".
        """
        answer = self.write(reply, scope, settings)
        return {key: answer[key] for key in _PRELUDE_KEYS if answer.get(key)}

    def answer_limit(self, event: Any) -> int:
        """The most bytes that the serialised answer to this event may have, inclusive."""
        return LAMBDA_ANSWER_LIMIT


# Loaded when the first event of the kind arrives: a function sits behind one front door, and the
# import of the others would only lengthen its cold start.
_CLASSES = {
    "rest-api": ("payload_1", "RestAPI"),
    "http-api-1": ("payload_1", "HTTPAPI1"),
    "http-api": ("payload_2", "HTTPAPI"),
    "function-url": ("payload_2", "FunctionURL"),
    "alb": ("alb", "ALB"),
    "alb-multi": ("alb", "ALBMulti"),
    "edge": ("edge", "Edge"),
    "lattice-1": ("lattice", "Lattice1"),
    "lattice-2": ("lattice", "Lattice2"),
    "event": ("event", "Event"),
}


_AUTHORIZER_TYPES = ("REQUEST", "TOKEN")
_WEBSOCKET_EVENTS = ("CONNECT", "MESSAGE", "DISCONNECT")


def recognise(event: Any) -> str:
    """Return the name of the event source; ``websocket`` and ``event`` are not HTTP requests.

    Looks at shapes only, never raises. The order matters: many events carry each other's keys
    (``version`` "1.0" is a REST API under ``sam local`` and a Lambda destination record as well).
    """
    if not isinstance(event, dict):
        return "event"
    context = event.get("requestContext")
    if not isinstance(context, dict):
        context = {}
    if event.get("type") in _AUTHORIZER_TYPES and ("methodArn" in event or "routeArn" in event):
        return "event"  # a Lambda authorizer's, which looks like the request that it is asked about
    if "connectionId" in context and context.get("eventType") in _WEBSOCKET_EVENTS:
        return "websocket"
    if "Records" in event:
        return "edge" if _is_edge_request(event["Records"]) else "event"
    if "elb" in context and isinstance(context["elb"], dict):
        return "alb-multi" if isinstance(event.get("multiValueHeaders"), dict) else "alb"
    if (
        "http" in context
        and isinstance(context["http"], dict)
        and isinstance(event.get("rawPath"), str)
    ):
        domain = context.get("domainName")
        at_url = isinstance(domain, str) and ".lambda-url." in domain
        return "function-url" if at_url else "http-api"
    if isinstance(event.get("httpMethod"), str) and isinstance(event.get("path"), str):
        if "messageVersion" in event or "apiPath" in event:
            return "event"  # a Bedrock agent's action
        version = event.get("version")
        return "http-api-1" if version == "1.0" or isinstance(version, int | float) else "rest-api"
    if _is_text(event, "path", "method") and (
        "serviceArn" in context or "serviceNetworkArn" in context
    ):
        return "lattice-2"
    if _is_text(event, "raw_path", "method"):
        return "lattice-1"
    return "event"


def _is_text(event: dict[str, Any], *keys: str) -> bool:
    for key in keys:
        if not isinstance(event.get(key), str):
            return False
    return True


def _is_edge_request(records: Any) -> bool:
    try:
        cf = records[0]["cf"]
        return isinstance(cf, dict) and "request" in cf and "response" not in cf
    except (LookupError, TypeError):
        return False


def described(event: Any) -> str:
    """Return the event in words, without its values: those may be secret."""
    if isinstance(event, dict):
        return f"a map with the keys {', '.join(sorted(map(str, event)))[:300] or '(none)'}"
    return f"{type(event).__name__}, not a map"


def load(name: str) -> EventSource:
    """Return penstock's own event source of that name."""
    module, attribute = _CLASSES[name]
    source: EventSource = getattr(import_module(f"penstock.adapter.sources.{module}"), attribute)()
    return source
