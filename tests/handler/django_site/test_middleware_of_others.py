"""Middleware that many projects have: django-cors-headers and WhiteNoise, unmodified."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler as DjangosOwn
from django.test import override_settings
from django_site import MIDDLEWARE

from penstock.handler.django import DjangoHandler
from penstock.handler.testing import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = b"let water = 'flows';\n" * 100
OTHERS = [
    "corsheaders.middleware.CorsMiddleware",
    MIDDLEWARE[0],
    "whitenoise.middleware.WhiteNoiseMiddleware",
    *MIDDLEWARE[1:],
]
# WhiteNoise's own middleware is sync, and Django says so of the files that it sends.
pytestmark = pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume:Warning")


@pytest.fixture(params=[DjangoHandler, DjangosOwn])
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    folder = Path(settings.STATIC_ROOT)
    folder.mkdir(exist_ok=True)
    (folder / "a.js").write_bytes(SCRIPT)
    (folder / "a.js.gz").write_bytes(gzip.compress(SCRIPT))
    options: dict[str, Any] = {
        "MIDDLEWARE": OTHERS,
        "CORS_ALLOWED_ORIGINS": ["https://friend.example"],
        "CORS_ALLOW_CREDENTIALS": True,
    }
    with override_settings(**options):
        yield Client(request.param())


class TestCors:
    def test_a_preflight_request(self, client: Client) -> None:
        answer = client.options(
            "/form/",
            headers={"Origin": "https://friend.example", "Access-Control-Request-Method": "POST"},
        )
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://friend.example"
        assert "POST" in answer.headers["access-control-allow-methods"]

    @pytest.mark.parametrize(
        ("origin", "allowed"),
        [("https://friend.example", "https://friend.example"), ("https://evil.example", None)],
    )
    def test_a_request(self, client: Client, origin: str, allowed: str | None) -> None:
        answer = client.get("/text/", headers={"Origin": origin})
        assert answer.status_code == 200
        assert answer.headers.get("access-control-allow-origin") == allowed
        assert "origin" in answer.headers["vary"]


class TestWhiteNoise:
    def test_a_file(self, client: Client) -> None:
        answer = client.get("/static/a.js")
        assert answer.content == SCRIPT
        assert answer.headers["content-type"].startswith("text/javascript")
        assert answer.headers["content-length"] == str(len(SCRIPT))
        assert client.get("/static/b.js").status_code == 404

    def test_its_compressed_form(self, client: Client) -> None:
        answer = client.get("/static/a.js", headers={"Accept-Encoding": "gzip"})
        assert answer.headers["content-encoding"] == "gzip"
        assert gzip.decompress(answer.content) == SCRIPT

    def test_a_part_of_it_and_none_of_it(self, client: Client) -> None:
        part = client.get("/static/a.js", headers={"Range": "bytes=4-8"})
        assert (part.status_code, part.content) == (206, b"water")
        modified = client.get("/static/a.js").headers["last-modified"]
        again = client.get("/static/a.js", headers={"If-Modified-Since": modified})
        assert (again.status_code, again.content) == (304, b"")
        head = client.head("/static/a.js")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(SCRIPT))
