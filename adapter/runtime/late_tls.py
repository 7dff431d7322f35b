"""asyncio without TLS until it is used: asyncio imports OpenSSL, and most starts do not need it."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from types import ModuleType
from typing import Any, Final

_LATE: Final = ("ssl", "asyncio.sslproto")


class _Late(ModuleType):
    """What asyncio's modules have in the place of a module that has not been needed yet."""

    def __getattr__(self, name: str) -> Any:
        _forget(self)  # only if asyncio itself asks while it is being imported
        return getattr(import_module(self.__name__), name)


def import_asyncio() -> None:
    """Import asyncio so that it imports ``ssl`` and its own part for TLS when it first uses them.

    Everybody else who imports these gets them as ever, as ``sys.modules`` keeps no trace of this.
    Nothing is put off where Lambda starts environments ahead of the requests (SnapStart,
    provisioned concurrency, Managed Instances), nor if one of the modules is there already.
    """
    is_ahead = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand") != "on-demand"
    if is_ahead or "asyncio" in sys.modules or "ssl" in sys.modules:
        import_module("asyncio")
        return
    late = [_Late(name) for name in _LATE]
    sys.modules.update(zip(_LATE, late, strict=True))
    try:
        package: Any = import_module("asyncio")
        package.sslproto = late[1]  # until it is imported
    finally:
        for module in late:
            _forget(module)


def _forget(late: ModuleType) -> None:
    if sys.modules.get(late.__name__) is late:
        del sys.modules[late.__name__]
