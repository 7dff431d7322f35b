"""Text as a URI."""

from __future__ import annotations

# RFC 3986: reserved and unreserved characters; and "%", which is taken for an escape's own.
_SAFE = "/#%[]=:;$&()+,!?*@'~"


def iri_to_uri(iri: str) -> str:
    """Percent-encode what may not stand in a URI, as UTF-8 (RFC 3987 section 3.1)."""
    from urllib.parse import quote

    return quote(iri, safe=_SAFE)
