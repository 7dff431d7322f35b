"""JSON: what can be written, and that orjson writes the same data."""

from __future__ import annotations

import enum
import json
import math
import re
import sys
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.handler import json_response
from penstock.handler.json_response import JsonResponse


class Colour(enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


@dataclass
class Point:
    x: int
    colour: Colour


@pytest.mark.conformance("C134")
def test_json_of_more_types_than_json_has() -> None:
    data = {
        "datetime": datetime(2026, 1, 2, 3, 4, 5, 678_999, UTC),
        "naive": datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001
        "date": date(2026, 1, 2),
        "time": time(3, 4, 5, 678_999),
        "delta": timedelta(days=-1, hours=2),
        "decimal": Decimal("1.20"),
        "uuid": uuid.UUID(int=1),
        "enum": Colour.RED,
        "int": Number.ONE,
        "set": {1},
        "tuple": (1, 2),
        "point": Point(1, Colour.RED),
        "é": "ü",
    }
    response = JsonResponse(data)
    assert response["Content-Type"] == "application/json"
    assert json.loads(response.content) == {
        "datetime": "2026-01-02T03:04:05.678Z",
        "naive": "2026-01-02T03:04:05",
        "date": "2026-01-02",
        "time": "03:04:05.678",
        "delta": "-P0DT22H00M00S",
        "decimal": "1.20",
        "uuid": "00000000-0000-0000-0000-000000000001",
        "enum": "red",
        "int": 1,
        "set": [1],
        "tuple": [1, 2],
        "point": {"x": 1, "colour": "red"},
        "é": "ü",
    }


@pytest.mark.conformance("C134")
def test_what_json_refuses() -> None:
    with pytest.raises(TypeError, match="expected a dict, got list"):
        JsonResponse([1])
    assert JsonResponse([1], safe=False).content == b"[1]"
    for wrong in (b"x", bytearray(b"x"), object()):
        with pytest.raises(TypeError):
            JsonResponse({"a": wrong})
    for number in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="JSON compliant"):
            JsonResponse({"a": number})
    with pytest.raises(ValueError, match="offset"):
        JsonResponse({"a": time(1, tzinfo=UTC)})


@pytest.mark.conformance("C134")
def test_json_text_is_that_of_json_dumps_and_its_parameters_are_honoured() -> None:
    data = {"b": [1, 2.5, None, True], "a": "é"}
    assert JsonResponse(data).content == json.dumps(data).encode()
    params = {"indent": 2, "sort_keys": True, "ensure_ascii": False}
    response = JsonResponse(data, json_dumps_params=params)
    assert (
        response.content == json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False).encode()
    )
    assert JsonResponse({"a": float("nan")}, json_dumps_params={"allow_nan": True}).content

    class Own(json.JSONEncoder):
        def default(self, o: object) -> object:
            return "own"

    assert JsonResponse({"a": object()}, encoder=Own).content == b'{"a": "own"}'


class Text(str):
    __slots__ = ()


class Real(float):
    pass


class Mapping(dict[str, Any]):
    pass


class Pair(NamedTuple):
    left: int
    right: int


@dataclass
class Private:
    shown: int
    _kept: int


def nested(levels: int) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for _ in range(levels):
        data = {"a": data}
    return data


VALUES = [
    [1, 2.5, "é", None, True, {"a": [{}]}],
    [2**53 + 1, 2**64, -(2**63) - 1, 10**400],
    [1e16, 1e-7, 5e-324, -0.0, Real(1.5)],
    ["\ud800", {"\udfff": 1}, "\x7f\u2028\0\ud83d\ude00"],
    [Text("x"), Mapping(a=1), Number.ONE, Pair(1, 2), Private(1, 2), Point(1, Colour.RED)],
    {2: 1, 1.5: 2, True: 3, None: 4, Text("x"): 5, 2**64: 6, Number.ONE: 7},
    [datetime(2026, 1, 2, 3, 4, 5, 678_999, UTC), datetime(2026, 1, 2), time(1, 2, 3, 456_789)],  # noqa: DTZ001
    [date(2026, 1, 2), timedelta(days=1, microseconds=3), Decimal("1.10"), uuid.UUID(int=1), {1}],
    nested(300),
]
REFUSED = [
    b"x",
    object(),
    {(1,): 1},
    {date(2026, 1, 2): 1},
    {Colour.RED: 1},
    time(1, tzinfo=UTC),
    iter([]),
]


@pytest.fixture(params=[True, False], ids=["orjson", "no orjson"])
def has_orjson(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(json_response, "_fast", [])
    if not request.param:
        monkeypatch.setitem(sys.modules, "orjson", None)
    return bool(request.param)


@pytest.mark.conformance("C134")
@pytest.mark.parametrize("value", VALUES)
def test_fast_json_means_the_same_data(value: Any, *, has_orjson: bool) -> None:
    fast, plain = JsonResponse({"a": value}, fast=True), JsonResponse({"a": value})
    assert json.loads(fast.content) == json.loads(plain.content)
    assert fast["Content-Type"] == "application/json"
    assert len(fast.content) <= len(plain.content)
    assert has_orjson or fast.content == plain.content


@pytest.mark.conformance("C134")
@pytest.mark.parametrize("value", REFUSED)
def test_fast_json_refuses_the_same(value: Any, *, has_orjson: bool) -> None:
    with pytest.raises((TypeError, ValueError)) as plain:
        JsonResponse({"a": value})
    with pytest.raises(plain.type, match=re.escape(str(plain.value)[:30])):
        JsonResponse({"a": value}, fast=True)


def test_fast_json_of_a_circle_is_an_error(*, has_orjson: bool) -> None:
    circle: dict[str, Any] = {}
    circle["a"] = circle
    with pytest.raises(ValueError, match="Circular"):
        JsonResponse(circle, fast=True)


@pytest.mark.conformance("C134")
def test_how_fast_json_differs(*, has_orjson: bool) -> None:
    data = {"a": [1, "é", 1e-7]}
    spelling = '{"a":[1,"é",1e-7]}' if has_orjson else '{"a": [1, "\\u00e9", 1e-07]}'
    assert JsonResponse(data, fast=True).content == spelling.encode()
    for number in (math.nan, math.inf, -math.inf):
        if has_orjson:
            assert JsonResponse({"a": number}, fast=True).content == b'{"a":null}'
        else:
            with pytest.raises(ValueError, match="JSON compliant"):
                JsonResponse({"a": number}, fast=True)
    with pytest.raises(ValueError, match="fast"):
        JsonResponse(data, fast=True, json_dumps_params={})
    with pytest.raises(TypeError, match="expected a dict"):
        JsonResponse([1], fast=True)
    assert JsonResponse([1], safe=False, fast=True).content == b"[1]"


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters()),
        lambda values: (
            st.lists(values, max_size=4)
            | st.dictionaries(st.text(st.characters()) | st.integers(), values, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_any_json_is_the_same_fast(value: Any) -> None:
    fast = JsonResponse({"a": value}, fast=True).content
    assert json.loads(fast) == json.loads(JsonResponse({"a": value}).content)
