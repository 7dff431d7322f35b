"""What a test gets back: a response as its client sees it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

_REDIRECTS = frozenset((301, 302, 303, 307, 308))


class Head:
    """Status and headers, in the order and number in which they were sent."""

    def __init__(self, status_code: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.status_code = status_code
        self.raw_headers = [(bytes(name), bytes(value)) for name, value in headers]

    @property
    def headers(self) -> dict[str, str]:
        """The headers by lower-case name; several values of one are joined with commas."""
        names = dict.fromkeys(name.decode("latin-1").lower() for name, _ in self.raw_headers)
        return {name: ", ".join(self.values(name)) for name in names}

    def values(self, name: str) -> list[str]:
        """Return each value of a header."""
        wanted = name.lower().encode("latin-1")
        return [v.decode("latin-1") for n, v in self.raw_headers if n.lower() == wanted]

    @property
    def is_redirect(self) -> bool:
        """Whether it is a redirect that says where to."""
        return self.status_code in _REDIRECTS and bool(self.values("location"))

    @property
    def charset(self) -> str:
        """The charset of the content type; UTF-8 if it has none."""
        for parameter in self.headers.get("content-type", "").split(";")[1:]:
            name, _, value = parameter.strip().partition("=")
            if name.lower() == "charset":
                return value.strip('"')
        return "utf-8"


class Answer(Head):
    """A whole response. ``trailers`` are pairs of bytes, as they were sent."""

    def __init__(
        self,
        status_code: int,
        headers: Iterable[tuple[bytes, bytes]],
        content: bytes = b"",
        trailers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(status_code, headers)
        self.content = content
        self.trailers = list(trailers)
        self.history: list[Answer] = []
        """The redirects that led here, if they were followed."""

    @property
    def text(self) -> str:
        """The content, decoded by its charset."""
        return self.content.decode(self.charset)

    def json(self) -> Any:
        """Return the content parsed as JSON."""
        return json.loads(self.content)

    def __repr__(self) -> str:
        return f"<Answer {self.status_code}, {len(self.content)} bytes>"


class StreamedAnswer(Head):
    """A response whose parts are read as they are sent; the application waits for the reader."""

    def __init__(self, head: Head, parts: AsyncIterator[bytes]) -> None:
        super().__init__(head.status_code, head.raw_headers)
        self._parts = parts

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._parts

    async def read(self) -> bytes:
        """Return what is left of the content."""
        return b"".join([part async for part in self._parts])
