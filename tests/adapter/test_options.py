"""Every option: argument, then environment variable, then default."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from penstock.adapter import ConfigurationError, LambdaAdapter, PenstockError
from penstock.adapter.settings import OPTIONS, Settings

if TYPE_CHECKING:
    from tests.adapter.conftest import Function

NAMES = [option.name for option in OPTIONS]
DEFAULTS: dict[str, Any] = {
    "lifespan": "auto",
    "startup_timeout": None,
    "root_path": None,
    "base_path": "",
    "text_types": frozenset(),
    "exclude_headers": frozenset(),
    "headers_from": {},
    "trusted_hops": 1,
    "events_path": None,
    "event_failures": None,
    "raise_errors": False,
    "time_limit": None,
    "deadline_margin": 0.15,
    "invoke_mode": "buffered",
    "stream_deadline_margin": 0.3,
    "access_log": False,
}
# Text of the environment, the argument of the same meaning, and another argument.
VALUES: dict[str, list[tuple[str, Any, Any]]] = {
    "lifespan": [("on", "on", "off"), ("off", "off", "auto")],
    "startup_timeout": [("2.5", 2.5, 0), ("0", 0, 1)],
    "root_path": [("/shop", "/shop", ""), ("/shop/", "/shop", "/x"), ("", "", "/x")],
    "base_path": [("/api", "/api", ""), ("/", "", "/x")],
    "text_types": [("a/b, C/D", ["A/B", "c/d"], ()), ("a/*,", ("a/*",), ["b/*"])],
    "exclude_headers": [("Server, x-a", {"server", "X-A"}, ())],
    "headers_from": [
        ("host=x-host, A = b", {"Host": "X-Host", "a": "b"}, {}),
        ("", {}, {"a": "b"}),
    ],
    "trusted_hops": [("2", 2, 1)],
    "events_path": [("/events", "/events", "/x")],
    "event_failures": [("404,500-502", [404, 500, 501, 502], [500])],
    "raise_errors": [("1", True, False), ("true", True, False), ("0", False, True)],
    "time_limit": [("28", 28, 0), ("0", 0.0, 1)],
    "deadline_margin": [("0.3", 0.3, 0)],
    "invoke_mode": [("response_stream", "response_stream", "buffered")],
    "stream_deadline_margin": [("0.5", 0.5, 0)],
    "access_log": [("1", True, False), ("false", False, True)],
}
BAD: dict[str, list[Any]] = {
    "lifespan": ["yes", "", "ON", 1, ["on"]],
    "startup_timeout": ["soon", "", -1, float("nan"), float("inf"), [1]],
    "root_path": ["shop", 5, b"/shop"],
    "base_path": ["api", 5, ["/api"]],
    "text_types": [5, [5], [b"a/b"]],
    "exclude_headers": [5, [5], [None], [b"server"], b"server"],
    "headers_from": ["host", "a=b=c", 5, ["host"], {"a": 1}, {"é": "a"}],
    "trusted_hops": ["0", "-1", "two", "", 0, [1]],
    "events_path": ["events", "", 5],
    "event_failures": ["5xx", "", "400-", 500, [None], ["x"]],
    "raise_errors": ["yes", "", 2, [True]],
    "time_limit": ["-1", "x", -0.5, [1]],
    "deadline_margin": ["-1", "x", float],
    "invoke_mode": ["stream", "", "BUFFERED", 1, ["buffered"]],
    "stream_deadline_margin": ["-1", "x", float],
    "access_log": ["on", 2],
}
BAD_CASES = [(name, value) for name, values in BAD.items() for value in values]


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"1")]})
    await send({"type": "http.response.body"})


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for option in OPTIONS:
        monkeypatch.delenv(option.variable, raising=False)


def test_the_tables_of_this_file_have_every_option() -> None:
    assert [list(table) for table in (DEFAULTS, VALUES, BAD)] == [NAMES] * 3


def test_every_option_is_an_argument_that_defaults_to_none() -> None:
    parameters = inspect.signature(LambdaAdapter).parameters
    assert dict.fromkeys(NAMES) == {name: parameters[name].default for name in NAMES}
    kinds = {parameters[name].kind for name in NAMES}
    assert kinds == {inspect.Parameter.KEYWORD_ONLY}


def test_every_option_is_explained() -> None:
    assert [option.name for option in OPTIONS if len(option.meaning) < 20] == []
    assert [option.variable for option in OPTIONS] == [f"PENSTOCK_{name.upper()}" for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_an_option_has_its_default(name: str) -> None:
    assert DEFAULTS[name] == getattr(Settings(), name)


@pytest.mark.parametrize(
    ("name", "text", "argument", "other"),
    [(name, *row) for name, rows in VALUES.items() for row in rows],
)
def test_the_environment_means_the_same_and_the_argument_wins(
    name: str, text: str, argument: Any, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = getattr(Settings(**{name: argument}), name)
    monkeypatch.setenv(f"PENSTOCK_{name.upper()}", text)
    assert expected == getattr(Settings(), name)
    won = getattr(Settings(**{name: other}), name)
    assert won != expected
    LambdaAdapter(app, **{name: other})


@pytest.mark.parametrize(("name", "value"), BAD_CASES)
def test_a_bad_argument_is_named_with_what_is_expected(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        LambdaAdapter(app, **{name: value})
    error = caught.value
    assert error.option == name
    assert error.value is value
    assert f"{name}={value!r}: expected {error.expected}" == str(error)
    assert len(error.expected) > 5
    assert isinstance(error, PenstockError)
    assert isinstance(error, ValueError)


@pytest.mark.parametrize(
    ("name", "text"), [(name, value) for name, value in BAD_CASES if isinstance(value, str)]
)
def test_a_bad_variable_is_named(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variable = f"PENSTOCK_{name.upper()}"
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigurationError) as caught:
        LambdaAdapter(app)
    assert (variable, text) == (caught.value.option, caught.value.value)


@pytest.mark.parametrize("value", [None, "app:app", 5])
def test_an_application_has_to_be_callable(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="expected an ASGI application"):
        LambdaAdapter(value)


def test_a_factory_has_to_make_an_application() -> None:
    with pytest.raises(ConfigurationError, match="expected an ASGI application"):
        LambdaAdapter(lambda: None, factory=True)


def test_the_environment_reaches_the_adapter(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_BASE_PATH", "/api")
    monkeypatch.setenv("PENSTOCK_EXCLUDE_HEADERS", "x-a")
    monkeypatch.setenv("PENSTOCK_HEADERS_FROM", "x-b=x-c")
    event = {"httpMethod": "GET", "path": "/api/x", "headers": {"x-c": "1"}}
    answer = function.answer(event, headers=[(b"x-a", b"1"), (b"x-d", b"2")])
    assert (function.scope["root_path"], function.values("x-b")) == ("/api", [b"1"])
    assert answer["headers"] == {"x-d": "2"}


def test_the_environment_is_read_once(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = function.adapter()
    monkeypatch.setenv("PENSTOCK_BASE_PATH", "/api")
    adapter({"httpMethod": "GET", "path": "/api/x"}, function.context)
    assert function.scope["root_path"] == ""
