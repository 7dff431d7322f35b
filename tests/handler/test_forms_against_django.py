"""Queries and forms, read here and by Django and the standard library.

``INTENDED`` is the whole list of what is read differently on purpose.
"""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any
from urllib.parse import parse_qsl, urlencode

import django
import django.conf
import pytest
from django.core.files.uploadhandler import MemoryFileUploadHandler, StopFutureHandlers
from django.http import QueryDict as DjangoQueryDict
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from hypothesis import given
from hypothesis import strategies as st

from penstock.handler.config import HandlerConfig
from penstock.handler.datastructures import MultiValueDict, QueryDict
from penstock.handler.exceptions import BadRequest, TooManyFieldsSent
from penstock.handler.request import ASGIRequest

if not django.conf.settings.configured:
    django.conf.settings.configure()

INTENDED = {
    "truncated": "a body that is cut short is refused; Django takes what was there",
    "no file": "a file input left empty is not there; in Django it is a field without a value",
    "name": "a part without a name is refused; Django skips it",
    "no length": "a form without Content-Length is read; Django's is empty",
    "percent": "browsers send a quotation mark in a name as %22, and it is read as one",
    "base64": "base64 with other characters in it is refused in files and kept in fields",
}

queries = st.text(st.sampled_from("ab=&;+%4é\x00 "), max_size=30) | st.lists(
    st.tuples(st.text(max_size=4), st.text(max_size=4)), max_size=6
).map(urlencode)


@pytest.mark.conformance("C057")
@given(queries, st.sampled_from([None, "utf-8", "latin-1", "ascii", "shift_jis"]))
def test_queries_are_read_as_django_reads_them(query: str, encoding: str | None) -> None:
    ours, theirs = QueryDict(query, encoding=encoding), DjangoQueryDict(query, encoding=encoding)
    assert dict(ours.lists()) == dict(theirs.lists())
    if encoding in {None, "utf-8"}:
        assert ours.urlencode() == theirs.urlencode()
        assert ours.urlencode(safe="/") == theirs.urlencode(safe="/")
    assert [*ours.items()] == [*theirs.items()]
    assert ours.dict() == theirs.dict()
    if encoding is None:
        pairs = parse_qsl(query, keep_blank_values=True)
        assert [(key, value) for key, values in ours.lists() for value in values] == sorted(
            pairs, key=lambda pair: list(ours).index(pair[0])
        )


@given(st.binary(max_size=30))
def test_query_bytes_are_read_as_django_reads_them(query: bytes) -> None:
    assert dict(QueryDict(query).lists()) == dict(DjangoQueryDict(query).lists())


@pytest.mark.conformance("C060")
def test_the_number_of_fields_is_limited() -> None:
    assert len(QueryDict("&".join(["a"] * 1000)).getlist("a")) == 1000
    with pytest.raises(TooManyFieldsSent, match="1001 fields"):
        QueryDict("&".join(["a"] * 1001))
    assert len(QueryDict("&".join(["a"] * 1001), max_fields=None).getlist("a")) == 1001


CHANGES: list[Any] = [
    lambda one: one.setlist("a", ["1", b"2"]),
    lambda one: one.appendlist("a", b"\xff"),
    lambda one: one.setdefault("a", "7"),
    lambda one: one.setdefault("b", "8"),
    lambda one: one.setlistdefault("c", ["9"]),
    lambda one: one.setlistdefault("d"),
    lambda one: one.update({"a": "3", "e": "4"}),
    lambda one: one.update(type(one)("a=5&a=6")),
    lambda one: one.update([("x", "1")], y="2"),
    lambda one: one.pop("a", None),
    lambda one: one.popitem() if one else None,
    lambda one: one.__setitem__("z", "0"),
    lambda one: one.__delitem__("z") if "z" in one else None,
    lambda one: one.get("a"),
    lambda one: one.getlist("nothing", ["default"]),
    lambda one: list(one.values()),
    lambda one: one.clear(),
]


@given(st.lists(st.sampled_from(CHANGES), max_size=8))
def test_changes_do_what_they_do_in_django(changes: list[Any]) -> None:
    ours, theirs = QueryDict("a=1&b=2", mutable=True), DjangoQueryDict("a=1&b=2", mutable=True)
    for change in changes:
        assert change(ours) == change(theirs)
        assert dict(ours.lists()) == dict(theirs.lists())


def test_an_immutable_query_refuses_each_change() -> None:
    query = QueryDict("a=1&z=2")
    reading = (13, 14, 15)
    for number, change in enumerate(CHANGES):
        if number not in reading:
            with pytest.raises(AttributeError, match="immutable"):
                change(query)
    assert dict(query.lists()) == {"a": ["1"], "z": ["2"]}


def test_copies_are_mutable_and_pickles_come_back() -> None:
    query = QueryDict("a=1&a=2", encoding="latin-1")
    for twin in (query.copy(), copy.copy(query), copy.deepcopy(query)):
        twin.appendlist("a", "3")
        assert (twin.getlist("a"), query.getlist("a")) == (["1", "2", "3"], ["1", "2"])
        assert twin.encoding == "latin-1"
    again = pickle.loads(pickle.dumps(query))
    assert (dict(again.lists()), again.encoding) == ({"a": ["1", "2"]}, "latin-1")
    with pytest.raises(AttributeError, match="immutable"):
        again["a"] = "1"
    values = MultiValueDict({"a": [[1]], "empty": []})
    shallow, deep = copy.copy(values), copy.deepcopy(values)
    values["a"].append(2)
    assert (shallow["a"], deep["a"]) == ([1, 2], [1])
    assert (values["empty"], values.get("empty", "no")) == ([], "no")
    with pytest.raises(KeyError):
        values["nothing"]
    assert repr(values) == "<MultiValueDict: {'a': [[1, 2]], 'empty': []}>"
    assert QueryDict.fromkeys(["a", "a", "b"], "1").getlist("a") == ["1", "1"]
    with pytest.raises(TypeError):
        values.update({}, {})


class InMemory(MemoryFileUploadHandler):  # type: ignore[misc]
    """Django's own looks at a setting of the project first."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        self.activated = True
        super().new_file(*args, **kwargs)


def theirs(body: bytes, boundary: str) -> Any:
    meta = {
        "CONTENT_TYPE": f"multipart/form-data; boundary={boundary}",
        "CONTENT_LENGTH": str(len(body)),
    }
    try:
        post, files = MultiPartParser(meta, io.BytesIO(body), [InMemory()], "utf-8").parse()
    except (MultiPartParserError, StopFutureHandlers):
        return "refused"
    return _seen(post, files)


def ours(body: bytes, boundary: str, chunk_size: int) -> Any:
    content_type = f"multipart/form-data; boundary={boundary}".encode()
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": [(b"content-type", content_type)],
    }
    request = ASGIRequest(scope, body, HandlerConfig(chunk_size=chunk_size))
    try:
        return _seen(request.POST, request.FILES)
    except BadRequest:
        return "refused"
    finally:
        request.close()


def _seen(post: Any, files: Any) -> Any:
    return dict(post.lists()), {
        name: [
            (file.name, file.read(), file.content_type, file.size, _text(file.charset))
            for file in held
        ]
        for name, held in files.lists()
    }


def _text(charset: Any) -> Any:
    """Django 5.2 gives it as bytes."""
    return charset.decode() if isinstance(charset, bytes) else charset


BOUNDARY = "x-yz"
parts = st.tuples(
    st.sampled_from(["a", "b", "é", "a b", "x;y"]),
    st.none() | st.sampled_from([".", "a.txt", "c:\\d.e", "é ☃", "&amp;", "a/b", "x;y"]),
    st.sampled_from(
        [
            "",
            "Content-Type: text/plain\r\n",
            'Content-Type: a/b; charset="x"; c=d\r\n',
            "X-Y: z\r\n",
        ]
    ),
    st.text(st.sampled_from("\r\n-xyz\0é"), max_size=20).map(str.encode) | st.binary(max_size=200),
)


@given(st.lists(parts, max_size=5), st.integers(1, 300), st.sampled_from(["", "preamble\r\n"]))
def test_forms_are_read_as_django_reads_them(
    fields: list[tuple[str, str | None, str, bytes]], chunk_size: int, preamble: str
) -> None:
    body = preamble.encode()
    for name, filename, headers, content in fields:
        if b"--x-yz" in content:
            return
        file = "" if filename is None else f'; filename="{filename}"'
        head = f'Content-Disposition: form-data; name="{name}"{file}\r\n{headers}\r\n'
        body += f"--{BOUNDARY}\r\n{head}".encode() + content + b"\r\n"
    body += f"--{BOUNDARY}--\r\n".encode()
    assert ours(body, BOUNDARY, chunk_size) == theirs(body, BOUNDARY)


BASE64_FIELD = [
    b"--b",
    b"Content-Transfer-Encoding: base64",
    b"Content-Disposition: form-data; name=a",
    b"",
]


@pytest.mark.parametrize(
    ("difference", "body", "result"),
    [
        ("truncated", b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1', "refused"),
        ("name", b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--", "refused"),
        (
            "percent",
            b'--b\r\nContent-Disposition: form-data; name="a%22"\r\n\r\n1\r\n--b--\r\n',
            ({'a"': ["1"]}, {}),
        ),
        (
            "no file",
            b'--b\r\nContent-Disposition: form-data; name="a"; filename=""\r\n\r\n\r\n--b--\r\n',
            ({}, {}),
        ),
        (
            "base64",
            b"\r\n".join([*BASE64_FIELD, b"@@@@", b"--b--", b""]),
            ({"a": ["@@@@"]}, {}),
        ),
    ],
)
def test_intended_differences(difference: str, body: bytes, result: Any) -> None:
    assert INTENDED[difference]
    assert ours(body, "b", 100) == result
    is_gone = difference == "base64" and django.VERSION >= (6, 1)  # 5.2 skips such characters
    assert (theirs(body, "b") == result) is is_gone


def test_a_form_without_content_length_is_read() -> None:
    assert INTENDED["no length"]
    body = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n'
    meta = {"CONTENT_TYPE": "multipart/form-data; boundary=b"}
    post, _ = MultiPartParser(meta, io.BytesIO(body), [InMemory()], "utf-8").parse()
    assert dict(post.lists()) == {}
    assert ours(body, "b", 100) == ({"a": ["1"]}, {})
