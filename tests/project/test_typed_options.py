"""Options that are passed on by name: type checkers know as many as there are.

Where a line is marked for the type checker, ``make check`` fails if it finds no error there.
"""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from penstock.handler.testing import AsyncClient, Client
from penstock.handler.testing.options import (
    ClientOptions,
    RequestOptions,
    StreamOptions,
    WebSocketOptions,
)
from penstock.infra.runtime_api import LocalRuntimeAPI, ThreadedRuntimeAPI
from penstock.infra.runtime_api.invocation import Call, CallOptions, InvokeOptions
from penstock.infra.runtime_api.settings import FunctionOptions, Settings

if TYPE_CHECKING:
    from collections.abc import Callable


def by_name(function: Callable[..., Any]) -> set[str]:
    parameters = inspect.signature(function).parameters.values()
    return {one.name for one in parameters if one.kind is one.KEYWORD_ONLY}


def fields(cls: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(cls)}


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (ClientOptions, by_name(AsyncClient)),
        (RequestOptions, by_name(AsyncClient.request)),
        (StreamOptions, by_name(AsyncClient.stream)),
        (WebSocketOptions, by_name(AsyncClient.websocket)),
        (FunctionOptions, fields(Settings) - {"command", "folder"}),
        (CallOptions, fields(Call) - {"payload", "streaming", "timeout_s"}),
        (InvokeOptions, fields(Call) - {"streaming"}),
    ],
)
def test_the_types_know_every_option(options: Any, names: set[str]) -> None:
    assert set(options.__annotations__) == names


async def answer(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204})
    await send({"type": "http.response.body"})


def test_an_option_that_there_is_not() -> None:
    with pytest.raises(TypeError, match="base_uri"):
        Client(answer, base_uri="https://a.example")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="query"):
        Client(answer).get("/", query={"a": "1"})  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="memory"):
        LocalRuntimeAPI(memory=128)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="memory"), ThreadedRuntimeAPI(memory=128):  # type: ignore[call-arg]
        pass
