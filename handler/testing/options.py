"""What the clients' methods take by name, for type checkers: a typo is found before a test runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from penstock.handler.testing.encoding import Pairs


class ClientOptions(TypedDict, total=False):
    """Of a client; see ``AsyncClient``."""

    base_url: str
    headers: Pairs
    cookies: Mapping[str, str] | None
    extensions: Mapping[str, Any] | None


class HandshakeOptions(TypedDict, total=False):
    """Of everything that is asked for."""

    params: Pairs | None
    headers: Pairs
    cookies: Mapping[str, str] | None


class WebSocketOptions(HandshakeOptions, total=False):
    """Of ``websocket``."""

    subprotocols: Iterable[str]


class StreamOptions(HandshakeOptions, total=False):
    """Of ``stream``; see ``AsyncClient.request``."""

    json: Any
    data: Any
    files: Pairs | None


class RequestOptions(StreamOptions, total=False):
    """Of ``request`` and the methods that are called as HTTP's; see ``AsyncClient.request``."""

    follow_redirects: bool
