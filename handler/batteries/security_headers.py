"""Headers that make browsers more careful."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.handler.batteries.layer import Layer
from penstock.handler.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from penstock.handler.batteries.layer import GetResponse


class SecurityHeaders(Layer):
    """Set security headers that the view has not set; ``None`` leaves one out.

    Args:
        content_type_options: ``X-Content-Type-Options``: nothing is guessed to be a script.
        frame_options: ``X-Frame-Options``: no page of anybody shows ours in a frame.
        referrer_policy: ``Referrer-Policy``: our URLs are not told to other origins.
        opener_policy: ``Cross-Origin-Opener-Policy``: pages of others get no hold of our window.
        content_security_policy: ``Content-Security-Policy``; none by default, as only you know
            what your pages load.
        permissions_policy: ``Permissions-Policy``; none by default.
        hsts_seconds: ``Strict-Transport-Security`` on requests over TLS: browsers come over TLS
            only, for this long. 0 sends none. Raise it in steps: it cannot be taken back.
        hsts_include_subdomains: the same for all subdomains.
        hsts_preload: agree to be on the lists that browsers ship; needs a year and subdomains.

    Sources: Fetch standard (nosniff), RFC 7034, RFC 6797, Referrer Policy and HTML standards;
    the OWASP Secure Headers Project for the choice.
    """

    def __init__(
        self,
        *,
        content_type_options: str | None = "nosniff",
        frame_options: str | None = "DENY",
        referrer_policy: str | None = "same-origin",
        opener_policy: str | None = "same-origin",
        content_security_policy: str | None = None,
        permissions_policy: str | None = None,
        hsts_seconds: int = 0,
        hsts_include_subdomains: bool = False,
        hsts_preload: bool = False,
    ) -> None:
        if hsts_preload and not (hsts_include_subdomains and hsts_seconds >= 31_536_000):
            raise ImproperlyConfigured(
                "SecurityHeaders(hsts_preload=True): expected hsts_include_subdomains=True and "
                f"hsts_seconds of a year (31536000) or more, got {hsts_seconds}"
            )
        chosen = {
            "X-Content-Type-Options": content_type_options,
            "X-Frame-Options": frame_options,
            "Referrer-Policy": referrer_policy,
            "Cross-Origin-Opener-Policy": opener_policy,
            "Content-Security-Policy": content_security_policy,
            "Permissions-Policy": permissions_policy,
        }
        self.headers = [(name, value) for name, value in chosen.items() if value is not None]
        hsts = f"max-age={hsts_seconds}"
        if hsts_include_subdomains:
            hsts += "; includeSubDomains"
        if hsts_preload:
            hsts += "; preload"
        self.hsts = hsts if hsts_seconds else None

    async def respond(self, request: Any, get_response: GetResponse) -> Any:
        """Return the response with the headers."""
        response = await get_response(request)
        for name, value in self.headers:
            response.setdefault(name, value)
        if self.hsts is not None and request.is_secure():
            response.setdefault("Strict-Transport-Security", self.hsts)
        return response
