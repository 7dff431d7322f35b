"""Requests that no honest client sends: the answer is a response of the right kind, never a 500."""

from __future__ import annotations

from encodings.aliases import aliases
from typing import Any

import pytest
from asgi_calls import exchange, parts

from penstock.handler import ASGIHandler, HttpResponse, path

CODECS = sorted({*aliases.values(), "idna", "punycode", "undefined", "unicode_escape"})
MULTIPART = (
    b'--x\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n\xff\xc3\r\n'
    b'--x\r\nContent-Disposition: form-data; name="f"; filename="\xff"\r\n\r\n1\r\n--x--\r\n'
)


async def form(request: Any) -> HttpResponse:
    return HttpResponse(repr((request.encoding, dict(request.GET), dict(await request.aform()))))


def posted(content_type: str, body: bytes) -> Any:
    headers = [(b"content-type", content_type.encode("latin-1"))]
    return exchange(ASGIHandler(form), "/?q=%ff%c3", "POST", body=body, headers=headers)


@pytest.mark.parametrize("codec", [*CODECS, "rot13", "é", "utf-8\0", "a" * 5000, "../x", ""])
def test_a_client_may_name_any_codec_of_python(codec: str) -> None:
    result = posted(f'multipart/form-data; boundary=x; charset="{codec}"', MULTIPART)
    assert result.status in {200, 400}
    result = posted(f'application/x-www-form-urlencoded; charset="{codec}"', b"a=%ff%c3&b=1")
    assert result.status in {200, 400}


@pytest.mark.parametrize(
    "parameter",
    [
        "charset*=utf-8''a%00b",
        "charset*=undefined''x",
        "charset*=idna''x%ff",
        "charset*=a%00''x",
        "charset*=utf-8%00''x",
        "charset*0*=undefined''a; charset*1=b",
        "charset*=rot13''x",
        "charset*='",
    ],
)
def test_nor_does_the_charset_of_a_parameter_matter(parameter: str) -> None:
    assert 200 == posted(f"multipart/form-data; boundary=x; {parameter}", MULTIPART).status


def test_a_body_that_still_arrives_has_no_length() -> None:
    async def view(request: Any) -> HttpResponse:
        return HttpResponse(str(request.META.get("CONTENT_LENGTH")))

    handler = ASGIHandler([path("", view, stream_body=True)])
    assert b"None" == exchange(handler, method="POST", messages=parts(b"abc", b"def")).body
    assert b"3" == exchange(handler, method="POST", body=b"abc").body
