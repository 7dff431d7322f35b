"""What the middleware in this package has in common: the kernel's protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    GetResponse = Callable[[Any], Awaitable[Any]]


class Layer:
    """A middleware factory that has its settings already; its layer is asynchronous."""

    sync_capable: ClassVar[bool] = False
    async_capable: ClassVar[bool] = True

    def __call__(self, get_response: GetResponse) -> GetResponse:
        """Return the layer around what is below."""

        async def layer(request: Any) -> Any:
            return await self.respond(request, get_response)

        return layer

    async def respond(self, request: Any, get_response: GetResponse) -> Any:
        """Return the response; ``get_response`` never raises, it returns error responses."""
        raise NotImplementedError
