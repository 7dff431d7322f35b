"""Path and root path of payload 1.0, where no one key of the event tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest

from penstock.infra.gateway import ClientRequest, make_event

if TYPE_CHECKING:
    from tests.adapter.conftest import Function

API = "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com"
OWN = "api.example.com"


def rest(path: str, asked: str | None = None, **facts: Any) -> dict[str, Any]:
    """An event of payload 1.0; ``asked`` is the path in its context."""
    event: dict[str, Any] = {"httpMethod": "GET", "path": path}
    for key in ("version", "rawPath", "resource", "pathParameters"):
        if key in facts:
            event[key] = facts.pop(key)
    defaults = {"domainName": API, "stage": "prod"}
    event["requestContext"] = {
        **defaults,
        **({"path": asked} if asked is not None else {}),
        **facts,
    }
    return event


def http1(path: str, asked: str | None = None, **facts: Any) -> dict[str, Any]:
    return rest(path, asked, **{"version": "1.0", "resourcePath": "$default", **facts})


PROXY = {"resource": "/{proxy+}", "pathParameters": {"proxy": "users"}}

# What the client asked for, decoded, and the part of it that is not the application's.
ROWS: dict[str, tuple[dict[str, Any], str, str]] = {
    # The doors and domains of the documentation.
    "REST, own domain of the API": (rest("/users", "/prod/users"), "/prod/users", "/prod"),
    "REST, custom domain, older mapping": (
        rest("/shop/users", "/shop/users", domainName=OWN, **PROXY),
        "/shop/users",
        "/shop",
    ),
    "REST, custom domain, newer mapping": (
        rest("/users", None, rawPath="/shop/users", domainName=OWN),
        "/shop/users",
        "/shop",
    ),
    "HTTP1, own domain of the API": (
        http1("/dev/test", "/dev/test", stage="dev"),
        "/dev/test",
        "/dev",
    ),
    "HTTP1, custom domain": (
        http1("/login", "/production/login", stage="production", domainName=OWN),
        "/login",
        "",
    ),
    "console or sam local": (rest("/test", "/test"), "/test", ""),
    # Rule 1: rawPath.
    "rawPath of two segments": (
        rest("/users", "/a/b/users", rawPath="/a/b/users", domainName=OWN),
        "/a/b/users",
        "/a/b",
    ),
    "rawPath without a mapping": (rest("/users", rawPath="/users", domainName=OWN), "/users", ""),
    "rawPath of the mapping itself": (
        rest("/", "/shop", rawPath="/shop", domainName=OWN),
        "/shop/",
        "/shop",
    ),
    "rawPath of the mapping with a slash": (
        rest("/", "/shop/", rawPath="/shop/", domainName=OWN),
        "/shop/",
        "/shop",
    ),
    "rawPath that is something else": (
        rest("/users", "/prod/users", rawPath="/other"),
        "/prod/users",
        "/prod",
    ),
    "rawPath that is null": (rest("/users", "/prod/users", rawPath=None), "/prod/users", "/prod"),
    "rawPath, encoded": (
        rest("/a%20b", rawPath="/sh%C3%B6p/a%20b", domainName=OWN),
        "/shöp/a b",
        "/shöp",
    ),
    # Rule 2: requestContext.path.
    "the stage alone": (rest("/", "/prod"), "/prod/", "/prod"),
    "the stage and a slash": (rest("/", "/prod/"), "/prod/", "/prod"),
    "a slash that only the context has": (rest("/users", "/prod/users/"), "/prod/users", "/prod"),
    "a slash that only the path has": (rest("/users/", "/prod/users"), "/prod/users/", "/prod"),
    "two slashes behind the stage": (rest("/x", "/prod//x"), "/prod/x", "/prod"),
    "two slashes inside": (rest("/a//b", "/prod/a//b"), "/prod/a//b", "/prod"),
    "encoded characters": (rest("/a%20b%2Bc", "/prod/a%20b%2Bc"), "/prod/a b+c", "/prod"),
    "a context that is decoded": (rest("/a%20b", "/prod/a b"), "/prod/a b", "/prod"),
    "the stage's name twice": (rest("/prod/x", "/prod/prod/x"), "/prod/prod/x", "/prod"),
    "a mapping and no rawPath": (
        rest("/users", "/shop/users", domainName=OWN),
        "/shop/users",
        "/shop",
    ),
    "HTTP1, custom domain, encoded": (
        http1("/a%20b", "/production/a b", stage="production", domainName=OWN),
        "/a b",
        "",
    ),
    # Rule 3: the stage inside the path.
    "HTTP1, the stage alone": (http1("/dev", "/dev", stage="dev"), "/dev/", "/dev"),
    "HTTP1, encoded, with a stage": (
        http1("/dev/a%20b", "/dev/a b", stage="dev"),
        "/dev/a b",
        "/dev",
    ),
    "HTTP1, default stage": (http1("/test", "/test", stage="$default"), "/test", ""),
    "HTTP1, only the beginning of a segment": (
        http1("/device", "/device", stage="dev"),
        "/device",
        "",
    ),
    "HTTP1, a route that begins like the stage": (
        http1("/dev/test", "/dev/test", stage="dev", resourcePath="/dev/{proxy+}"),
        "/dev/test",
        "",
    ),
    # Rule 4: the resource.
    "a resource with a parameter": (
        rest(
            "/shop/users/7",
            "/shop/users/7",
            domainName=OWN,
            resource="/users/{id}",
            pathParameters={"id": "7"},
        ),
        "/shop/users/7",
        "/shop",
    ),
    "a resource without a parameter": (
        rest("/shop/users", "/shop/users", domainName=OWN, resource="/users", pathParameters=None),
        "/shop/users",
        "/shop",
    ),
    "a resource that is the path": (
        rest("/users", "/users", domainName=OWN, resource="/users"),
        "/users",
        "",
    ),
    "a resource and a slash at the end": (
        rest("/shop/users/", "/shop/users/", domainName=OWN, **PROXY),
        "/shop/users/",
        "/shop",
    ),
    "a resource that ends in mid-segment": (
        rest("/shopusers", "/shopusers", domainName=OWN, **PROXY),
        "/shopusers",
        "",
    ),
    "the root resource": (rest("/shop", "/shop", domainName=OWN, resource="/"), "/shop/", "/shop"),
    "the root resource and a slash": (
        rest("/shop/", "/shop/", domainName=OWN, resource="/"),
        "/shop/",
        "/shop",
    ),
    "the root resource without a mapping": (
        rest("/", "/", domainName=OWN, resource="/"),
        "/",
        "",
    ),
    "a resource on the own domain of the API": (
        rest("/shop/users", "/shop/users", **PROXY),
        "/shop/users",
        "",
    ),
    # Rule 5: the two disagree.
    "a sample that was edited": (rest("/changed", "/prod/users"), "/prod/changed", "/prod"),
    # Rule 6.
    "no context": ({"httpMethod": "GET", "path": "/x"}, "/x", ""),
    "context of null": ({"httpMethod": "GET", "path": "/x", "requestContext": None}, "/x", ""),
    "odd context": (rest("/x", stage=["prod"], domainName=7, resourcePath={}), "/x", ""),
    "stage elsewhere": (rest("/x", "/other/y"), "/x", ""),
    "no path": (rest("", "/prod"), "/prod/", "/prod"),
    "no slash in front": (rest("users", "/prod/users"), "/prod/users", "/prod"),
}


@pytest.mark.parametrize("row", ROWS)
def test_the_root_path_is_derived(function: Function, row: str) -> None:
    event, path, root_path = ROWS[row]
    scope = function.read(event)
    assert (path, root_path) == (scope["path"], scope["root_path"])
    # Only a slash behind the root path may be ours.
    assert unquote(scope["raw_path"].decode()) in (path, path.removesuffix("/"))


@pytest.mark.parametrize("row", ROWS)
def test_an_empty_option_switches_it_off(function: Function, row: str) -> None:
    event = ROWS[row][0]
    scope = function.read(event, root_path="")
    path = event["path"] if event["path"].startswith("/") else "/" + event["path"]
    assert (unquote(path), "") == (scope["path"], scope["root_path"])


def test_a_base_path_that_is_derived_already_is_not_added_again(function: Function) -> None:
    event = rest("/shop/users", "/shop/users", domainName=OWN, **PROXY)
    scope = function.read(event, base_path="/shop")
    assert ("/shop/users", "/shop") == (scope["path"], scope["root_path"])


def test_a_base_path_tells_what_no_event_can(function: Function) -> None:
    event = rest("/shop/users", "/shop/users", domainName=OWN)
    scope = function.read(event, base_path="/shop")
    assert ("/shop/users", "/shop") == (scope["path"], scope["root_path"])


TARGETS = ["/", "/users", "/users/", "/a%20b", "/caf%C3%A9/x", "/a+b", "/%25", "/prod", "/a//b"]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("stage", ["prod", "a-b", "$default"])
@pytest.mark.parametrize("source", ["rest-api", "http-api-1"])
def test_stages_of_the_own_domain_are_the_root_path(
    function: Function, source: str, stage: str, target: str
) -> None:
    if (source, stage) == ("rest-api", "$default"):
        stage = "live"
    root = "" if stage == "$default" else f"/{stage}"
    scope = function.read(make_event(source, ClientRequest("GET", target), stage=stage))
    assert (root + unquote(target), root) == (scope["path"], scope["root_path"])
    assert (root + target).encode() == scope["raw_path"]


@pytest.mark.parametrize("target", TARGETS)
def test_stages_of_a_custom_domain_are_not(function: Function, target: str) -> None:
    request = ClientRequest("GET", target)
    event = make_event("http-api-1", request, stage="production", domain=OWN)
    scope = function.read(event)
    assert (unquote(target), "") == (scope["path"], scope["root_path"])
    assert target.encode() == scope["raw_path"]


@pytest.mark.parametrize("target", TARGETS)
def test_a_mapping_of_a_custom_domain_is_the_root_path(function: Function, target: str) -> None:
    event = make_event("rest-api", ClientRequest("GET", target), base_path_mapping="shop")
    scope = function.read(event)
    assert ("/shop" + unquote(target), "/shop") == (scope["path"], scope["root_path"])
