"""What a front door knows of a request beyond the request, and what every door does to it."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from penstock.infra.gateway.messages import ClientRequest

Pairs = list[tuple[str, str]]

ACCOUNT = "123456789012"
REGION = "us-east-1"
_TEXT_TYPES = frozenset({"application/json", "application/javascript", "application/xml"})


@dataclass(frozen=True, slots=True)
class Door:
    """One front door's configuration and the identity of one request at it.

    Units: ``time_ms`` is milliseconds since the epoch.
    """

    stage: str
    domain: str
    base_path_mapping: str
    binary_media_types: tuple[str, ...] | None
    scheme: str
    edge_event_type: str
    request_id: str
    time_ms: int

    @property
    def on_execute_api(self) -> bool:
        """Whether the client used the API's own domain, where the stage is part of the URL."""
        return ".execute-api." in self.domain

    @property
    def api_id(self) -> str:
        """The API's identifier, which its own domain begins with."""
        own = self.on_execute_api or ".lambda-url." in self.domain
        return self.domain_prefix if own else "a1b2c3d4e5"

    @property
    def domain_prefix(self) -> str:
        """The first label of the domain."""
        return self.domain.partition(".")[0]

    @property
    def trace_id(self) -> str:
        """The X-Ray header that the door adds, the same for the same request id and time."""
        digest = hashlib.sha256(self.request_id.encode()).hexdigest()
        return f"Root=1-{self.time_ms // 1000:08x}-{digest[:24]}"

    @property
    def extended_request_id(self) -> str:
        """API Gateway's own short identifier, 16 characters, derived from the request id."""
        digest = hashlib.sha256(self.request_id.encode()).digest()
        return base64.urlsafe_b64encode(digest[:11]).decode()

    @property
    def log_time(self) -> str:
        """The time as API Gateway writes it, such as ``14/Apr/2025:22:16:07 +0000``."""
        return datetime.fromtimestamp(self.time_ms // 1000, UTC).strftime("%d/%b/%Y:%H:%M:%S %z")


def with_host(headers: Pairs, door: Door) -> Pairs:
    """Return the headers with a ``Host``, first, when the client sent none."""
    if any(name.lower() == "host" for name, _ in headers):
        return headers
    return [("Host", door.domain), *headers]


def replace(headers: Pairs, name: str, value: str) -> Pairs:
    """Return the headers with one value of a name in place of all that the client sent."""
    return [*without(headers, frozenset({name.lower()})), (name, value)]


def without(headers: Pairs, names: frozenset[str]) -> Pairs:
    """Return the headers less those whose lower-case name is among ``names``."""
    return [pair for pair in headers if pair[0].lower() not in names]


def append_client(headers: Pairs, client_ip: str) -> Pairs:
    """Return the headers with the client's address at the end of the last ``X-Forwarded-For``."""
    for index in reversed(range(len(headers))):
        name, value = headers[index]
        if name.lower() == "x-forwarded-for":
            return [*headers[:index], (name, f"{value}, {client_ip}"), *headers[index + 1 :]]
    return [*headers, ("X-Forwarded-For", client_ip)]


def with_trace(headers: Pairs, door: Door) -> Pairs:
    """Return the headers with a trace header; one that the client sent stays as it is."""
    if any(name.lower() == "x-amzn-trace-id" for name, _ in headers):
        return headers
    return [*headers, ("X-Amzn-Trace-Id", door.trace_id)]


def with_scheme(headers: Pairs, scheme: str) -> Pairs:
    """Return the headers with the port and the scheme of the door's listener."""
    headers = replace(headers, "X-Forwarded-Port", "443" if scheme == "https" else "80")
    return replace(headers, "X-Forwarded-Proto", scheme)


def with_content_length(headers: Pairs, body: bytes, *, always: bool) -> Pairs:
    """Return the headers with the body's true length in octets, instead of any chunked framing."""
    headers = without(headers, frozenset({"transfer-encoding"}))
    sent = any(name.lower() == "content-length" for name, _ in headers)
    if not (always or sent or body):
        return headers
    return replace(headers, "Content-Length", str(len(body)))


def multi(pairs: Pairs) -> dict[str, list[str]]:
    """Return every value of every name."""
    result: dict[str, list[str]] = {}
    for name, value in pairs:
        result.setdefault(name, []).append(value)
    return result


def single(pairs: Pairs) -> dict[str, str]:
    """Return the last value of every name."""
    return dict(pairs)


def lowered(headers: Pairs) -> Pairs:
    """Return the headers with their names in lower case."""
    return [(name.lower(), value) for name, value in headers]


def decoded_query(query: str) -> Pairs:
    """Return the percent-decoded query, sorted by key: API Gateway loses the order between keys."""
    return sorted(parse_qsl(query, keep_blank_values=True), key=lambda pair: pair[0])


def raw_query(query: str) -> Pairs:
    """Return the query as it is on the wire, sorted by key: a balancer decodes nothing."""
    pieces = (piece.partition("=") for piece in query.split("&") if piece)
    return sorted(((key, value) for key, _, value in pieces), key=lambda pair: pair[0])


def media_type(request: ClientRequest) -> str:
    """Return the request's media type in lower case and without parameters, or an empty string."""
    return (request.values("content-type") or [""])[0].partition(";")[0].strip().lower()


def is_text_type(name: str) -> bool:
    """Whether the HTTP doors hand over a body of this media type as text.

    Source: "Use Lambda functions as targets of an Application Load Balancer"; HTTP APIs, function
    URLs and VPC Lattice do the same.
    """
    return name.startswith("text/") or name in _TEXT_TYPES


def encoded_body(body: bytes, *, text: bool) -> tuple[str, bool]:
    """Return the event's body and its base64 flag; what is not UTF-8 is base64 in any case."""
    if not body:
        return "", False
    if text:
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode(), True
