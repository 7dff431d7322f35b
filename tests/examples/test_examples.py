from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from surface import (
    EXAMPLES,
    ROOT,
    Client,
    ServesTheExampleSurface,
    TakesOtherEvents,
    json_of,
    load_example,
)

from penstock.adapter import LambdaAdapter


class TestSurface(ServesTheExampleSurface):
    """Every example, behind every front door."""


class TestOtherEvents(TakesOtherEvents):
    """Every example, with every kind of event that is not HTTP."""


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_folder_named_like_its_framework_does_not_hide_it(name: str) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    code = "import app; print(type(app.handler).__module__, type(app.app).__module__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT / "examples" / name,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    adapter, framework = done.stdout.split()
    assert adapter == "penstock.adapter.adapter"
    expected = {"asgi": "builtins", "handler": "penstock"}.get(name, name)
    assert framework.partition(".")[0] == expected


class TestFastAPIDocumentation:
    """The interactive documentation names the schema's URL, which has to include any prefix."""

    @pytest.mark.parametrize(
        ("door", "prefix"),
        [
            ({}, "/prod"),
            ({"stage": "v1"}, "/v1"),
            ({"domain": "api.example.com"}, ""),
            ({"base_path_mapping": "shop"}, "/shop"),
        ],
        ids=["default-stage", "other-stage", "custom-domain", "base-path-mapping"],
    )
    def test_behind_a_rest_api(self, door: dict[str, Any], prefix: str) -> None:
        client = Client("rest-api", load_example("fastapi").handler)
        assert_documented(client, prefix, "", **door)

    def test_behind_a_base_path(self) -> None:
        handler = LambdaAdapter(load_example("fastapi").app, base_path="/shop")
        try:
            assert_documented(Client("function-url", handler), "/shop", "/shop")
        finally:
            handler.close()

    def test_behind_a_stage_of_an_http_api(self) -> None:
        client = Client("http-api", load_example("fastapi").handler)
        assert_documented(client, "/beta", "", stage="beta")


def assert_documented(client: Client, prefix: str, sent_prefix: str, **door: Any) -> None:
    """The client finds the schema where the page says that it is."""
    page = client.request("GET", f"{sent_prefix}/docs", **door)
    assert page.status == 200
    assert f'"{prefix}/openapi.json"' in page.body.decode().replace("'", '"')
    schema = json_of(client.request("GET", f"{sent_prefix}/openapi.json", **door))
    assert "/items/{name}" in schema["paths"]
    assert [prefix] * bool(prefix) == [server["url"] for server in schema.get("servers", [])]
