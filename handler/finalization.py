"""The last touch to a response: conditional, range, compression and fixed headers, in this order.

Each step is opted into through ``HandlerConfig.finalizers``; responses that carry validators of a
file get the conditional and the range step always.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from penstock.handler.coroutines import is_async_callable
from penstock.handler.exceptions import ImproperlyConfigured
from penstock.handler.hops import in_request_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.handler.config import HandlerConfig

logger = logging.getLogger("penstock.request")
_ORDER = ("template", "headers", "conditional", "range", "gzip")


class Finalization:
    """The steps of one handler, in their fixed order; your own functions come last.

    Entries: ``"conditional"``, ``"range"``, ``"gzip"``, ``("headers", {name: value})`` for headers
    that are set if absent, ``("template", {status: function(request, response)})`` for pages by
    status, and any ``function(request, response) -> response``, sync or async.
    """

    def __init__(self, config: HandlerConfig) -> None:
        named: dict[str, Callable[..., Any]] = {}
        own: list[tuple[str, Callable[..., Any]]] = []
        for entry in config.finalizers:
            name, step = _step(entry)
            if name in _ORDER:
                if name in named:
                    raise ImproperlyConfigured(f"finalizers: {name!r} stands there twice")
                named[name] = step
            else:
                own.append((name, step))
        self.steps = [(name, named[name]) for name in _ORDER if name in named] + own
        files = {**named, "conditional": _conditional, "range": _range}
        self.file_steps = [(name, files[name]) for name in _ORDER if name in files] + own

    def applies(self, response: Any) -> bool:
        """Whether any step is for this response."""
        return bool(self.steps) or getattr(response, "has_validators", False)

    async def run(self, request: Any, response: Any) -> Any:
        """Return the response after all steps; a step that fails is logged and left out."""
        has_validators = getattr(response, "has_validators", False)
        for name, step in self.file_steps if has_validators else self.steps:
            try:
                if is_async_callable(step):
                    finished = await step(request, response)
                elif name in _ORDER:  # ours, which do not block
                    finished = step(request, response)
                else:
                    finished = await in_request_thread(step, request, response)
                if not hasattr(finished, "status_code"):
                    raise TypeError(f"it returned {finished!r}: expected a response")  # noqa: TRY301
            except Exception:
                logger.exception("finalizer %s failed and is left out", name)
                continue
            if finished is not response:
                _take_over(finished, response)
                response = finished
        return response


def _take_over(successor: Any, response: Any) -> None:
    """Have what the replaced response holds closed with its successor."""
    successor._handler_class = None  # noqa: SLF001 - the handler sends the signal
    closers = getattr(response, "_resource_closers", None)
    if closers:
        successor._resource_closers += closers  # noqa: SLF001
        closers.clear()


def _step(entry: Any) -> tuple[str, Callable[..., Any]]:
    if entry == "conditional":
        return "conditional", _conditional
    if entry == "range":
        return "range", _range
    if entry == "gzip":
        return "gzip", _gzip
    if isinstance(entry, tuple) and len(entry) == 2 and hasattr(entry[1], "items"):
        name, value = entry
        if name == "headers":
            return "headers", _fixed_headers(value)
        if name == "template":
            return "template", _by_status(value)
    if callable(entry):
        return getattr(entry, "__qualname__", repr(entry)), entry
    raise ImproperlyConfigured(
        f"finalizers: {entry!r}: expected 'conditional', 'range', 'gzip', ('headers', {{...}}),"
        " ('template', {...}) or a function"
    )


def _conditional(request: Any, response: Any) -> Any:
    from penstock.handler.conditional import conditional

    return conditional(request, response)


def _range(request: Any, response: Any) -> Any:
    from penstock.handler.ranges import apply_range

    return apply_range(request, response)


async def _gzip(request: Any, response: Any) -> Any:
    from penstock.handler.compression import compress

    return await compress(request, response)


def _fixed_headers(headers: Mapping[str, str]) -> Callable[..., Any]:
    def step(_: Any, response: Any) -> Any:
        for name, value in headers.items():
            response.setdefault(name, value)
        return response

    return step


def _by_status(pages: Mapping[int, Callable[..., Any]]) -> Callable[..., Any]:
    async def step(request: Any, response: Any) -> Any:
        page = pages.get(response.status_code)
        if page is None:
            return response
        if is_async_callable(page):
            return await page(request, response)
        return await in_request_thread(page, request, response)

    return step
