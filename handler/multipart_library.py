"""The multipart parser, found whatever else is installed under its import name."""

from __future__ import annotations

from typing import Any

from penstock.handler.exceptions import ImproperlyConfigured

_loaded: list[Any] = []


def multipart_library() -> Any:
    """The PyPI package multipart, also where python-multipart has put its own one in front of it.

    Both install the import name ``multipart``. The latter's, in some of its releases, passes on to
    the former's; where it does not, the file beside it is loaded.
    """
    if not _loaded:
        _loaded.append(_find_library())
    return _loaded[0]


def _find_library() -> Any:
    import importlib.util
    import sys
    from pathlib import Path

    module = sys.modules.get("multipart")
    if module is None:
        found = importlib.util.find_spec("multipart")
        if found is not None and not found.submodule_search_locations:
            module = importlib.import_module("multipart")
    if hasattr(module, "PushMultipartParser"):
        return module
    for folder in sys.path:
        path = Path(folder, "multipart.py")
        spec = importlib.util.spec_from_file_location("penstock.handler._multipart", path)
        if path.is_file() and spec is not None and spec.loader is not None:
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            if hasattr(module, "PushMultipartParser"):
                return module
    raise ImproperlyConfigured(
        "multipart forms need the package multipart 2; found none, or another one of the same"
        " import name (python-multipart, perhaps): install multipart"
    )
