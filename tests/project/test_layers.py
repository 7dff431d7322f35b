"""Who may import whom, read from the source."""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]

# Left to right: a module imports from its own group or from one before it.
ORDER = (
    {"errors", "asgi", "transport"},
    {"headers", "scope", "body", "reply", "settings", "event_loop"},
    {"exchange"},
    {"sources"},
    {"cycle", "lifespan"},
    {"outcome", "access_log", "streaming", "hook"},
    {"delivery"},
    {"adapter"},
    {"mangum", ""},
    {"runtime"},
)
WITHOUT_IO = (
    "bandwidth",
    "event_stream",
    "extensions",
    "invocation",
    "machine",
    "prelude",
    "refusals",
)
# What only these modules of the handler use, and only where it is installed.
IMPORTED_IF_THERE = {
    "handler.django": {"django"},
    "handler.django_errors": {"django"},
    "handler.django_forms": {"django"},
    "handler.django_request": {"django"},
    "handler.django_signals": {"django"},
    "handler.json_response": {"orjson"},
}
RANKS = {name: rank for rank, names in enumerate(ORDER) for name in names}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    """The name below ``penstock``, such as ``adapter.sources.alb``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@cache
def imports(path: Path, *, with_types: bool = False) -> frozenset[str]:
    """Full names of what a module imports, wherever in it; for annotations only on demand."""
    return frozenset(_imports(ast.parse(path.read_text(encoding="utf-8")), with_types))


def _imports(node: ast.AST, with_types: bool) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            if with_types:
                yield from _imports(child, with_types)
        elif isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "expected absolute imports"
            # `from package import module` imports the module, and uses no name of the package.
            names = [f"{child.module}.{alias.name}" for alias in child.names]
            yield from names
            if not all(map(is_module, names)):
                yield str(child.module)
        else:
            yield from _imports(child, with_types)


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split(".")[1:])
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def below(names: frozenset[str], package: str) -> set[str]:
    return {name for name in names if name == package or name.startswith(f"{package}.")}


def outside(names: frozenset[str]) -> set[str]:
    """Top-level names of what is neither the standard library nor penstock."""
    tops = {name.partition(".")[0] for name in names}
    return tops - sys.stdlib_module_names - {"penstock", "__future__"}


@pytest.mark.parametrize("path", modules("adapter"), ids=name_of)
class TestAdapter:
    def test_needs_nothing_but_the_standard_library(self, path: Path) -> None:
        # Hooks for SnapStart are there only where snapshot_restore_py is.
        assert outside(imports(path)) <= {"pybase64", "snapshot_restore_py"}

    def test_knows_nothing_of_its_neighbours(self, path: Path) -> None:
        names = imports(path, with_types=True)
        assert below(names, "penstock") == below(names, "penstock.adapter")

    def test_the_types_module_is_for_annotations_only(self, path: Path) -> None:
        assert set() == below(imports(path), "penstock.adapter.asgi")

    def test_nothing_is_imported_from_further_right(self, path: Path) -> None:
        own = RANKS[group(f"penstock.{name_of(path)}")]
        for name in internal(path):
            assert RANKS[group(name)] <= own, f"{name_of(path)} imports {name}"


def internal(path: Path) -> set[str]:
    """The modules of the adapter that a module imports, as full module names."""
    known = {f"penstock.{name_of(module)}" for module in modules("adapter")}
    return below(imports(path), "penstock.adapter") & known


def group(name: str) -> str:
    return name.removeprefix("penstock.adapter").lstrip(".").partition(".")[0]


def test_every_module_of_the_adapter_has_its_place() -> None:
    assert {group(f"penstock.{name_of(path)}") for path in modules("adapter")} == RANKS.keys()


def test_no_import_goes_round_in_a_circle() -> None:
    graph = {
        f"penstock.{name_of(path)}": internal(path) - {f"penstock.{name_of(path)}"}
        for path in modules("adapter")
    }
    # An event source's package is imported before its modules, and names none of them.
    while graph:
        leaves = {name for name, needs in graph.items() if not needs & graph.keys()}
        assert leaves, f"in a circle: {sorted(graph)}"
        graph = {name: needs for name, needs in graph.items() if name not in leaves}


@pytest.mark.parametrize("path", modules("handler"), ids=name_of)
def test_the_handler_knows_asgi_only(path: Path) -> None:
    names = imports(path, with_types=True)
    assert below(names, "penstock") == below(names, "penstock.handler")
    allowed = {"asgiref", "blinker", "multipart"} | IMPORTED_IF_THERE.get(name_of(path), set())
    assert outside(imports(path)) <= allowed


@pytest.mark.parametrize("path", modules("infra"), ids=name_of)
def test_infra_may_know_the_adapter(path: Path) -> None:
    names = imports(path, with_types=True)
    allowed = below(names, "penstock.infra") | below(names, "penstock.adapter")
    assert below(names, "penstock") == allowed
    assert outside(imports(path)) <= ({"h11"} if path.parent.name == "runtime_api" else set())


@pytest.mark.parametrize("name", WITHOUT_IO)
def test_what_is_said_to_do_no_io_cannot(name: str) -> None:
    names = imports(ROOT / "infra" / "runtime_api" / f"{name}.py")
    assert set() == names & {"asyncio", "os", "socket", "subprocess", "time"}
    assert set() == outside(names)


@pytest.mark.parametrize("package", ["adapter", "handler", "infra"])
def test_folder_names_are_no_import_names(package: str) -> None:
    for path in modules("adapter") + modules("handler") + modules("infra"):
        assert set() == below(imports(path, with_types=True), package)


@pytest.mark.parametrize(
    "folder", ["adapter", "handler", "infra", "scripts", "benchmarks", "tests"]
)
def test_no_file_is_long(folder: str) -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules(folder)}
    assert {} == {path.name: length for path, length in lengths.items() if length > 450}
