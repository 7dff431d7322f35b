"""A Django project in one file: settings, models' tables, views, URLs, and its handler."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import django
from django.conf import settings

FOLDER = Path(tempfile.mkdtemp(prefix="penstock-django-"))
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

settings.configure(
    ALLOWED_HOSTS=["testserver"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(FOLDER / "db.sqlite3"),
            "CONN_MAX_AGE": 0,
        }
    },
    DATA_UPLOAD_MAX_MEMORY_SIZE=100_000,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "rest_framework",
    ],
    MIDDLEWARE=MIDDLEWARE,
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for tests, and as long as Django wants it to be",
    STATIC_ROOT=str(FOLDER / "static"),
    STATIC_URL="/static/",
    TEMPLATES=[
        {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True},
    ],
    USE_TZ=True,
)
django.setup()

from django import forms  # noqa: E402 - after the set-up
from django.contrib import messages  # noqa: E402
from django.contrib.auth import authenticate, login  # noqa: E402
from django.contrib.auth.decorators import login_required  # noqa: E402
from django.core.exceptions import (  # noqa: E402
    BadRequest,
    PermissionDenied,
    SuspiciousOperation,
)
from django.core.management import call_command  # noqa: E402
from django.http import (  # noqa: E402
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    JsonResponse,
    StreamingHttpResponse,
)
from django.middleware.csrf import get_token  # noqa: E402
from django.template import engines  # noqa: E402
from django.template.response import TemplateResponse  # noqa: E402
from django.urls import path, re_path, reverse  # noqa: E402
from django.utils.decorators import method_decorator  # noqa: E402
from django.views import View  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402
from django.views.decorators.debug import sensitive_post_parameters  # noqa: E402

TEXT = "The penstock carries water to the turbine. " * 50


def text(_request: Any) -> HttpResponse:
    return HttpResponse(TEXT, content_type="text/plain")


def count(request: Any) -> HttpResponse:
    request.session["count"] = request.session.get("count", 0) + 1
    return JsonResponse({"count": request.session["count"]})


async def acount(request: Any) -> HttpResponse:
    value = await request.session.aget("count", 0) + 1
    await request.session.aset("count", value)
    return JsonResponse({"count": value})


def token(request: Any) -> HttpResponse:
    return HttpResponse(get_token(request))


class NameForm(forms.Form):  # type: ignore[misc]
    name = forms.CharField(max_length=5)
    file = forms.FileField(required=False)


def form(request: Any) -> HttpResponse:
    filled = NameForm(request.POST, request.FILES)
    if not filled.is_valid():
        return JsonResponse(filled.errors, status=422)
    file = filled.cleaned_data["file"]
    content = file.read().decode() if file else None
    return JsonResponse({"name": filled.cleaned_data["name"], "file": content})


@csrf_exempt  # type: ignore[untyped-decorator]
def log_in(request: Any) -> HttpResponse:
    user = authenticate(request, username=request.POST["u"], password=request.POST["p"])
    if user is None:
        raise PermissionDenied
    login(request, user)
    messages.success(request, "welcome")
    return HttpResponse("in")


def who(request: Any) -> HttpResponse:
    said = [str(message) for message in messages.get_messages(request)]
    return JsonResponse({"user": request.user.username, "said": said})


async def awho(request: Any) -> HttpResponse:
    return JsonResponse({"user": (await request.auser()).username})


@login_required(login_url="/log-in/")  # type: ignore[untyped-decorator]
def members(request: Any) -> HttpResponse:
    return HttpResponse(f"hello {request.user}")


class Numbers(View):  # type: ignore[misc]
    async def get(self, request: Any, number: int) -> HttpResponse:
        url = reverse("numbers", kwargs={"number": number + 1})
        return JsonResponse({"number": number, "next": url, "route": request.resolver_match.route})


@method_decorator(csrf_exempt, name="dispatch")
@method_decorator(sensitive_post_parameters("secret"), name="dispatch")
class Guarded(View):  # type: ignore[misc]
    def post(self, request: Any) -> HttpResponse:
        return JsonResponse({"django": isinstance(request, HttpRequest), **request.POST.dict()})


def template(request: Any) -> HttpResponse:
    made = engines["django"].from_string("Hello {{ name }} & co")
    return TemplateResponse(request, made, {"name": "<you>"})


def stream(_request: Any) -> StreamingHttpResponse:
    return StreamingHttpResponse((f"part {number}\n" for number in range(3)), content_type="x/y")


async def astream(_request: Any) -> StreamingHttpResponse:
    async def parts() -> Any:
        for number in range(3):
            yield f"part {number}\n"

    return StreamingHttpResponse(parts(), content_type="x/y")


def download(_request: Any) -> FileResponse:
    path = FOLDER / "file.txt"
    path.write_text("in a file")
    return FileResponse(path.open("rb"), filename="Ünï.txt", as_attachment=True)


def signed(request: Any) -> HttpResponse:
    response = HttpResponse(request.get_signed_cookie("s", default="none"))
    response.set_signed_cookie("s", "value")
    return response


def raising(_request: Any, name: str) -> HttpResponse:
    raise {
        "404": Http404("gone"),
        "403": PermissionDenied("no"),
        "400": BadRequest("bad"),
        "suspicious": SuspiciousOperation("odd"),
        "500": ZeroDivisionError("secret"),
    }[name]


def teapot(_request: Any, exception: Exception) -> HttpResponse:
    return HttpResponse(f"custom 404 for {type(exception).__name__}", status=404)


@csrf_exempt  # type: ignore[untyped-decorator]
def size(request: Any) -> HttpResponse:
    return HttpResponse(str(len(request.body)))


handler404 = teapot
urlpatterns = [
    path("text/", text),
    path("count/", count),
    path("acount/", acount),
    path("token/", token),
    path("form/", form),
    path("log-in/", log_in),
    path("who/", who),
    path("awho/", awho),
    path("members/", members),
    path("numbers/<int:number>/", Numbers.as_view(), name="numbers"),
    path("guarded/", Guarded.as_view()),
    path("template/", template),
    path("stream/", stream),
    path("astream/", astream),
    path("download/", download),
    path("signed/", signed),
    path("size/", size),
    re_path(r"^raising/(?P<name>\w+)/$", raising),
]


def prepare() -> None:
    """Make the tables and one user."""
    from django.contrib.auth.models import User
    from django.db import connections

    call_command("migrate", verbosity=0, run_syncdb=True)
    User.objects.create_user("ada", password="lovelace")
    connections.close_all()
