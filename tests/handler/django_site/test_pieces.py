"""Pieces of Django on an ``ASGIHandler``: middleware, responses, routers, signals, settings."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

import django_site
import pytest
from django.conf import settings
from django.core import signals
from django.db import connection
from django.http import HttpResponse as DjangoResponse
from django.http import HttpResponseRedirect as DjangoRedirect
from django.http import StreamingHttpResponse as DjangoStream
from django.test import override_settings
from django.urls import get_resolver

from penstock.handler import (
    ASGIHandler,
    HandlerConfig,
    HttpResponse,
    StreamingHttpResponse,
    path,
    request_finished,
    websocket,
)
from penstock.handler.django import DjangoASGIRequest, DjangoHandler
from penstock.handler.testing import Client, WebSocketDenied

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def sent() -> Iterator[list[Any]]:
    """What Django's signals were sent with, and on which thread."""
    seen: list[Any] = []

    def started(sender: Any, scope: Any, **_: Any) -> None:
        seen.append(("started", sender, scope["path"], threading.get_ident()))

    def finished(sender: Any, **_: Any) -> None:
        seen.append(("finished", sender, "", threading.get_ident()))

    def failed(sender: Any, request: Any, **_: Any) -> None:
        seen.append(("failed", sender, request.path, threading.get_ident()))

    signals.request_started.connect(started)
    signals.request_finished.connect(finished)
    signals.got_request_exception.connect(failed)
    yield seen
    signals.request_started.disconnect(started)
    signals.request_finished.disconnect(finished)
    signals.got_request_exception.disconnect(failed)


@pytest.mark.conformance("C188")
class TestSignals:
    def test_each_comes_once_with_djangos_arguments(self, sent: list[Any]) -> None:
        Client(DjangoHandler()).get("/text/")
        assert [entry[:3] for entry in sent] == [
            ("started", DjangoHandler, "/text/"),
            ("finished", DjangoHandler, ""),
        ]
        threads = {entry[3] for entry in sent}
        assert len(threads) == 1
        assert threading.get_ident() not in threads

    def test_a_failure_is_announced(self, sent: list[Any]) -> None:
        Client(DjangoHandler()).get("/raising/500/")
        assert [entry[:3] for entry in sent] == [
            ("started", DjangoHandler, "/raising/500/"),
            ("failed", None, "/raising/500/"),
            ("finished", DjangoHandler, ""),
        ]

    def test_old_connections_are_closed_once_at_start_and_once_at_the_end(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls: list[str] = []
        closing = type(connection._connections["default"]).close_if_unusable_or_obsolete

        def close(self: Any) -> None:
            calls.append("close_if_unusable_or_obsolete")
            closing(self)

        monkeypatch.setattr(
            type(connection._connections["default"]), "close_if_unusable_or_obsolete", close
        )
        with Client(DjangoHandler()) as client:
            client.get("/count/")
            calls.clear()  # the thread has a connection from here on
            client.get("/count/")
        assert calls == ["close_if_unusable_or_obsolete"] * 2

    def test_a_handler_of_ours_sends_them_as_soon_as_django_is_there(self, sent: list[Any]) -> None:
        async def view(_request: Any) -> HttpResponse:
            return HttpResponse("x")

        Client(ASGIHandler([path("", view)])).get("/")
        assert [entry[0] for entry in sent] == ["started", "finished"]


@pytest.mark.conformance("C147")
class TestForeignResponses:
    def test_content_headers_and_cookies_are_sent_and_it_is_closed(self, sent: list[Any]) -> None:
        closed: list[str] = []

        async def view(_request: Any) -> DjangoResponse:
            response = DjangoResponse("Django's", status=201, headers={"X-A": "1"})
            response.set_cookie("a", "1", max_age=60)
            response.set_cookie("b", "2", httponly=True)
            response._resource_closers.append(lambda: closed.append("closed"))
            return response

        ends: list[Any] = []

        def finished(response: Any, **_: Any) -> None:
            ends.append((type(response), list(closed)))

        request_finished.connect(finished)
        try:
            answer = Client(ASGIHandler([path("", view)])).get("/")
        finally:
            request_finished.disconnect(finished)
        assert (answer.status_code, answer.text, answer.headers["x-a"]) == (201, "Django's", "1")
        assert [line.partition(";")[0] for line in answer.values("set-cookie")] == ["a=1", "b=2"]
        assert answer.headers["content-length"] == "8"
        assert ends == [(DjangoResponse, ["closed"])]
        assert [entry[0] for entry in sent].count("finished") == 1

    @pytest.mark.parametrize("is_async", [True, False])
    def test_a_stream_is_sent_part_by_part_and_closed(self, is_async: bool) -> None:
        closed: list[str] = []

        class Parts:
            def __iter__(self) -> Any:
                yield b"one,"
                yield b"two"

            def close(self) -> None:
                closed.append("closed")

        async def parts() -> Any:
            for part in Parts():
                yield part

        async def view(_request: Any) -> DjangoStream:
            return DjangoStream(parts() if is_async else Parts())

        answer = Client(ASGIHandler([path("", view)])).get("/")
        assert answer.text == "one,two"
        assert closed == ([] if is_async else ["closed"])

    def test_a_redirect(self) -> None:
        answer = Client(ASGIHandler([path("", lambda _: DjangoRedirect("/é"))])).get("/")
        assert (answer.status_code, answer.headers["location"]) == (302, "/%C3%A9")

    def test_our_finalizers_work_on_it(self) -> None:
        config = HandlerConfig(finalizers=["gzip", "conditional"])

        async def view(_request: Any) -> DjangoResponse:
            return DjangoResponse("x" * 1000, headers={"ETag": '"1"'})

        client = Client(ASGIHandler([path("", view)], config=config))
        answer = client.get("/", headers={"Accept-Encoding": "gzip"})
        assert answer.headers["content-encoding"] == "gzip"
        assert client.get("/", headers={"If-None-Match": '"1"'}).status_code == 304

    def test_head_of_it(self) -> None:
        client = Client(ASGIHandler([path("", lambda _: DjangoResponse("four"))]))
        answer = client.request("HEAD", "/")
        assert (answer.content, answer.headers["content-length"]) == (b"", "4")

    def test_it_can_refuse_a_websocket(self) -> None:
        closed: list[int] = []

        async def view(_ws: Any) -> DjangoResponse:
            response = DjangoResponse("members only", status=401)
            response._resource_closers.append(lambda: closed.append(1))
            return response

        handler = ASGIHandler([websocket("", view)])
        with (
            Client(handler, extensions={"websocket.http.response": {}}) as client,
            pytest.raises(WebSocketDenied) as raised,
            client.websocket("/"),
        ):
            pass
        assert (raised.value.answer.status_code, raised.value.answer.text) == (401, "members only")
        assert closed == [1]


class TestMiddlewareOnOurViews:
    def client(self, view: Any, *middleware: str) -> Client:
        config = HandlerConfig.from_django(settings)
        return Client(ASGIHandler([path("", view)], middleware=middleware, config=config))

    def test_all_nine_around_a_view_and_a_response_of_ours(self) -> None:
        async def view(request: Any) -> HttpResponse:
            seen = await request.session.aget("seen", 0)
            await request.session.aset("seen", seen + 1)
            return HttpResponse(f"{seen} {(await request.auser()).is_anonymous} " + "x" * 500)

        client = self.client(view, *django_site.MIDDLEWARE)
        first = client.get("/", headers={"Accept-Encoding": "gzip"})
        assert first.headers["content-encoding"] == "gzip"
        assert first.headers["x-frame-options"] == "DENY"
        assert client.get("/").text.startswith("1 True")

    def test_a_stream_of_ours_through_djangos_gzip(self) -> None:
        import gzip

        async def parts() -> Any:
            for _ in range(3):
                yield "x" * 100

        async def view(_request: Any) -> StreamingHttpResponse:
            return StreamingHttpResponse(parts())

        client = self.client(view, "django.middleware.gzip.GZipMiddleware")
        answer = client.get("/", headers={"Accept-Encoding": "gzip"})
        assert gzip.decompress(answer.content) == b"x" * 300

    def test_exceptions_of_django_are_known_by_name(self, caplog: pytest.LogCaptureFixture) -> None:
        from django.core.exceptions import DisallowedHost, PermissionDenied

        def forbidden(_request: Any) -> Any:
            raise PermissionDenied

        def odd(_request: Any) -> Any:
            raise DisallowedHost("x")

        assert self.client(forbidden).get("/").status_code == 403
        with caplog.at_level(logging.ERROR):
            assert self.client(odd).get("/").status_code == 400
        assert caplog.records[-1].name == "penstock.security.DisallowedHost"


class TestRouting:
    def test_djangos_resolver_is_a_router(self) -> None:
        handler = ASGIHandler(get_resolver(), config=HandlerConfig.from_django(settings))
        client = Client(handler)
        assert client.get("/numbers/3/").json()["next"] == "/numbers/4/"
        assert client.get("/nowhere/").status_code == 404

    def test_a_prefix_is_known_to_reverse(self) -> None:
        async def send_to(app: Any) -> Any:
            async def mounted(scope: Any, receive: Any, send: Any) -> None:
                if scope["type"] == "http":
                    scope = {**scope, "root_path": "/prod", "path": f"/prod{scope['path']}"}
                await app(scope, receive, send)

            return mounted

        import asyncio

        client = Client(asyncio.run(send_to(DjangoHandler())))
        assert client.get("/numbers/3/").json()["next"] == "/prod/numbers/4/"

    def test_middleware_may_choose_another_urlconf(self) -> None:
        import sys
        from types import ModuleType

        from django.urls import path as django_path
        from django.urls import reverse

        other = ModuleType("other_urls")
        other.urlpatterns = [  # type: ignore[attr-defined]
            django_path("deep/only/", lambda _: DjangoResponse(reverse("only")), name="only")
        ]
        sys.modules["other_urls"] = other

        def choose(get_response: Any) -> Any:
            def middleware(request: Any) -> Any:
                if "other" in request.GET:
                    request.urlconf = "other_urls"
                return get_response(request)

            return middleware

        client = Client(DjangoHandler(middleware=[choose]))
        assert client.get("/deep/only/?other").text == "/deep/only/"
        assert client.get("/deep/only/").status_code == 404
        assert client.get("/text/").status_code == 200

    def test_a_broken_urlconf_is_found_at_construction(self) -> None:
        with override_settings(ROOT_URLCONF="there_is_no_such_module"), pytest.raises(ImportError):
            DjangoHandler()

    def test_what_is_not_found_is_logged_without_the_urlconf(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        client = Client(DjangoHandler())
        client.get("/nowhere/")
        client.get("/raising/404/")
        assert [record.getMessage() for record in caplog.records] == [
            "Not Found: /nowhere/",
            "Not Found: /raising/404/ (gone)",
        ]


class TestSettings:
    def test_djangos_settings_are_those_of_the_handler(self) -> None:
        config = HandlerConfig.from_django(settings, max_body_size=5)
        assert config.allowed_hosts == ["testserver"]
        assert config.data_upload_max_memory_size == 100_000
        assert config.max_body_size == 5
        answer = Client(DjangoHandler()).post("/size/", data=b"x" * 100_001)
        assert answer.status_code == 413

    def test_a_deep_copy_and_the_repr_are_ours(self) -> None:
        from copy import deepcopy

        scope = {"type": "http", "method": "GET", "path": "/a", "headers": []}
        request = DjangoASGIRequest(scope, b"")
        assert repr(deepcopy(request)) == "<DjangoASGIRequest: GET '/a'>"
