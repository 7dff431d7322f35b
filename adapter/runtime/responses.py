"""What the Runtime API's responses mean, and what is made of it when there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.adapter.errors import RuntimeAPIError
from penstock.adapter.runtime.protocol import Invocation

if TYPE_CHECKING:
    from penstock.adapter.runtime.protocol import Response

PAUSES: Final = (0.0, 0.1, 0.2, 0.4, 0.8)
"""Seconds before each try to reach a Runtime API that does not answer; then it counts as gone."""


def read_event(response: Response) -> Invocation:
    """Return the event that was asked for. Raises: RuntimeAPIError if the API refused it."""
    if response.status != 200:
        raise _refused(b"GET invocation/next", 200, response)
    return Invocation(response)


def check_accepted(head: bytes, response: Response) -> None:
    """Raise RuntimeAPIError if the API has not accepted the request of this head."""
    if response.status != 202:
        raise _refused(head, 202, response)


def broken(error: Exception, head: bytes = b"") -> RuntimeAPIError:
    """Return the error that a connection is which broke before the response to a request."""
    text = str(error) if isinstance(error, RuntimeAPIError) else f"{type(error).__name__}: {error}"
    return RuntimeAPIError(f"{_named(head)}: {text}" if head else text)


def gone(address: tuple[str, int], problem: Exception | None) -> RuntimeAPIError:
    """Return the error that ends the search for events: there is no API any more."""
    return RuntimeAPIError(
        f"no event from the Runtime API at {address} after {len(PAUSES)} tries:"
        f" {type(problem).__name__}: {problem}"
    )


def _refused(head: bytes, expected: int, response: Response) -> RuntimeAPIError:
    body = response.body[:300].decode("utf-8", "replace")
    return RuntimeAPIError(f"{_named(head)}: expected {expected}, got {response.status} {body}")


def _named(head: bytes) -> str:
    """What errors call a request: its method and path."""
    return head.partition(b" HTTP/")[0].decode("latin-1")
