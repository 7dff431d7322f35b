"""The middleware that comes along: each alone, and all together."""

from __future__ import annotations

import gzip
import logging
from typing import TYPE_CHECKING, Any

import pytest

from penstock.handler import (
    ASGIHandler,
    HandlerConfig,
    Http404,
    HttpResponse,
    ImproperlyConfigured,
    JsonResponse,
    StreamingHttpResponse,
    path,
    sync_to_async,
)
from penstock.handler.batteries import (
    CORS,
    AllowedHosts,
    BodyLimit,
    ConditionalGet,
    GZip,
    RequestId,
    RequestIdFilter,
    SecurityHeaders,
    get_request_id,
)
from penstock.handler.testing import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.handler import ASGIRequest
    from penstock.handler.testing import Answer

TEXT = "The penstock carries water to the turbine. " * 50


def page(_request: ASGIRequest) -> HttpResponse:
    return HttpResponse(TEXT, content_type="text/plain")


async def own_headers(_request: ASGIRequest) -> HttpResponse:
    response = HttpResponse("x")
    response["X-Frame-Options"] = "SAMEORIGIN"
    response["ETag"] = '"mine"'
    response["Vary"] = "Cookie"
    return response


async def missing(_request: ASGIRequest) -> HttpResponse:
    raise Http404


async def broken(_request: ASGIRequest) -> HttpResponse:
    raise ZeroDivisionError


async def echo(request: ASGIRequest) -> HttpResponse:
    return JsonResponse({"length": len(await request.abody()), "method": request.method})


async def drip(request: ASGIRequest) -> HttpResponse:
    return JsonResponse({"parts": [len(part) async for part in request.astream()]})


async def stream(_request: ASGIRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[str]:
        for _ in range(5):
            yield TEXT

    return StreamingHttpResponse(parts(), content_type="text/plain")


async def identify(request: ASGIRequest) -> HttpResponse:
    in_thread = await sync_to_async(get_request_id)()
    return JsonResponse([request.request_id, get_request_id(), in_thread], safe=False)  # type: ignore[attr-defined]


ROUTES = [
    path("", page),
    path("own", own_headers),
    path("missing", missing),
    path("broken", broken),
    path("echo", echo),
    path("uploads/big", echo),
    path("drip", drip, stream_body=True),
    path("stream", stream),
    path("id", identify),
    path("nothing", lambda _: HttpResponse("[]", headers={"Cache-Control": "no-store"})),
]


def client(*middleware: Any, config: HandlerConfig | None = None, **options: Any) -> Client:
    return Client(ASGIHandler(ROUTES, middleware=middleware, config=config), **options)


class TestSecurityHeaders:
    def test_the_usual_ones(self) -> None:
        headers = client(SecurityHeaders()).get("/").headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "strict-transport-security" not in headers
        assert "content-security-policy" not in headers

    def test_what_the_view_sets_stays(self) -> None:
        assert client(SecurityHeaders()).get("/own").headers["x-frame-options"] == "SAMEORIGIN"

    @pytest.mark.parametrize("target", ["/missing", "/broken", "/nowhere"])
    def test_errors_have_them_too(self, target: str) -> None:
        answer = client(SecurityHeaders()).get(target)
        assert answer.status_code >= 400
        assert answer.headers["x-content-type-options"] == "nosniff"

    def test_one_can_be_left_out_and_others_added(self) -> None:
        layer = SecurityHeaders(frame_options=None, content_security_policy="default-src 'self'")
        headers = client(layer).get("/").headers
        assert "x-frame-options" not in headers
        assert headers["content-security-policy"] == "default-src 'self'"

    def test_hsts_goes_out_over_tls_only(self) -> None:
        layer = SecurityHeaders(
            hsts_seconds=31_536_000, hsts_include_subdomains=True, hsts_preload=True
        )
        assert "strict-transport-security" not in client(layer).get("/").headers
        secure = client(layer, base_url="https://testserver").get("/")
        expected = "max-age=31536000; includeSubDomains; preload"
        assert secure.headers["strict-transport-security"] == expected

    def test_preloading_takes_what_browsers_ask_for(self) -> None:
        with pytest.raises(ImproperlyConfigured, match="31536000"):
            SecurityHeaders(hsts_seconds=60, hsts_include_subdomains=True, hsts_preload=True)


class TestCORS:
    APP = "https://app.example.com"

    def preflight(self, answering: Client, origin: str, **headers: str) -> Answer:
        asked = {"Origin": origin, "Access-Control-Request-Method": "PUT", **headers}
        return answering.request("OPTIONS", "/echo", headers=asked)

    def test_an_allowed_origin(self) -> None:
        layer = CORS(
            allow_origins=[self.APP], allow_credentials=True, expose_headers=["X-B", "X-A"]
        )
        headers = client(layer).get("/own", headers={"Origin": self.APP}).headers
        assert headers["access-control-allow-origin"] == self.APP
        assert headers["access-control-allow-credentials"] == "true"
        assert headers["access-control-expose-headers"] == "X-A, X-B"
        assert headers["vary"] == "Cookie, Origin"

    @pytest.mark.parametrize(
        "origin",
        [
            "https://evil.example",
            "https://app.example.com.evil.example",
            "http://app.example.com",
            "https://app.example.com:8443",
            "null",
            "https://evilapp.example.com",
        ],
    )
    def test_another_origin_gets_no_header_but_caches_know(self, origin: str) -> None:
        layer = CORS(allow_origins=[self.APP])
        answer = client(layer).get("/", headers={"Origin": origin})
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["vary"] == "Origin"
        refused = self.preflight(client(layer), origin)
        assert refused.status_code == 403
        assert "access-control-allow-origin" not in refused.headers

    @pytest.mark.parametrize(
        ("origin", "allowed"),
        [
            ("https://a.example.com", True),
            ("https://a.b.example.com", True),
            ("https://example.com", False),
            ("https://.example.com", False),
            ("https://evilexample.com", False),
            ("http://a.example.com", False),
        ],
    )
    def test_subdomains(self, origin: str, allowed: bool) -> None:
        answer = client(CORS(allow_origins=["https://*.example.com"])).get(
            "/", headers={"Origin": origin}
        )
        assert ("access-control-allow-origin" in answer.headers) is allowed

    def test_all_origins(self) -> None:
        headers = client(CORS(allow_origins=["*"])).get("/", headers={"Origin": "x://y"}).headers
        assert headers["access-control-allow-origin"] == "*"
        assert "vary" not in headers

    def test_all_origins_with_credentials_are_refused(self) -> None:
        with pytest.raises(ImproperlyConfigured, match="cookies of your users"):
            CORS(allow_origins=["*"], allow_credentials=True)

    @pytest.mark.parametrize(
        "origins", ["https://a.example", ["a.example"], ["https://a.example/"], ["HTTPS://A.B"]]
    )
    def test_origins_that_no_browser_sends(self, origins: Any) -> None:
        with pytest.raises(ImproperlyConfigured, match="expected"):
            CORS(allow_origins=origins)

    def test_a_preflight_is_answered_without_the_view(self) -> None:
        layer = CORS(allow_origins=[self.APP], allow_headers=["X-Token", "Content-Type"])
        answer = self.preflight(client(layer), self.APP)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["access-control-allow-origin"] == self.APP
        methods = answer.headers["access-control-allow-methods"]
        assert methods == "DELETE, GET, HEAD, PATCH, POST, PUT"
        assert answer.headers["access-control-allow-headers"] == "Content-Type, X-Token"
        assert answer.headers["access-control-max-age"] == "600"
        assert "Access-Control-Request-Headers" in answer.headers["vary"]

    def test_a_preflight_may_ask_for_any_header(self) -> None:
        layer = CORS(allow_origins=[self.APP], allow_headers=["*"])
        asked = {"Access-Control-Request-Headers": "x-a,x-b"}
        answer = self.preflight(client(layer), self.APP, **asked)
        assert answer.headers["access-control-allow-headers"] == "x-a,x-b"

    def test_options_without_a_preflight_reaches_the_view(self) -> None:
        answer = client(CORS(allow_origins=[self.APP])).request("OPTIONS", "/echo")
        assert answer.json()["method"] == "OPTIONS"

    def test_errors_can_be_read_by_the_page(self) -> None:
        answer = client(CORS(allow_origins=[self.APP])).get("/broken", headers={"Origin": self.APP})
        assert answer.status_code == 500
        assert answer.headers["access-control-allow-origin"] == self.APP


class TestGZip:
    def test_text_is_compressed_for_who_takes_it(self) -> None:
        answer = client(GZip()).get("/", headers={"Accept-Encoding": "gzip"})
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["content-length"] == str(len(answer.content))
        assert gzip.decompress(answer.content).decode() == TEXT
        plain = client(GZip()).get("/")
        assert (plain.text, plain.headers["vary"]) == (TEXT, "Accept-Encoding")

    def test_a_stream_is_compressed_part_by_part(self) -> None:
        with (
            client(GZip()) as streaming,
            streaming.stream("GET", "/stream", headers={"Accept-Encoding": "gzip"}) as answer,
        ):
            assert answer.headers["content-encoding"] == "gzip"
            assert "content-length" not in answer.headers
            assert gzip.decompress(answer.read()).decode() == TEXT * 5


class TestConditionalGet:
    def test_the_second_request_is_not_modified(self) -> None:
        layer = client(ConditionalGet())
        first = layer.get("/")
        etag = first.headers["etag"]
        second = layer.get("/", headers={"If-None-Match": f'"other", {etag}'})
        assert (first.text, second.status_code, second.content) == (TEXT, 304, b"")
        assert second.headers["etag"] == etag

    def test_head_has_the_same_tag(self) -> None:
        layer = client(ConditionalGet())
        head = layer.request("HEAD", "/")
        assert head.headers["etag"] == layer.get("/").headers["etag"]
        assert head.content == b""

    def test_the_views_own_tag_counts(self) -> None:
        answer = client(ConditionalGet()).get("/own", headers={"If-None-Match": '"mine"'})
        assert answer.status_code == 304
        assert client(ConditionalGet()).get("/own", headers={"If-Match": '"x"'}).status_code == 412

    @pytest.mark.parametrize("target", ["/nothing", "/stream", "/missing"])
    def test_what_gets_no_tag(self, target: str) -> None:
        assert "etag" not in client(ConditionalGet()).get(target).headers

    def test_other_methods_get_no_tag(self) -> None:
        assert "etag" not in client(ConditionalGet()).post("/echo", data=b"x").headers


class TestRequestId:
    def test_a_new_one_is_the_same_everywhere(self) -> None:
        answer = client(RequestId()).get("/id")
        (request_id,) = set(answer.json())
        assert answer.headers["x-request-id"] == request_id
        assert len(request_id) == 32

    def test_two_requests_have_two(self) -> None:
        layer = client(RequestId())
        assert layer.get("/id").json() != layer.get("/id").json()

    def test_the_clients_is_kept(self) -> None:
        layer = RequestId(header="X-Correlation-ID")
        answer = client(layer).get("/id", headers={"X-Correlation-ID": "Root=1-67891233-ab/c"})
        assert set(answer.json()) == {"Root=1-67891233-ab/c"}
        assert answer.headers["x-correlation-id"] == "Root=1-67891233-ab/c"

    @pytest.mark.parametrize(
        "sent", ["", "a b", "x" * 129, 'a"b', "a\tb", "<script>", "é", "a,b", "${jndi:x}"]
    )
    def test_one_that_could_forge_a_record_is_replaced(self, sent: str) -> None:
        answer = client(RequestId()).get("/id", headers={"X-Request-ID": sent})
        assert answer.headers["x-request-id"] != sent
        assert len(answer.json()[0]) == 32

    def test_a_stranger_is_not_believed(self) -> None:
        layer = RequestId(trust_client=False)
        answer = client(layer).get("/id", headers={"X-Request-ID": "mine"})
        assert answer.headers["x-request-id"] != "mine"

    def test_the_servers_id_comes_before_a_new_one(self) -> None:
        given: dict[str, Any] = {"penstock": {"request_id": "of-lambda"}}
        assert client(RequestId(), extensions=given).get("/id").json()[0] == "of-lambda"

    def test_log_records_have_it(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.handler.addFilter(logging_filter := RequestIdFilter())
        try:
            answer = client(RequestId()).get("/broken", headers={"X-Request-ID": "abc"})
            logging.getLogger("elsewhere").warning("outside")
        finally:
            caplog.handler.removeFilter(logging_filter)
        assert answer.headers["x-request-id"] == "abc"
        ids = [record.request_id for record in caplog.records]  # type: ignore[attr-defined]
        assert ids == ["abc", "-"]

    def test_a_header_that_cannot_be_one(self) -> None:
        with pytest.raises(ImproperlyConfigured, match="header name"):
            RequestId(header="X Request")


class TestAllowedHosts:
    CONFIG = HandlerConfig(allowed_hosts=["example.com", ".example.org"])

    @pytest.mark.parametrize(
        ("host", "status"),
        [
            ("example.com", 200),
            ("EXAMPLE.com:8443", 200),
            ("a.example.org", 200),
            ("evil.example", 400),
            ("example.com@evil.example", 400),
            ("10.0.0.1", 400),
        ],
    )
    def test_every_request_is_checked(self, host: str, status: int) -> None:
        layer = client(AllowedHosts(), config=self.CONFIG)
        assert layer.get("/", headers={"Host": host}).status_code == status

    def test_health_checks_may_come_with_an_address(self) -> None:
        layer = client(AllowedHosts(except_paths=["/own"]), config=self.CONFIG)
        assert layer.get("/own", headers={"Host": "10.0.0.1"}).status_code == 200


class TestBodyLimit:
    LAYER = BodyLimit(10, by_path={"/uploads/": 20})

    @pytest.mark.parametrize(
        ("target", "size", "status"),
        [
            ("/echo", 10, 200),
            ("/echo", 11, 413),
            ("/uploads/big", 20, 200),
            ("/uploads/big", 21, 413),
        ],
    )
    @pytest.mark.parametrize("parts", [1, 2])
    def test_the_limit_of_a_path(self, target: str, size: int, status: int, parts: int) -> None:
        body = [b"x" * (size - parts + 1), *[b"x"] * (parts - 1)]
        assert client(self.LAYER).post(target, data=body).status_code == status

    def test_a_length_that_is_announced_is_enough(self) -> None:
        answer = client(self.LAYER).post("/missing", headers={"Content-Length": "11"})
        assert answer.status_code == 413

    def test_a_body_that_is_streamed_is_cut_off(self) -> None:
        layer = client(self.LAYER)
        assert layer.post("/drip", data=[b"x" * 5, b"x" * 5]).json() == {"parts": [5, 5]}
        assert layer.post("/drip", data=[b"x" * 5, b"x" * 6]).status_code == 413

    def test_a_limit_that_is_none(self) -> None:
        with pytest.raises(ImproperlyConfigured, match="zero or more"):
            BodyLimit(-1)


class TestTogether:
    LAYERS = (
        RequestId(),
        AllowedHosts(),
        SecurityHeaders(),
        CORS(allow_origins=["https://app.example.com"]),
        BodyLimit(1000),
        GZip(),
        ConditionalGet(),
    )
    HEADERS = (("Origin", "https://app.example.com"), ("Accept-Encoding", "gzip"))

    def test_a_page(self) -> None:
        layer = client(*self.LAYERS)
        answer = layer.get("/", headers=self.HEADERS)
        assert gzip.decompress(answer.content).decode() == TEXT
        assert answer.headers["vary"] == "Accept-Encoding, Origin"
        assert answer.headers["etag"].startswith('W/"')
        assert answer.headers["x-frame-options"] == "DENY"
        again = layer.get("/", headers=(*self.HEADERS, ("If-None-Match", answer.headers["etag"])))
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["access-control-allow-origin"] == "https://app.example.com"
        assert again.headers["x-request-id"]

    @pytest.mark.parametrize(
        ("target", "options", "status"),
        [
            ("/broken", {}, 500),
            ("/nowhere", {}, 404),
            ("/", {"headers": {"Host": "a b"}}, 400),
            ("/echo", {"data": b"x" * 1001}, 413),
        ],
    )
    def test_refusals_have_the_headers_as_well(
        self, target: str, options: dict[str, Any], status: int
    ) -> None:
        answer = client(*self.LAYERS).post(target, **options)
        assert answer.status_code == status
        assert answer.headers["x-request-id"]

    def test_the_handler_runs_them_for_sync_callers_too(self) -> None:
        from penstock.handler import ASGIRequest

        handler = ASGIHandler(ROUTES, middleware=self.LAYERS)
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        response = handler.get_response(ASGIRequest(scope))
        assert response.content.decode() == TEXT
        assert response["X-Frame-Options"] == "DENY"
        response.close()
