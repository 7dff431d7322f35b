"""Code for Django asks for queries, fields and files by class; the same with Django's handler."""

from __future__ import annotations

from typing import Any

import django_site
import pytest
from django import forms
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import UploadedFile
from django.core.handlers.asgi import ASGIHandler as DjangosOwn
from django.db import models
from django.http import JsonResponse, QueryDict
from django.test import override_settings
from django.urls import path
from django.utils.datastructures import MultiValueDict, MultiValueDictKeyError
from django.utils.http import urlencode

from penstock.handler.django import DjangoHandler
from penstock.handler.testing import Client

UPLOADS = FileSystemStorage(location=django_site.FOLDER / "uploads")


class Document(models.Model):  # type: ignore[misc]
    """No table: what matters is what its field makes of an upload."""

    file = models.FileField(storage=UPLOADS)

    class Meta:
        app_label = "auth"
        managed = False

    def __str__(self) -> str:
        return str(self.file)


class DocumentForm(forms.ModelForm):  # type: ignore[misc]
    class Meta:
        model = Document
        fields = ("file",)


def classes(request: Any) -> JsonResponse:
    try:
        missing = request.POST["missing"]
    except MultiValueDictKeyError as error:
        missing = repr(error)
    return JsonResponse(
        {
            "classes": [
                isinstance(request.GET, QueryDict),
                isinstance(request.POST, QueryDict),
                isinstance(request.FILES, MultiValueDict),
                all(isinstance(file, UploadedFile) for file in request.FILES.getlist("file")),
            ],
            "query": urlencode(request.GET, doseq=True),
            "fields": dict(request.POST.lists()),
            "missing": missing,
        }
    )


def save(request: Any) -> JsonResponse:
    form = DocumentForm(request.POST, request.FILES)
    if not form.is_valid():
        return JsonResponse(form.errors, status=400)
    document = form.save(commit=False)
    saved = Document._meta.get_field("file").pre_save(document, add=True)
    with saved.open() as file:
        return JsonResponse({"name": request.FILES["file"].name, "size": len(file.read())})


async def asynchronous(request: Any) -> JsonResponse:
    if hasattr(request, "aform"):
        await request.aform()
    return classes(request)


urlpatterns = [path("classes/", classes), path("save/", save), path("async/", asynchronous)]


@pytest.fixture(params=[DjangoHandler, DjangosOwn])
def client(request: pytest.FixtureRequest) -> Any:
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[]):
        yield Client(request.param())


@pytest.mark.parametrize("target", ["/classes/", "/async/"])
@pytest.mark.parametrize("files", [None, {"file": ("a.txt", b"tea", "text/plain")}])
def test_queries_and_forms_are_of_djangos_classes(client: Any, target: str, files: Any) -> None:
    answer = client.post(f"{target}?a=1&a=%C3%A9", data={"b": ["2", "3"]}, files=files)
    assert answer.json() == {
        "classes": [True] * 4,
        "query": "a=1&a=%C3%A9",
        "fields": {"b": ["2", "3"]},
        "missing": "MultiValueDictKeyError('missing')",
    }


def test_a_request_without_a_form_has_empty_ones(client: Any) -> None:
    seen = client.get("/classes/").json()
    assert seen["classes"] == [True] * 4
    assert seen["fields"] == {}


@pytest.mark.parametrize("size", [3, 3_000_000])
def test_a_model_takes_an_upload(client: Any, size: int) -> None:
    """In memory, and on disk."""
    answer = client.post("/save/", files={"file": ("tea.txt", b"x" * size, "text/plain")})
    assert answer.json() == {"name": "tea.txt", "size": size}
