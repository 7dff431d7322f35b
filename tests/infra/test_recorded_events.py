"""Our events beside events that were recorded from AWS."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from penstock.infra.gateway import ClientRequest, make_event

RECORDED = Path(__file__).parents[2].parent / "shared" / "events"

QUERY = (
    "repeat=one&repeat=two&redirect=https%3A%2F%2Fexample.com%2Fa%2Fb"
    "&literalPlus=a+b&encodedPlus=a%2Bb&empty="
)
PROBE = ClientRequest(
    "POST",
    f"/capture/space%20value?{QUERY}",
    (
        ("user-agent", "curl/8.7.1"),
        ("accept", "*/*"),
        ("content-type", "application/json"),
        ("cookie", "session=abc123; theme=dark"),
    ),
    '{"unicode": "λ"}'.encode(),
)


def recorded(name: str) -> dict[str, Any]:
    path = RECORDED / name
    if not path.exists():
        pytest.skip("the folder of recorded events is not beside this checkout")
    event: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return event


def get(target: str = "/", *headers: tuple[str, str], body: bytes = b"") -> ClientRequest:
    return ClientRequest("GET", target, headers, body)


class TestOneRequestBehindRecordedDoors:
    """The four doors that one real request went through, header by header."""

    def test_rest_api(self) -> None:
        theirs = recorded("api-gateway-rest/live-post-encoded-path-and-query.json")
        ours = self.make("rest-api", theirs, stage="live")
        keys = set(theirs) - {"requestContext"}
        assert {key: theirs[key] for key in keys} == {key: ours[key] for key in keys}
        self.compare_context(theirs, ours, {"requestTime", "requestTimeEpoch", "resourcePath"})
        assert "/live/capture/space%20value" == ours["requestContext"]["path"]

    def test_http_api(self) -> None:
        theirs = recorded("http-api-v2/live-post-decoded-path.json")
        ours = self.make("http-api", theirs)
        # The capture was printed from a class, which adds null for what is absent.
        keys = set(theirs) - {"requestContext", "pathParameters", "stageVariables"}
        assert {key: theirs[key] for key in keys} == {key: ours[key] for key in keys}
        self.compare_context(theirs, ours, {"time", "timeEpoch", "routeKey", "http"})

    def test_function_url(self) -> None:
        theirs = recorded("function-url/live-post-encoded-path-cookies.json")
        ours = self.make("function-url", theirs)
        keys = set(theirs) - {"requestContext", "pathParameters", "stageVariables"}
        assert {key: theirs[key] for key in keys} == {key: ours[key] for key in keys}
        self.compare_context(theirs, ours, {"time", "timeEpoch", "routeKey", "http", "accountId"})

    def test_alb_with_multi_value_headers(self) -> None:
        theirs = recorded("alb/live-post-encoded-path-and-query.json")
        headers = theirs["multiValueHeaders"]
        probe = self.probe(theirs, headers, headers["x-forwarded-for"][0])
        ours = make_event("alb-multi", probe, domain=headers["host"][0], scheme="http")
        ours["multiValueHeaders"]["x-amzn-trace-id"] = headers["x-amzn-trace-id"]
        keys = set(theirs) - {"requestContext", "headers", "queryStringParameters"}
        assert {key: theirs[key] for key in keys} == {key: ours[key] for key in keys}

    @staticmethod
    def probe(theirs: dict[str, Any], names: dict[str, Any], client_ip: str) -> ClientRequest:
        """That request: its odd query by heart, the rest from the recording."""
        probe = next(name for name in names if name.endswith("-probe"))
        body = theirs["body"].encode()
        more = ((probe, "first"), (probe, "second"), ("content-length", str(len(body))))
        return dataclasses.replace(
            PROBE, headers=(*PROBE.headers, *more), body=body, client_ip=client_ip
        )

    @staticmethod
    def make(source: str, theirs: dict[str, Any], **settings: Any) -> dict[str, Any]:
        context = theirs["requestContext"]
        facts = context.get("http") or context["identity"]
        ours = make_event(
            source,
            TestOneRequestBehindRecordedDoors.probe(theirs, theirs["headers"], facts["sourceIp"]),
            domain=context["domainName"],
            time_ms=context.get("timeEpoch") or context["requestTimeEpoch"],
            **settings,
        )
        for key, name in (("headers", "X-Amzn-Trace-Id"), ("headers", "x-amzn-trace-id")):
            if name in theirs[key]:
                ours[key][name] = theirs[key][name]
        if "multiValueHeaders" in theirs:
            trace = theirs["multiValueHeaders"]["X-Amzn-Trace-Id"]
            ours["multiValueHeaders"]["X-Amzn-Trace-Id"] = trace
        return ours

    @staticmethod
    def compare_context(theirs: dict[str, Any], ours: dict[str, Any], more: set[str]) -> None:
        keys = more | {"apiId", "domainName", "domainPrefix", "stage"}
        expected, actual = theirs["requestContext"], ours["requestContext"]
        assert {key: expected[key] for key in keys} == {key: actual[key] for key in keys}


class TestShapesOfRecordedEvents:
    """The key sets of our events are those of events that were recorded from AWS."""

    @pytest.mark.parametrize(
        ("source", "name", "target"),
        [
            ("rest-api", "api-gateway-rest/aws-validated-get.json", "/proxy-value"),
            ("rest-api", "api-gateway-rest/aws-validated-trailing-slash.json", "/proxy-value/"),
            (
                "rest-api",
                "api-gateway-rest/aws-validated-multi-value-query-post.json",
                "/proxy-value?price=10&category=electronics&category=books&price=20&price=30",
            ),
        ],
    )
    def test_rest_api(self, source: str, name: str, target: str) -> None:
        theirs, ours = recorded(name), make_event(source, get(target), stage="stage")
        assert theirs.keys() == ours.keys()
        assert theirs["requestContext"].keys() == ours["requestContext"].keys()
        assert theirs["requestContext"]["identity"].keys() == (
            ours["requestContext"]["identity"].keys()
        )
        keys = {
            "resource",
            "path",
            "pathParameters",
            "queryStringParameters",
            "multiValueQueryStringParameters",
            "stageVariables",
        }
        assert {key: theirs[key] for key in keys} == {key: ours[key] for key in keys}
        assert theirs["requestContext"]["path"] == ours["requestContext"]["path"]

    def test_rest_api_root(self) -> None:
        theirs = recorded("api-gateway-rest/live-get-root-via-cloudfront.json")
        ours = make_event("rest-api", get(), stage="Prod")
        keys = {"resource", "path", "pathParameters", "body", "isBase64Encoded"}
        assert {key: theirs[key] for key in keys} == {key: ours[key] for key in keys}
        assert theirs["requestContext"]["path"] == ours["requestContext"]["path"]

    def test_leading_slashes_collapse_in_one_of_the_two_rest_paths(self) -> None:
        theirs = recorded("api-gateway-rest/aws-validated-double-slash-in-context-path.json")
        ours = make_event("rest-api", get("//hardcoded"), stage="stage")
        assert theirs["path"] == ours["path"]
        assert theirs["requestContext"]["path"] == ours["requestContext"]["path"]

    def test_http_api_1_on_a_custom_domain(self) -> None:
        theirs = recorded("http-api-v1/live-custom-domain-named-stage.json")
        ours = make_event(
            "http-api-1",
            get("/?colors[]=blue&colors[]=red"),
            stage="production",
            domain=theirs["requestContext"]["domainName"],
        )
        assert theirs.keys() == ours.keys()
        assert theirs["requestContext"].keys() == ours["requestContext"].keys()
        keys = {"resource", "path", "queryStringParameters", "multiValueQueryStringParameters"}
        assert {key: theirs[key] for key in keys} == {key: ours[key] for key in keys}
        keys = {"path", "stage", "resourceId", "resourcePath", "domainPrefix"}
        assert {key: theirs["requestContext"][key] for key in keys} == {
            key: ours["requestContext"][key] for key in keys
        }

    def test_http_api_1_with_a_binary_body(self) -> None:
        theirs = recorded("http-api-v1/aws-validated-binary-body.json")
        request = ClientRequest(
            "POST",
            theirs["path"],
            (("Content-Type", "application/octet-stream"),),
            bytes([1, 2, 3, 4, 5]),
        )
        ours = make_event("http-api-1", request)
        assert theirs.keys() == ours.keys()
        assert theirs["headers"].keys() == ours["headers"].keys()
        assert (theirs["body"], theirs["isBase64Encoded"], theirs["path"]) == (
            ours["body"],
            ours["isBase64Encoded"],
            ours["path"],
        )
        assert theirs["requestContext"]["path"] == ours["requestContext"]["path"]
        assert (
            theirs["requestContext"]["identity"]["userAgent"]
            == (ours["requestContext"]["identity"]["userAgent"])
        )

    def test_http_api_with_cookies_and_query(self) -> None:
        theirs = recorded("http-api-v2/aws-validated-cookies-and-query.json")
        target = f"{theirs['rawPath']}?{theirs['rawQueryString']}"
        ours = make_event("http-api", get(target, ("Cookie", "session=abc123; theme=dark")))
        # That capture is of a route with a path parameter, ours of $default.
        assert theirs.keys() - {"pathParameters"} == ours.keys()
        assert theirs["requestContext"].keys() == ours["requestContext"].keys()
        keys = {"cookies", "rawPath", "rawQueryString", "queryStringParameters", "isBase64Encoded"}
        assert {key: theirs[key] for key in keys} == {key: ours[key] for key in keys}

    def test_http_api_decodes_the_path(self) -> None:
        theirs = recorded("http-api-v2/aws-validated-space-in-path.json")
        ours = make_event("http-api", get(theirs["rawPath"].replace(" ", "%20")))
        assert theirs["rawPath"] == ours["rawPath"]
        assert theirs["requestContext"]["http"]["path"] == ours["requestContext"]["http"]["path"]

    def test_http_api_stage_is_in_the_path(self) -> None:
        theirs = recorded("http-api-v2/named-stage-trailing-slash.json")
        ours = make_event("http-api", get("/foo/"), stage="beta")
        assert theirs["rawPath"] == ours["rawPath"]
        assert theirs.keys() - {"pathParameters"} == ours.keys()

    def test_function_url_of_a_browser(self) -> None:
        theirs, ours = recorded("function-url/get-browser.json"), make_event("function-url", get())
        assert theirs.keys() == ours.keys()
        assert theirs["requestContext"].keys() == ours["requestContext"].keys()

    def test_function_url_encodes_an_unknown_type(self) -> None:
        theirs = recorded("function-url/post-base64-body.json")
        ours = make_event("function-url", get("/", ("content-type", "idk"), body=b"<idk/>"))
        assert (theirs["body"], theirs["isBase64Encoded"]) == (
            ours["body"],
            ours["isBase64Encoded"],
        )

    @pytest.mark.parametrize(
        ("source", "name"),
        [
            ("alb", "alb/headers-only.json"),
            ("alb", "alb/health-check.json"),
            ("alb-multi", "alb/multi-value.json"),
            ("lattice-1", "vpc-lattice-v1/get-base64-body.json"),
            ("lattice-2", "vpc-lattice-v2/list-valued-headers-and-query.json"),
        ],
    )
    def test_balancers(self, source: str, name: str) -> None:
        theirs, ours = recorded(name), make_event(source, get("/?a=1"))
        assert theirs.keys() == ours.keys()
        assert theirs.get("requestContext", {}).keys() == ours.get("requestContext", {}).keys()

    @pytest.mark.parametrize(
        ("event_type", "name"),
        [
            ("viewer-request", "lambda-edge/viewer-request-json-body.json"),
            ("origin-request", "lambda-edge/origin-request-text-body-no-host.json"),
        ],
    )
    def test_edge(self, event_type: str, name: str) -> None:
        theirs = recorded(name)["Records"][0]["cf"]
        request = get(body=b"{}")
        ours = make_event("edge", request, edge_event_type=event_type)["Records"][0]["cf"]
        assert theirs["config"].keys() == ours["config"].keys()
        assert theirs["request"].keys() == ours["request"].keys()
        assert theirs["request"]["body"].keys() == ours["request"]["body"].keys()
