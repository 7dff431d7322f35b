"""What every event source is, and what the front doors have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.adapter.sources import recognise

if TYPE_CHECKING:
    from penstock.adapter.asgi import Scope
    from penstock.adapter.reply import Reply
    from penstock.adapter.settings import Settings

# AWS Lambda quotas, invocation payload (synchronous): 6 MB, and Lambda refuses what is above this.
LAMBDA_ANSWER_LIMIT = 6_291_556


class EventSource:
    """One front door, in both directions of its own format and nothing else.

    Subclass it for a source of your own, and hand an instance to ``LambdaAdapter(sources=[…])``:
    its ``matches`` is asked before penstock's own sources. An instance of one of penstock's own
    classes takes the place of the one that penstock would have used.

    Attributes: ``name``; ``time_limit``, the seconds that the front door waits for an answer
    (None: as long as Lambda does).
    """

    name: str = ""
    time_limit: float | None = None

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

        The scope is as ``read`` returned it, and holds what the application wrote into it since.
        """
        raise NotImplementedError(f"{type(self).__name__} must define write")

    def answer_limit(self, event: Any) -> int:
        """The most bytes that the serialised answer to this event may have, inclusive."""
        return LAMBDA_ANSWER_LIMIT


def gateway_client(facts: dict[str, Any]) -> tuple[str, int] | None:
    """Return the client that API Gateway or a Function URL asserts, never one from a header.

    Consoles and templates write words for the address: they pass as they are.
    """
    address = facts.get("sourceIp")
    return (address, 0) if address and isinstance(address, str) else None


def gateway_scheme(headers: dict[bytes, bytes], context: dict[str, Any]) -> str:
    """Return ``https``, which API Gateway and Function URLs insist on, unless this is local.

    ``sam local`` serves http, says so in ``x-forwarded-proto``, and has a loopback domain name.
    """
    if headers.get(b"x-forwarded-proto") == b"http":
        domain = context.get("domainName")
        if isinstance(domain, str) and domain.split(":")[0] in ("localhost", "127.0.0.1"):
            return "http"
    return "https"
