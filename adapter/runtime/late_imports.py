"""What is imported when it is first used, unless Lambda starts environments ahead of the requests.

OpenSSL, which asyncio imports, is a twelfth of a small function's cold start.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from types import ModuleType
from typing import Any, Final

_OF_TLS: Final = ("ssl", "asyncio.sslproto")
_OF_REQUESTS: Final = (
    "penstock.adapter.delivery",
    "penstock.adapter.outcome",
    "penstock.adapter.streaming",
    "penstock.adapter.sources.alb",
    "penstock.adapter.sources.payload_1",
    "penstock.adapter.sources.payload_2",
    "penstock.adapter.runtime.reports",
    "penstock.adapter.runtime.stream",
)


class _Late(ModuleType):
    """What asyncio's modules have in the place of a module that has not been needed yet."""

    def __getattr__(self, name: str) -> Any:
        _forget(self)  # only if asyncio itself asks while it is being imported
        return getattr(import_module(self.__name__), name)


def import_asyncio() -> None:
    """Import asyncio so that it imports ``ssl`` and its own part for TLS when it first uses them.

    Everybody else who imports these gets them as ever, as ``sys.modules`` keeps no trace of this.
    Nothing is put off ahead of the requests, nor if one of the modules is there already.
    """
    if _is_ahead() or "asyncio" in sys.modules or "ssl" in sys.modules:
        import_module("asyncio")
        return
    late = [_Late(name) for name in _OF_TLS]
    sys.modules.update(zip(_OF_TLS, late, strict=True))
    try:
        package: Any = import_module("asyncio")
        package.sslproto = late[1]  # until it is imported
    finally:
        for module in late:
            _forget(module)


def import_ahead() -> None:
    """Import what the usual requests will use, where that does not keep one of them waiting."""
    if _is_ahead():
        for name in _OF_REQUESTS:
            import_module(name)


def _is_ahead() -> bool:
    """Whether init comes before the request: SnapStart, provisioned, Managed Instances."""
    return os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand") != "on-demand"


def _forget(late: ModuleType) -> None:
    if sys.modules.get(late.__name__) is late:
        del sys.modules[late.__name__]
