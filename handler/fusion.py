"""Neighbouring mixin-style middleware in one hop to the request's thread, instead of one a hook.

What comes out is what the layers give one by one: ``process_request`` in order until one answers or
fails, then ``process_response`` backwards from there, every failure made into a response at its
layer. (A layer that fails in ``process_request`` does not see the response; one that answers does.)
"""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from penstock.handler.cleanup import note
from penstock.handler.hops import in_request_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.handler.failsafe import Failsafe

_MIXINS = frozenset(
    (
        "penstock.handler.middleware.MiddlewareMixin",
        "django.utils.deprecation.MiddlewareMixin",
    )
)


def can_be_fused(layer: Any) -> bool:
    """Whether the layer does what the mixin does, with hooks that are sync, and nothing else."""
    cls = type(layer)
    for method in ("__call__", "__acall__"):
        owner = next((base for base in cls.__mro__ if method in base.__dict__), None)
        if owner is None or f"{owner.__module__}.{owner.__qualname__}" not in _MIXINS:
            return False
    return not any(
        iscoroutinefunction(getattr(layer, hook, None))
        for hook in ("process_request", "process_response")
    )


class FusedGroup:
    """Consecutive layers, outermost first, around the async handler ``below`` them."""

    def __init__(self, failsafe: Failsafe, below: Callable[[Any], Any]) -> None:
        self.failsafe = failsafe
        self.below = below
        self.layers: tuple[tuple[Any, str], ...] = ()

    def around(self, layer: Any, name: str) -> FusedGroup:
        """The group with one more layer around it."""
        group = FusedGroup(self.failsafe, self.below)
        group.layers = ((layer, name), *self.layers)
        return group

    def handler(self) -> Callable[[Any], Any]:
        """The whole group as one async layer."""
        below, last = self.below, len(self.layers) - 1
        has_way_in = any(hasattr(layer, "process_request") for layer, _ in self.layers)
        has_way_out = any(hasattr(layer, "process_response") for layer, _ in self.layers)

        async def fused(request: Any) -> Any:
            response = await in_request_thread(self._go_in, request) if has_way_in else None
            if response is None:
                response = await below(request)
                if has_way_out:
                    response = await in_request_thread(self._go_out, request, response, last)
            note(request, response)
            return response

        return fused

    def _go_in(self, request: Any) -> Any:
        """None, or the response after its way out from the layer that gave it."""
        for index, (layer, name) in enumerate(self.layers):
            if not hasattr(layer, "process_request"):
                continue
            try:
                response = layer.process_request(request)
                if response and not hasattr(layer, "process_response"):
                    checked(response, name)
            except Exception as error:
                response = self.failsafe.response_for_sync(request, error)
                return self._go_out(request, response, index - 1)
            if response:
                return self._go_out(request, response, index)
        return None

    def _go_out(self, request: Any, response: Any, start: int) -> Any:
        for layer, name in reversed(self.layers[: start + 1]):
            if hasattr(layer, "process_response"):
                try:
                    response = checked(layer.process_response(request, response), name)
                except Exception as error:
                    response = self.failsafe.response_for_sync(request, error)
        return response


def checked(response: Any, name: str) -> Any:
    """Return the response of a hook, or raise for what is none."""
    if not hasattr(response, "status_code"):
        raise TypeError(f"middleware {name}: expected a response, got {response!r}")
    return response
