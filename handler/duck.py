"""Middleware written for Duck, as layers of our chain."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from penstock.handler.coroutines import is_async_callable
from penstock.handler.exceptions import ImproperlyConfigured
from penstock.handler.hops import in_request_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    GetResponse = Callable[[Any], Awaitable[Any]]

logger = logging.getLogger("penstock.request")
_BAD, _OK = 0, 1


def duck_middleware(cls: Any) -> Callable[[GetResponse], GetResponse]:
    """Return a middleware factory that does what Duck does with the class.

    ==============================  =============================================================
    ``process_request(request)``    1 goes on; 0 refuses: the response is ``get_error_response``'s,
                                    and ``META["FAILED_MIDDLEWARE"]`` holds the class's name
    ``get_error_response(request)`` needed where ``process_request`` may refuse
    ``process_response(response,    is called on the way out, also on refusals of its own and of
    request)``                      layers below; what it returns counts unless it is None, and a
                                    failure in it is logged and changes nothing
    ==============================  =============================================================

    Each may be sync or async, and missing. The class itself is used, as Duck does: its hooks are
    class or static methods.

    Raises:
        ImproperlyConfigured: it has none of the hooks.
    """
    hooks = ("process_request", "process_response")
    if not any(callable(getattr(cls, name, None)) for name in hooks):
        raise ImproperlyConfigured(
            f"duck_middleware({cls!r}): expected process_request or process_response, got neither"
        )
    name = getattr(cls, "__qualname__", type(cls).__qualname__)
    process_request = getattr(cls, "process_request", None)
    process_response = getattr(cls, "process_response", None)

    def factory(get_response: GetResponse) -> GetResponse:
        async def layer(request: Any) -> Any:
            state = _OK if process_request is None else await _called(process_request, request)
            if state == _OK:
                response = await get_response(request)
            elif state == _BAD:
                request.META["FAILED_MIDDLEWARE"] = name
                response = await _called(cls.get_error_response, request)
            else:
                raise TypeError(f"{name}.process_request returned {state!r}: expected 1 or 0")
            if process_response is None:
                return response
            try:
                changed = await _called(process_response, response, request)
            except Exception:
                logger.exception("%s.process_response failed and is left out", name)
                return response
            return response if changed is None else changed

        return layer

    factory.__qualname__ = f"duck_middleware({name})"
    factory.sync_capable = False  # type: ignore[attr-defined]
    factory.async_capable = True  # type: ignore[attr-defined]
    return factory


async def _called(hook: Callable[..., Any], *args: Any) -> Any:
    if is_async_callable(hook):
        return await hook(*args)
    return await in_request_thread(hook, *args)
