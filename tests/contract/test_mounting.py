"""``base_path`` and ``root_path`` behind every front door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from penstock.infra.gateway import SOURCES

if TYPE_CHECKING:
    from tests.contract.conftest import Door

DERIVED = {"rest-api": "/prod"}


def paths(door: Door, target: str, **options: Any) -> tuple[str, str]:
    scope = door.ask(target=target, **options).scope
    return scope["path"], scope["root_path"]


def test_a_base_path_moves_to_the_root_path(door: Door) -> None:
    root = DERIVED.get(door.name, "")
    assert paths(door, "/api/users", base_path="/api") == (f"{root}/api/users", f"{root}/api")


def test_a_trailing_slash_of_the_option_is_ignored(door: Door) -> None:
    root = DERIVED.get(door.name, "")
    assert paths(door, "/api/users", base_path="/api/") == (f"{root}/api/users", f"{root}/api")


def test_a_base_path_of_several_segments_is_one(door: Door) -> None:
    root = DERIVED.get(door.name, "")
    assert paths(door, "/a/b/c", base_path="/a/b") == (f"{root}/a/b/c", f"{root}/a/b")


@pytest.mark.parametrize("target", ["/apiary/x", "/API/x", "/x/api", "/ap", "/"])
def test_only_whole_segments_at_the_beginning_count(door: Door, target: str) -> None:
    root = DERIVED.get(door.name, "")
    assert paths(door, target, base_path="/api") == (root + target, root)


def test_a_base_path_is_taken_off_once(door: Door) -> None:
    root = DERIVED.get(door.name, "")
    assert paths(door, "/api/api/x", base_path="/api") == (f"{root}/api/api/x", f"{root}/api")


def test_the_base_path_itself_is_the_first_page(door: Door) -> None:
    root = DERIVED.get(door.name, "")
    expected = (f"{root}/api/", f"{root}/api")
    assert paths(door, "/api", base_path="/api") == expected
    assert paths(door, "/api/", base_path="/api") == expected


def test_the_raw_path_stays_what_the_client_asked_for(door: Door) -> None:
    scope = door.ask(target="/api/caf%C3%A9", base_path="/api").scope
    assert scope["raw_path"] == DERIVED.get(door.name, "").encode() + b"/api/caf%C3%A9"


def test_a_configured_root_path_replaces_what_is_derived(door: Door) -> None:
    assert paths(door, "/users", root_path="/shop") == ("/shop/users", "/shop")
    assert paths(door, "/", root_path="/shop/") == ("/shop/", "/shop")


def test_an_empty_root_path_switches_the_derivation_off(door: Door) -> None:
    assert paths(door, "/users", root_path="") == ("/users", "")


def test_root_path_and_base_path_add_up(door: Door) -> None:
    expected = ("/shop/api/users", "/shop/api")
    assert paths(door, "/api/users", root_path="/shop", base_path="/api") == expected


def test_the_raw_path_has_the_configured_root_path(door: Door) -> None:
    assert door.ask(target="/a%20b", root_path="/shop").scope["raw_path"] == b"/shop/a%20b"


def test_derived_roots_are_known_for_every_source() -> None:
    assert set(DERIVED) <= set(SOURCES)
