"""Settings are checked once and do not change."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from penstock.handler import HandlerConfig, ImproperlyConfigured


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_body_size", -1),
        ("max_body_size", True),
        ("data_upload_max_number_fields", "1000"),
        ("body_receive_timeout", -0.1),
        ("response_timeout", "soon"),
        ("chunk_size", 0),
        ("content_chunk_size", 0),
        ("max_sync_threads", 0),
        ("body_mode", "memory"),
        ("listen_for_disconnect", "never"),
        ("allowed_hosts", "example.com"),
        ("default_charset", "nonsense"),
        ("error_handlers", {200: print}),
        ("error_handlers", {int: print}),
        ("error_handlers", {404: "page.html"}),
    ],
)
def test_a_value_that_cannot_be_used_is_named(name: str, value: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match=name):
        HandlerConfig(**{name: value})


def test_settings_do_not_change() -> None:
    config = HandlerConfig(debug=True)
    with pytest.raises(AttributeError, match="do not change"):
        config.debug = False
    with pytest.raises(AttributeError, match="do not change"):
        del config.debug
    assert "debug=True" in repr(config)
    assert config == HandlerConfig(debug=True) != HandlerConfig()


def test_from_django_takes_values_of_the_same_name() -> None:
    class Settings:
        DEBUG = True
        ALLOWED_HOSTS: tuple[str, ...] = ()
        FILE_UPLOAD_MAX_MEMORY_SIZE = 5
        CHUNK_SIZE = 1  # the project's own, of another meaning

    config = HandlerConfig.from_django(Settings, max_body_size=7)
    assert (True, 5, 65_536, 7) == (
        config.debug,
        config.file_upload_max_memory_size,
        config.chunk_size,
        config.max_body_size,
    )
    assert (".localhost", "127.0.0.1", "[::1]") == config.allowed_hosts


def test_every_setting_is_documented_with_its_default() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "handler.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \| ", page, re.MULTILINE))
    default = HandlerConfig()
    for name in HandlerConfig.__slots__:
        text = rows[name].strip("`")
        shown = ast.literal_eval(text.replace(" ", "") if text[0].isdigit() else text)
        assert getattr(default, name) == shown, name
