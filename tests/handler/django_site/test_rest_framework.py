"""Django REST framework, unmodified; the same with Django's own handler."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.handlers.asgi import ASGIHandler as DjangosOwn
from django.test import override_settings
from django.urls import include, path
from django_site import MIDDLEWARE, log_in, token
from rest_framework import serializers
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.pagination import PageNumberPagination
from rest_framework.parsers import FileUploadParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.routers import DefaultRouter
from rest_framework.throttling import AnonRateThrottle
from rest_framework.views import APIView
from rest_framework.viewsets import ReadOnlyModelViewSet

from penstock.handler.django import DjangoHandler
from penstock.handler.testing import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

ADA = {"Authorization": f"Basic {b64encode(b'ada:lovelace').decode()}"}
_stored: list[str] = []


def described(files: Any) -> dict[str, Any]:
    on_disk = [file for file in files.values() if hasattr(file, "temporary_file_path")]
    _stored.extend(file.temporary_file_path() for file in on_disk)
    return {name: [file.name, file.content_type, len(file.read())] for name, file in files.items()}


class Echo(APIView):  # type: ignore[misc]
    """Answers what it got."""

    authentication_classes: Any = ()
    permission_classes: Any = ()

    def post(self, request: Any, **_: Any) -> Response:
        fields = {name: value for name, value in request.data.items() if name not in request.FILES}
        return Response({"fields": fields, "files": described(request.FILES)}, status=201)

    put = patch = post

    def get(self, request: Any) -> Response:
        return Response({"query": request.query_params.getlist("a")})


class FileSerializer(serializers.Serializer):  # type: ignore[misc]
    title = serializers.CharField(max_length=5)
    file = serializers.FileField(max_length=20)


class Serialized(Echo):
    def post(self, request: Any, **_: Any) -> Response:
        serializer = FileSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return Response({"size": serializer.validated_data["file"].size})


class Raw(Echo):
    parser_classes = (FileUploadParser,)


class Members(Echo):
    authentication_classes: Any = (BasicAuthentication, SessionAuthentication)
    permission_classes = (IsAuthenticated,)

    def get(self, request: Any) -> Response:
        return Response(
            {"user": str(request.user), "by": type(request.successful_authenticator).__name__}
        )


class SessionMembers(Members):
    authentication_classes = (SessionAuthentication,)


class OncePerHour(AnonRateThrottle):  # type: ignore[misc]
    rate = "1/hour"


class Throttled(Echo):
    throttle_classes = (OncePerHour,)


class UserSerializer(serializers.HyperlinkedModelSerializer):  # type: ignore[misc]
    class Meta:
        model = User
        fields = ("url", "username")


class TwoPerPage(PageNumberPagination):  # type: ignore[misc]
    page_size = 2


class Users(ReadOnlyModelViewSet):  # type: ignore[misc]
    queryset = User.objects.order_by("username")
    serializer_class = UserSerializer
    pagination_class = TwoPerPage


router = DefaultRouter()
router.register("users", Users)
urlpatterns = [
    path("", include(router.urls)),
    path("echo/", Echo.as_view()),
    path("serialized/", Serialized.as_view()),
    path("raw/<str:filename>/", Raw.as_view()),
    path("members/", Members.as_view()),
    path("session-members/", SessionMembers.as_view()),
    path("throttled/", Throttled.as_view()),
    path("log-in/", log_in),
    path("token/", token),
]


def read_form_first(get_response: Any) -> Any:
    """Middleware that looks at the form before the view does."""

    def middleware(request: Any) -> Any:
        request.POST.get("a")
        return get_response(request)

    return middleware


def read_form_last(get_response: Any) -> Any:
    """Middleware that looks at the form after the view, as those do that keep a record."""

    def middleware(request: Any) -> Any:
        response = get_response(request)
        response["X-Seen"] = f"{request.POST.get('a')} {len(request.FILES)}"
        return response

    return middleware


@pytest.fixture(params=[DjangoHandler, DjangosOwn])
def handler_class(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def client(handler_class: Any) -> Iterator[Client]:
    _stored.clear()
    cache.clear()
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=MIDDLEWARE):
        yield Client(handler_class())


class TestParsers:
    def test_json(self, client: Client) -> None:
        answer = client.post("/echo/", json={"a": [1, "é"]})
        assert answer.status_code == 201
        assert answer.json() == {"fields": {"a": [1, "é"]}, "files": {}}

    def test_a_form(self, client: Client) -> None:
        answer = client.post("/echo/", data={"a": "1", "b": "é"})
        assert answer.json() == {"fields": {"a": "1", "b": "é"}, "files": {}}

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
    @pytest.mark.parametrize("size", [3, 3_000_000])
    def test_a_multipart_form(self, client: Client, method: str, size: int) -> None:
        """In memory, and on disk, where nothing is left behind."""
        files = {"file": ("tea.txt", b"x" * size, "text/plain")}
        answer = client.request(method, "/echo/", data={"a": "1"}, files=files)
        assert answer.json() == {
            "fields": {"a": "1"},
            "files": {"file": ["tea.txt", "text/plain", size]},
        }
        assert len(_stored) == (size > 2_621_440)
        assert not any(Path(name).exists() for name in _stored)

    def test_a_serializer_takes_an_upload(self, client: Client) -> None:
        files = {"file": ("tea.txt", b"tea", "text/plain")}
        assert client.post("/serialized/", data={"title": "Tea"}, files=files).json() == {"size": 3}
        answer = client.post("/serialized/", data={"title": "Coffee"}, files={"file": ("a", b"")})
        assert answer.status_code == 400
        assert set(answer.json()) == {"title", "file"}

    def test_a_file_without_a_form(self, client: Client) -> None:
        answer = client.put("/raw/a.bin/", data=b"abc", headers={"Content-Type": "image/png"})
        assert answer.json() == {"fields": {}, "files": {"file": ["a.bin", "image/png", 3]}}

    @pytest.mark.parametrize(
        ("body", "content_type", "status"),
        [
            (b"{", "application/json", 400),
            (b"--b\r\nbroken", "multipart/form-data", 400),
            (b"x", "image/png", 415),
            (json.dumps("x" * 100_000).encode(), "application/json", None),
            (b"", "application/json", 201),
        ],
        ids=["json", "multipart", "type", "too long", "empty"],
    )
    def test_a_body_that_cannot_be_read(
        self, client: Client, handler_class: Any, body: bytes, content_type: str, status: int | None
    ) -> None:
        answer = client.post("/echo/", data=body, headers={"Content-Type": content_type})
        assert answer.status_code == (status or (413 if handler_class is DjangoHandler else 400))
        if status in {400, 415}:
            assert "detail" in answer.json()

    @pytest.mark.parametrize("files", [None, {"file": ("a.txt", b"tea", "text/plain")}])
    def test_a_form_that_middleware_has_read_already(self, handler_class: Any, files: Any) -> None:
        with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[f"{__name__}.read_form_first"]):
            answer = Client(handler_class()).post("/echo/", data={"a": "1"}, files=files)
        assert answer.json() == {
            "fields": {"a": "1"},
            "files": {"file": ["a.txt", "text/plain", 3]} if files else {},
        }

    @pytest.mark.parametrize("method", ["POST", "PUT"])
    def test_a_form_that_middleware_reads_behind_it(self, handler_class: Any, method: str) -> None:
        files = {"file": ("a.txt", b"tea", "text/plain")}
        with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[f"{__name__}.read_form_last"]):
            client = Client(handler_class())
            answer = client.request(method, "/echo/", data={"a": "1"}, files=files)
        assert (answer.status_code, answer.headers["x-seen"]) == (201, "1 1")


class TestAuthentication:
    def test_basic(self, client: Client) -> None:
        stranger = client.get("/members/")
        assert stranger.status_code == 401
        assert stranger.headers["www-authenticate"] == 'Basic realm="api"'
        member = client.get("/members/", headers=ADA)
        assert member.json() == {"user": "ada", "by": "BasicAuthentication"}
        wrong = {"Authorization": f"Basic {b64encode(b'ada:x').decode()}"}
        assert client.get("/members/", headers=wrong).status_code == 401

    def test_a_session_with_its_token(self, client: Client) -> None:
        assert client.get("/session-members/").status_code == 403
        client.post("/log-in/", data={"u": "ada", "p": "lovelace"})
        seen = client.get("/session-members/").json()
        assert seen == {"user": "ada", "by": "SessionAuthentication"}
        refused = client.post("/session-members/", json={"a": 1})
        assert refused.status_code == 403
        assert "CSRF" in refused.json()["detail"]
        csrf = client.get("/token/").text
        allowed = client.post("/session-members/", json={"a": 1}, headers={"X-CSRFToken": csrf})
        assert allowed.json() == {"fields": {"a": 1}, "files": {}}

    @pytest.mark.parametrize("files", [None, {"file": ("a.txt", b"tea", "text/plain")}])
    def test_a_session_with_its_token_in_a_form(self, client: Client, files: Any) -> None:
        client.post("/log-in/", data={"u": "ada", "p": "lovelace"})
        form = {"a": "1", "csrfmiddlewaretoken": client.get("/token/").text}
        answer = client.post("/session-members/", data=form, files=files)
        assert answer.status_code == 201
        assert answer.json()["fields"]["a"] == "1"
        assert list(answer.json()["files"]) == list(files or {})


class TestTheRest:
    def test_throttling(self, client: Client) -> None:
        assert client.get("/throttled/?a=1&a=2").json() == {"query": ["1", "2"]}
        refused = client.get("/throttled/")
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= 3600

    def test_pages_with_absolute_links(self, client: Client) -> None:
        User.objects.bulk_create([User(username=name) for name in ("bob", "cleo")])
        try:
            page = client.get("/users/").json()
        finally:
            User.objects.filter(username__in=("bob", "cleo")).delete()
        assert page["count"] == 3
        assert page["next"] == "http://testserver/users/?page=2"
        assert page["results"][0]["url"].startswith("http://testserver/users/")

    def test_what_is_not_there_or_not_allowed(self, client: Client) -> None:
        assert client.get("/users/99/").status_code == 404
        answer = client.delete("/users/")
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
        assert client.options("/users/").json()["name"] == "Users List"

    def test_the_page_that_can_be_browsed(self, client: Client) -> None:
        page = client.get("/echo/", headers={"Accept": "text/html"})
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "Answers what it got." in page.text
        assert 'name="_content"' in page.text
        sent = client.post("/echo/", json={"a": "posted"}, headers={"Accept": "text/html"})
        assert sent.status_code == 201
        assert "posted" in sent.text

    def test_the_page_of_a_member(self, client: Client) -> None:
        client.post("/log-in/", data={"u": "ada", "p": "lovelace"})
        page = client.get("/session-members/", headers={"Accept": "text/html"})
        assert "csrfToken" in page.text
        assert "ada" in page.text
