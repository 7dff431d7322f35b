"""A Django project with nine of Django's own middleware classes, served by ``DjangoHandler``."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest
from django.core.handlers.asgi import ASGIHandler as DjangosOwn
from django_site import MIDDLEWARE, TEXT

from penstock.handler.django import DjangoHandler
from penstock.handler.testing import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.handler.testing import Answer

pytestmark = pytest.mark.conformance("C187")


@pytest.fixture(scope="module", params=["ours", "django's"])
def handler(request: pytest.FixtureRequest) -> Any:
    """The same expectations hold for Django's own handler: they are Django's behaviour."""
    return DjangoHandler() if request.param == "ours" else DjangosOwn()


@pytest.fixture
def client(handler: Any) -> Iterator[Client]:
    with Client(handler) as client:
        yield client


def log_in(client: Client, password: str = "lovelace") -> Answer:
    return client.post("/log-in/", data={"u": "ada", "p": password})


class TestNineInAChain:
    def test_there_are_nine(self) -> None:
        assert len(MIDDLEWARE) == 9

    @pytest.mark.parametrize("target", ["/count/", "/acount/"])
    def test_a_session_lasts(self, client: Client, target: str) -> None:
        assert [client.get(target).json()["count"] for _ in range(3)] == [1, 2, 3]
        assert "sessionid" in client.cookies

    def test_a_form_with_a_token_passes(self, client: Client) -> None:
        token = client.get("/token/").text
        answer = client.post("/form/", data={"name": "Ada", "csrfmiddlewaretoken": token})
        assert answer.json() == {"name": "Ada", "file": None}
        header = client.post("/form/", data={"name": "Ada"}, headers={"X-CSRFToken": token})
        assert header.status_code == 200

    @pytest.mark.parametrize("token", ["", "x" * 64])
    def test_a_form_without_one_does_not(self, client: Client, token: str) -> None:
        client.get("/token/")
        answer = client.post("/form/", data={"name": "Ada", "csrfmiddlewaretoken": token})
        assert answer.status_code == 403
        assert "CSRF" in answer.text

    def test_a_multipart_form_with_a_token_in_it(self, client: Client) -> None:
        token = client.get("/token/").text
        answer = client.post(
            "/form/",
            data={"name": "Ada", "csrfmiddlewaretoken": token},
            files={"file": ("a.txt", "content", "text/plain")},
        )
        assert answer.json() == {"name": "Ada", "file": "content"}

    def test_the_validation_of_a_form(self, client: Client) -> None:
        token = client.get("/token/").text
        answer = client.post("/form/", data={"name": "Lovelace", "csrfmiddlewaretoken": token})
        assert answer.status_code == 422
        assert "at most 5" in answer.json()["name"][0]

    def test_not_modified(self, client: Client) -> None:
        etag = client.get("/text/").headers["etag"]
        answer = client.get("/text/", headers={"If-None-Match": etag})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == etag

    def test_compression(self, client: Client) -> None:
        answer = client.get("/text/", headers={"Accept-Encoding": "gzip"})
        assert answer.headers["content-encoding"] == "gzip"
        assert gzip.decompress(answer.content).decode() == TEXT
        assert "Accept-Encoding" in answer.headers["vary"]

    def test_the_headers_of_security(self, client: Client) -> None:
        headers = client.get("/text/").headers
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"

    def test_a_user_logs_in(self, client: Client) -> None:
        assert client.get("/who/").json() == {"user": "", "said": []}
        assert log_in(client).text == "in"
        assert client.get("/who/").json() == {"user": "ada", "said": ["welcome"]}
        assert client.get("/awho/").json() == {"user": "ada"}
        assert client.get("/members/").text == "hello ada"

    def test_a_stranger_is_sent_to_the_door(self, client: Client) -> None:
        answer = client.get("/members/")
        assert (answer.status_code, answer.headers["location"]) == (302, "/log-in/?next=/members/")
        assert log_in(client, "wrong").status_code == 403

    def test_a_slash_is_appended(self, client: Client) -> None:
        answer = client.get("/text?a=1")
        assert (answer.status_code, answer.headers["location"]) == (301, "/text/?a=1")


class TestViews:
    def test_a_class_with_async_methods(self, client: Client) -> None:
        assert client.get("/numbers/7/").json() == {
            "number": 7,
            "next": "/numbers/8/",
            "route": "numbers/<int:number>/",
        }
        assert client.post("/numbers/7/", headers={"X-CSRFToken": ""}).status_code == 403

    def test_a_template_is_rendered(self, client: Client) -> None:
        assert client.get("/template/").text == "Hello &lt;you&gt; & co"

    def test_decorators_that_ask_for_the_class_of_the_request(self, client: Client) -> None:
        answer = client.post("/guarded/", data={"secret": "x"})
        assert answer.json() == {"django": True, "secret": "x"}

    def test_a_signed_cookie(self, client: Client) -> None:
        assert [client.get("/signed/").text for _ in range(2)] == ["none", "value"]

    @pytest.mark.parametrize("target", ["/stream/", "/astream/"])
    @pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume:Warning")
    def test_streams(self, client: Client, target: str) -> None:
        assert client.get(target).text == "part 0\npart 1\npart 2\n"

    @pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume:Warning")
    def test_a_file(self, client: Client) -> None:
        answer = client.get("/download/")
        assert answer.text == "in a file"
        expected = "attachment; filename*=utf-8''%C3%9Cn%C3%AF.txt"
        assert answer.headers["content-disposition"] == expected

    @pytest.mark.parametrize(
        ("name", "status"),
        [("404", 404), ("403", 403), ("400", 400), ("suspicious", 400), ("500", 500)],
    )
    def test_exceptions_of_django(self, client: Client, name: str, status: int) -> None:
        answer = client.get(f"/raising/{name}/")
        assert answer.status_code == status
        assert "secret" not in answer.text

    def test_the_projects_error_views(self, client: Client) -> None:
        assert client.get("/raising/404/").text == "custom 404 for Http404"
        assert client.get("/nowhere/").text == "custom 404 for Resolver404"
        assert "<h1>Server Error (500)</h1>" in client.get("/raising/500/").text

    def test_hosts_that_are_not_allowed(self, client: Client) -> None:
        assert client.get("/text/", headers={"Host": "evil.example"}).status_code == 400
