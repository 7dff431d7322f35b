"""Django's upload handlers, a project's own among them; the same with Django's handler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.core.exceptions import DisallowedHost, RequestDataTooBig, TooManyFieldsSent
from django.core.files.uploadedfile import (
    InMemoryUploadedFile,
    SimpleUploadedFile,
    TemporaryUploadedFile,
)
from django.core.files.uploadhandler import (
    FileUploadHandler,
    SkipFile,
    StopFutureHandlers,
    StopUpload,
    TemporaryFileUploadHandler,
)
from django.core.handlers.asgi import ASGIHandler as DjangosOwn
from django.http import JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.http.request import RawPostDataException
from django.test import override_settings
from django.urls import path
from rest_framework.response import Response
from rest_framework.views import APIView

from penstock.handler import ASGIHandler
from penstock.handler import path as our_path
from penstock.handler.django import DjangoHandler
from penstock.handler.testing import Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGE = b"x" * 3_000_000
TEMPORARY = "django.core.files.uploadhandler.TemporaryFileUploadHandler"


class Steering(FileUploadHandler):  # type: ignore[misc]
    """Does what the names of files say."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        if "at-once" in self.file_name:
            self.steer()
        if "mine" in self.file_name:
            self.data = b""
            raise StopFutureHandlers

    def steer(self) -> None:
        if "skip" in self.file_name:
            raise SkipFile
        if "stop" in self.file_name:
            raise StopUpload(connection_reset="reset" in self.file_name)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        if "later" in self.file_name and start:
            self.steer()
        if "mine" in self.file_name:
            self.data += raw_data
            return None
        return raw_data

    def file_complete(self, file_size: int) -> Any:
        if "mine" in self.file_name:
            return SimpleUploadedFile("kept " + self.file_name, self.data)
        return None


class Whole(FileUploadHandler):  # type: ignore[misc]
    """Parses the body itself."""

    def handle_raw_input(self, input_data: Any, *_: Any, **__: Any) -> Any:
        from django.http import QueryDict
        from django.utils.datastructures import MultiValueDict

        return QueryDict(f"length={len(input_data.read())}"), MultiValueDict()


def described(fields: Any, files: Any) -> dict[str, Any]:
    return {
        "fields": fields,
        "files": [[file.name, type(file).__name__, len(file.read())] for file in files.values()],
    }


def view(request: Any) -> JsonResponse:
    return JsonResponse(described(request.POST.dict(), request.FILES))


async def asynchronous(request: Any) -> JsonResponse:
    if hasattr(request, "aform"):
        await request.aform()
    return view(request)


def choosing(request: Any) -> JsonResponse:
    request.upload_handlers.insert(0, Steering(request))
    return view(request)


class RestView(APIView):  # type: ignore[misc]
    def post(self, request: Any) -> Response:
        fields = {name: value for name, value in request.data.items() if name not in request.FILES}
        return Response(described(fields, request.FILES))


def caught(request: Any, name: str) -> JsonResponse:
    """Which exception of Django's a part of the request raises."""
    try:
        if name == "late":
            _ = request.FILES
            _ = request.body
        elif name == "host":
            request.get_host()
        else:
            _ = getattr(request, name)
    except (
        DisallowedHost,
        MultiPartParserError,
        RawPostDataException,
        RequestDataTooBig,
        TooManyFieldsSent,
    ) as error:
        return JsonResponse({"caught": type(error).__name__})
    return JsonResponse({})


def load_form(request: Any) -> JsonResponse:
    """What code does that wants the form of a PUT."""
    before = request.POST.dict()
    for name in ("_post", "_files"):
        if name in vars(request):  # Django's
            delattr(request, name)
    request.method = "POST"
    request._load_post_and_files()
    request.method = "PUT"
    return JsonResponse({"before": before, **described(request.POST.dict(), request.FILES)})


urlpatterns = [
    path("load-form/", load_form),
    path("view/", view),
    path("async/", asynchronous),
    path("choosing/", choosing),
    path("rest/", RestView.as_view()),
    path("caught/<str:name>/", caught),
]


@pytest.fixture(params=[DjangoHandler, DjangosOwn])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
    """A client; nothing may be left of what it uploads."""
    options = {
        "ROOT_URLCONF": __name__,
        "MIDDLEWARE": [],
        "FILE_UPLOAD_TEMP_DIR": str(tmp_path),
        "DATA_UPLOAD_MAX_NUMBER_FIELDS": 5,
    }
    with override_settings(**options):
        yield Client(request.param())
    assert list(tmp_path.iterdir()) == []


def upload(client: Client, target: str, *names: str, content: bytes = LARGE) -> Any:
    files = [(f"f{number}", (name, content)) for number, name in enumerate(names)]
    return client.post(target, data={"a": "1"}, files=files).json()


@pytest.mark.parametrize("target", ["/view/", "/async/", "/rest/"])
class TestHandlersOfTheSettings:
    def test_djangos(self, client: Client, target: str) -> None:
        for content, cls in ((b"tea", InMemoryUploadedFile), (LARGE, TemporaryUploadedFile)):
            seen = upload(client, target, "a", content=content)
            assert seen == {"fields": {"a": "1"}, "files": [["a", cls.__name__, len(content)]]}

    def test_one_of_djangos(self, client: Client, target: str) -> None:
        with override_settings(FILE_UPLOAD_HANDLERS=[TEMPORARY]):
            seen = upload(client, target, "a", "b", content=b"tea")
        assert seen["files"] == [[name, "TemporaryUploadedFile", 3] for name in "ab"]

    @pytest.mark.parametrize(
        ("names", "left"),
        [
            (("skip at-once", "b"), ["b"]),
            (("a", "skip later", "b"), ["a", "b"]),
            (("stop at-once", "b"), []),
            (("a", "stop later", "b"), ["a"]),
            (("a", "stop later reset", "b"), ["a"]),
            (("mine", "b"), ["kept mine", "b"]),
        ],
        ids="/".join,
    )
    def test_the_projects_own(
        self, client: Client, target: str, names: tuple[str, ...], left: list[str]
    ) -> None:
        with override_settings(FILE_UPLOAD_HANDLERS=[f"{__name__}.Steering", TEMPORARY]):
            seen = upload(client, target, *names)
        assert seen["fields"] == {"a": "1"}
        assert [file[0] for file in seen["files"]] == left

    def test_one_that_parses_the_body(self, client: Client, target: str) -> None:
        with override_settings(FILE_UPLOAD_HANDLERS=[f"{__name__}.Whole"]):
            seen = upload(client, target, "a")
        assert int(seen["fields"]["length"]) > len(LARGE)


def test_a_view_may_choose_its_handlers(client: Client) -> None:
    seen = upload(client, "/choosing/", "mine", "skip later", "b")
    assert [file[0] for file in seen["files"]] == ["kept mine", "b"]


def test_a_form_that_did_not_come_by_post(client: Client) -> None:
    files = {"f": ("a", LARGE)}
    assert client.put("/load-form/", data={"a": "1"}, files=files).json() == {
        "before": {},
        "fields": {"a": "1"},
        "files": [["a", "TemporaryUploadedFile", len(LARGE)]],
    }


def test_a_form_of_ours_takes_handlers_of_djangos(tmp_path: Path) -> None:
    def choose(request: Any) -> JsonResponse:
        request.upload_handlers = [Steering(request), TemporaryFileUploadHandler(request)]
        return view(request)

    with override_settings(FILE_UPLOAD_TEMP_DIR=str(tmp_path)):
        client = Client(ASGIHandler([our_path("", choose)]))
        seen = upload(client, "/", "skip at-once", "mine", "skip later", "b", "stop later", "c")
    assert [file[0] for file in seen["files"]] == ["kept mine", "b"]
    assert list(tmp_path.iterdir()) == []


MULTIPART = {"Content-Type": "multipart/form-data"}


@pytest.mark.parametrize(
    ("name", "options", "caught"),
    [
        ("late", {"files": {"f": ("a", b"tea")}}, "RawPostDataException"),
        ("body", {"data": b"x" * 100_001}, "RequestDataTooBig"),
        ("POST", {"data": {"a": "x" * 100_001}}, "RequestDataTooBig"),
        ("POST", {"data": {"a": list(range(9))}}, "TooManyFieldsSent"),
        ("GET", {"params": [("a", "1")] * 9}, "TooManyFieldsSent"),
        ("POST", {"data": b"x", "headers": MULTIPART}, "MultiPartParserError"),
        ("host", {"headers": {"Host": "evil.example"}}, "DisallowedHost"),
    ],
)
def test_exceptions_are_djangos(
    client: Client, name: str, options: dict[str, Any], caught: str
) -> None:
    assert client.post(f"/caught/{name}/", **options).json() == {"caught": caught}
