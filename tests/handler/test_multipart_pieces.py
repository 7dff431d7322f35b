"""A multipart form means the same wherever its pieces end."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from form_bodies import part, whole

from penstock.handler.config import DEFAULT_CONFIG
from penstock.handler.exceptions import MultiPartParserError
from penstock.handler.multiparts import MultiPartForm
from penstock.handler.upload_handlers import SpooledUploadHandler

DELIMITER = b"\r\n--BoUnDaRy"


def parsed(*pieces: bytes) -> tuple[Any, Any]:
    form = MultiPartForm(b"BoUnDaRy", [SpooledUploadHandler()], "utf-8", DEFAULT_CONFIG)
    try:
        for piece in pieces:
            form.feed(piece)
        return form.finish()
    except BaseException:
        form.close()
        raise


@pytest.mark.parametrize("cut", range(len(DELIMITER) + 3))
def test_a_piece_may_end_within_the_delimiter_behind_a_file(cut: int) -> None:
    """The piece before it was all data, so the parser is spared what is data, too."""
    first, second = b"x" * 200, b"y" * 200
    body = whole(part("f", first, "f"), part("g", second, "g"))
    begin, end = body.index(first), body.index(first) + len(first)
    cuts = [0, begin + 100, end + cut, body.index(second) + 100, len(body)]
    pieces = [body[one:other] for one, other in pairwise(cuts)]
    _, files = parsed(*pieces)
    assert {"f": first, "g": second} == {name: file.read() for name, file in files.items()}


def test_what_only_begins_like_a_delimiter_is_data() -> None:
    for cut in range(len(DELIMITER)):
        content = b"x" * 200 + DELIMITER[:cut] + b"z" * 200
        body = whole(part("f", content, "f"))
        begin = body.index(content)
        _, files = parsed(
            body[: begin + 100], body[begin + 100 : begin + 200 + cut], body[begin + 200 + cut :]
        )
        assert content == files["f"].read()


@pytest.mark.parametrize("length", [100, 500])
def test_a_file_is_held_to_the_length_that_it_declares(length: int) -> None:
    body = whole(part("f", b"x" * 400, "f", f"Content-Length: {length}"))
    with pytest.raises(MultiPartParserError):
        parsed(*(body[start : start + 90] for start in range(0, len(body), 90)))


def test_base64_does_not_go_on_after_its_padding_in_another_piece() -> None:
    body = whole(part("f", "QQ==QQ==", "f", "Content-Transfer-Encoding: base64"))
    cut = body.index(b"QQ==") + 4
    with pytest.raises(MultiPartParserError):
        parsed(body[:cut], body[cut:])


def test_a_name_that_looks_like_a_parameter_is_a_name() -> None:
    fields, files = parsed(whole(part("a; filename*=b", "1"), part("c; name*=d", "2")))
    assert {"a; filename*=b": "1", "c; name*=d": "2"} == fields.dict()
    assert {} == files
