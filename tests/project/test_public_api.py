"""The names that others rely on; a change here is a change for users."""

from __future__ import annotations

import ast
import inspect
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import penstock.adapter
import penstock.adapter.errors
import penstock.adapter.mangum
import penstock.infra.gateway
import penstock.infra.runtime_api
from penstock.adapter import LambdaAdapter, PenstockError
from penstock.adapter.settings import OPTIONS

ADAPTER = [
    "ApplicationError",
    "ClientDisconnected",
    "ConfigurationError",
    "EventError",
    "EventFailed",
    "EventSource",
    "LambdaAdapter",
    "LifespanError",
    "PayloadTooLarge",
    "PenstockError",
    "ProtocolError",
    "Reply",
    "RuntimeAPIError",
    "UnsupportedEvent",
]
GATEWAY = [
    "SOURCES",
    "TRIGGERS",
    "ClientRequest",
    "ClientResponse",
    "MalformedAnswer",
    "RequestRefused",
    "make_event",
    "make_trigger_event",
    "read_answer",
]
RUNTIME_API = [
    "Close",
    "FunctionError",
    "FunctionFailed",
    "FunctionLog",
    "Hold",
    "Injection",
    "Invocation",
    "LocalRuntimeAPI",
    "LogRecord",
    "Pending",
    "Raw",
    "Reset",
    "Status",
    "ThreadedRuntimeAPI",
]
MODULES = (
    (penstock.adapter, ADAPTER),
    (penstock.infra.gateway, GATEWAY),
    (penstock.infra.runtime_api, RUNTIME_API),
)
OPTION_NAMES = [
    "lifespan",
    "startup_timeout",
    "root_path",
    "base_path",
    "text_types",
    "exclude_headers",
    "headers_from",
    "trusted_hops",
    "events_path",
    "event_failures",
    "raise_errors",
    "time_limit",
    "deadline_margin",
    "invoke_mode",
    "stream_deadline_margin",
    "access_log",
]
BY_MODULE = pytest.mark.parametrize(
    ("module", "names"), MODULES, ids=[module.__name__ for module, _ in MODULES]
)


def by_kind(name: str) -> tuple[int, str]:
    """Constants, classes, functions, each by name."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


@BY_MODULE
def test_the_names_are_these(module: ModuleType, names: list[str]) -> None:
    assert names == module.__all__


@BY_MODULE
def test_the_names_are_sorted(module: ModuleType, names: list[str]) -> None:
    assert sorted(module.__all__, key=by_kind) == module.__all__


@BY_MODULE
def test_the_list_is_complete(module: ModuleType, names: list[str]) -> None:
    ignored = {"annotations", "Any", "TYPE_CHECKING"} | {
        name for name, value in vars(module).items() if isinstance(value, ModuleType)
    }
    public = {name for name in dir(module) if not name.startswith("_")} - ignored
    assert set(module.__all__) == public


def test_every_error_can_be_imported_from_the_package() -> None:
    errors = {
        name
        for name, value in vars(penstock.adapter.errors).items()
        if isinstance(value, type) and issubclass(value, PenstockError)
    }
    assert errors <= set(penstock.adapter.__all__)


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in MODULES for name in names]
)
def test_every_name_has_a_docstring(module: ModuleType, name: str) -> None:
    value = getattr(module, name)
    if isinstance(value, tuple):
        assert name in documented_constants(module)
        return
    assert inspect.getdoc(value)
    members = vars(value).items() if isinstance(value, type) else ()
    missing = [
        member
        for member, function in members
        if not member.startswith("_") and inspect.isfunction(function) and not function.__doc__
    ]
    assert [] == missing


def documented_constants(package: ModuleType) -> set[str]:
    """Names assigned in a package's modules with a string right below."""
    found: set[str] = set()
    for path in Path(str(package.__file__)).parent.glob("*.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for node, following in pairwise(body):
            if isinstance(node, ast.AnnAssign) and isinstance(following, ast.Expr):
                assert isinstance(following.value, ast.Constant)
                found.add(ast.unparse(node.target))
    return found


def test_the_options_are_these() -> None:
    assert OPTION_NAMES == [option.name for option in OPTIONS]


def test_the_constructor_has_every_option() -> None:
    parameters = inspect.signature(LambdaAdapter).parameters
    assert ["app", "factory", "sources", "before_freeze", *OPTION_NAMES] == list(parameters)
    assert dict.fromkeys(OPTION_NAMES) == {name: parameters[name].default for name in OPTION_NAMES}
    kinds = {parameter.kind for name, parameter in parameters.items() if name != "app"}
    assert {inspect.Parameter.KEYWORD_ONLY} == kinds


def test_what_can_be_called_on_the_adapter() -> None:
    def methods(class_: type) -> list[str]:
        functions = inspect.getmembers(class_, inspect.isfunction)
        return [name for name, _ in functions if not name.startswith("_")]

    names = ["aclose", "close", "deliver", "deliver_inside", "handle", "restored", "start_up"]
    assert names == methods(LambdaAdapter)
    assert methods(LambdaAdapter) == methods(penstock.adapter.mangum.Mangum)


def test_the_namespace_has_no_file_of_its_own() -> None:
    namespace: Any = sys.modules["penstock"]
    assert getattr(namespace, "__file__", None) is None
