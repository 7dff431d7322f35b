"""Neighbouring mixin-style middleware in one hop to the request's thread, instead of one a hook.

What comes out is what the layers give one by one: ``process_request`` in order until one answers or
fails, then ``process_response`` backwards from there, every failure made into a response at its
layer. (A layer that fails in ``process_request`` does not see the response; one that answers does.)
"""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

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
        last = len(self.layers) - 1
        inwards = [
            (index, name, layer.process_request, hasattr(layer, "process_response"))
            for index, (layer, name) in enumerate(self.layers)
            if hasattr(layer, "process_request")
        ]
        outwards = [
            (index, name, layer.process_response)
            for index, (layer, name) in reversed(list(enumerate(self.layers)))
            if hasattr(layer, "process_response")
        ]
        failsafe, below = self.failsafe, self.below

        def go_in(request: Any) -> tuple[Any, int]:
            """The response of the layer that stopped the way in, and where the way out starts."""
            for index, name, hook, will_be_checked in inwards:
                try:
                    response = hook(request)
                    if response and not will_be_checked:
                        checked(response, name)
                except Exception as error:
                    return go_out(request, failsafe.response_for_sync(request, error), index - 1), -1
                if response:
                    return go_out(request, response, index), -1
            return None, last

        def go_out(request: Any, response: Any, start: int) -> Any:
            for index, name, hook in outwards:
                if index <= start:
                    try:
                        response = checked(hook(request, response), name)
                    except Exception as error:
                        response = failsafe.response_for_sync(request, error)
            return response

        async def fused(request: Any) -> Any:
            start = last
            response = None
            if inwards:
                response, start = await in_request_thread(go_in, request)
            if response is None:
                response = await below(request)
                if outwards:
                    response = await in_request_thread(go_out, request, response, start)
            return response

        return fused


def checked(response: Any, name: str) -> Any:
    """Return the response of a hook, or raise for what is none."""
    if not hasattr(response, "status_code"):
        raise TypeError(
            f"middleware {name}: expected a response, got {response!r}"
        )
    return response
