"""What passes between a client and a front door, and the two ways in which a door says no."""

from __future__ import annotations

from dataclasses import dataclass, field

SOURCES: tuple[str, ...] = (
    "rest-api",
    "http-api",
    "http-api-1",
    "function-url",
    "alb",
    "alb-multi",
    "edge",
    "lattice-1",
    "lattice-2",
)
"""Names of the HTTP front doors, in the order in which the documentation lists them."""


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """One HTTP request as the client wrote it, its body complete.

    Shapes: ``target`` is the encoded path and, after the first ``?``, the query, character for
    character as on the wire. Where the door has a stage or a base path mapping, ``target`` is what
    follows it: ``/users`` stands for ``https://DOMAIN/prod/users`` behind a stage ``prod``.
    ``headers`` are pairs in the client's order and spelling, repeats allowed.
    Raises: ValueError if ``target`` could not stand in a request line.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    client_ip: str = "203.0.113.7"

    def __post_init__(self) -> None:
        if not self.target.startswith("/"):
            raise ValueError(f"expected a target that begins with '/', got {self.target!r}")
        if any(not "!" <= character <= "~" for character in self.target):
            raise ValueError(f"expected a percent-encoded, ASCII target, got {self.target!r}")

    @property
    def path(self) -> str:
        """The encoded path, without the query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The query as it is on the wire, without its question mark; empty when there is none."""
        return self.target.partition("?")[2]

    def values(self, name: str) -> list[str]:
        """Every value of a header, in order; ``name`` is lower case, the client's may be any."""
        return [value for key, value in self.headers if key.lower() == name]


@dataclass(slots=True)
class ClientResponse:
    """What the client sees: ``headers`` are (lower-case name, value) pairs, repeats kept apart."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def values(self, name: str) -> list[str]:
        """Every value of a header, in order; ``name`` is lower case."""
        return [value for key, value in self.headers if key == name]


class RequestRefused(Exception):
    """A front door turns this request away itself, so that no event is ever made.

    Shapes: ``reason`` is one sentence, ``status`` what the client is answered.
    """

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(f"{reason} (the client gets {status})")
        self.reason = reason
        self.status = status


class MalformedAnswer(Exception):
    """A front door would not accept this answer, or penstock promises never to give it.

    Shapes: ``reason`` says what was expected and what came; ``status`` is what the client would
    be answered in its place.
    """

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(f"{reason} (the client gets {status})")
        self.reason = reason
        self.status = status
