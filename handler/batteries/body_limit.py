"""Refuse bodies that are larger than a path has any use for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.handler.batteries.layer import Layer
from penstock.handler.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.handler.batteries.layer import GetResponse


class BodyLimit(Layer):
    """Answer 413 to a body of more than ``max_bytes``, or of what its path allows.

    ``by_path`` maps prefixes of the path to other limits, of which the longest counts::

        BodyLimit(100_000, by_path={"/uploads/": 50_000_000})

    ``HandlerConfig.max_body_size`` is the hard limit while a body is received: it protects the
    disk, and must be as large as the largest of these. With ``body_mode="stream"`` this limit holds
    while the view reads, too.

    Source: RFC 9110 section 15.5.14.
    """

    def __init__(self, max_bytes: int, *, by_path: Mapping[str, int] | None = None) -> None:
        limits: dict[str, Any] = {"": max_bytes, **({} if by_path is None else by_path)}
        for prefix, limit in limits.items():
            if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
                raise ImproperlyConfigured(
                    f"BodyLimit {prefix or 'max_bytes'}={limit!r}: expected bytes, zero or more"
                )
        self.limits = sorted(limits.items(), key=lambda item: -len(item[0]))

    async def respond(self, request: Any, get_response: GetResponse) -> Any:
        """Check the length, then go on."""
        path = request.path_info
        limit = next(limit for prefix, limit in self.limits if path.startswith(prefix))
        request.limit_body(limit)  # raises RequestDataTooBig, which becomes the 413
        return await get_response(request)
