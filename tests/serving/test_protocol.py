"""The Runtime API without I/O, with every way in which bytes may be split."""

from __future__ import annotations

import base64
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.adapter.errors import RuntimeAPIError
from penstock.adapter.runtime.protocol import (
    Invocation,
    RequestWriter,
    Response,
    ResponseParser,
    chunk_head,
    end_with_error,
)

BODIES = st.binary(max_size=200)
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,20}", fullmatch=True).filter(
    lambda name: name.lower() not in {"content-length", "transfer-encoding", "connection"}
)
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30)


def parse(parser: ResponseParser, data: bytes, cuts: list[int]) -> Response | None:
    """Feed the bytes in pieces, cut at some places."""
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    response = None
    for start, end in pairwise(places):
        assert response is None
        response = parser.feed(data[start:end])
    return response


def chunked(body: bytes, sizes: list[int]) -> bytes:
    out, rest = b"", body
    for size in sizes:
        if rest[:size]:
            out += b"%X;ext=1\r\n%b\r\n" % (len(rest[:size]), rest[:size])
            rest = rest[size:]
    if rest:
        out += b"%x\r\n%b\r\n" % (len(rest), rest)
    return out + b"0\r\nTrailer: x\r\n\r\n"


class TestResponses:
    @given(
        st.integers(200, 599).filter(lambda status: status not in {204, 304}),
        st.dictionaries(NAMES, VALUES, max_size=5),
        BODIES,
        st.lists(st.integers(0, 1000), max_size=6),
        st.one_of(st.none(), st.lists(st.integers(1, 50), max_size=5)),
    )
    def test_come_out_as_they_were_sent(
        self,
        status: int,
        headers: dict[str, str],
        body: bytes,
        cuts: list[int],
        chunks: list[int] | None,
    ) -> None:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        if chunks is None:
            framed = f"Content-Length: {len(body)}\r\n\r\n".encode() + body
        else:
            framed = b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body, chunks)
        data = f"HTTP/1.1 {status} Whatever\r\n{lines}".encode() + framed
        parser = ResponseParser()
        for _ in range(2):  # a connection carries one after the other
            response = parse(parser, data, cuts)
            assert response is not None
            assert (response.status, response.body) == (status, body)
            assert response.keeps_alive
            expected = {name.lower().encode(): value.encode() for name, value in headers.items()}
            assert expected.items() <= response.headers.items()

    def test_interim_ones_are_skipped(self) -> None:
        data = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
        response = ResponseParser().feed(data)
        assert response is not None
        assert response.status == 202

    def test_without_a_length_end_with_the_connection(self) -> None:
        parser = ResponseParser()
        assert parser.feed(b"HTTP/1.1 200 OK\r\n\r\nhalf") is None
        assert parser.feed(b" and half") is None
        response = parser.feed_eof()
        assert response is not None
        assert (response.body, response.keeps_alive) == (b"half and half", False)

    @pytest.mark.parametrize(
        ("version", "header", "keeps_alive"),
        [
            ("1.1", "", True),
            ("1.1", "Connection: close\r\n", False),
            ("1.0", "", False),
            ("1.0", "Connection: Keep-Alive\r\n", True),
        ],
    )
    def test_say_whether_the_connection_goes_on(
        self, version: str, header: str, keeps_alive: bool
    ) -> None:
        data = f"HTTP/{version} 200 OK\r\n{header}Content-Length: 0\r\n\r\n".encode()
        response = ResponseParser().feed(data)
        assert response is not None
        assert response.keeps_alive is keeps_alive

    @pytest.mark.parametrize(
        "data",
        [
            b"SSH-2.0-OpenSSH\r\n\r\n",
            b"HTTP/1.1 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\nInjected: c\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
            b"A" * (1 << 21),
        ],
    )
    def test_that_are_none_are_errors(self, data: bytes) -> None:
        with pytest.raises(RuntimeAPIError):
            ResponseParser().feed(data)

    @given(st.binary(max_size=300))
    def test_anything_else_is_waited_for_or_an_error_of_its_own(self, data: bytes) -> None:
        parser = ResponseParser()
        try:
            parser.feed(data)
            parser.feed_eof()
        except RuntimeAPIError:
            pass

    @given(st.integers(1, 60))
    def test_that_break_off_are_errors(self, length: int) -> None:
        data = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + b"x" * 19
        parser = ResponseParser()
        assert parser.feed(data[:length]) is None
        with pytest.raises(RuntimeAPIError, match="in the middle"):
            parser.feed_eof()


def invocation(**headers: str) -> Invocation:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    data = f"HTTP/1.1 200 OK\r\n{lines}Content-Length: 2\r\n\r\n{{}}".encode()
    response = ResponseParser().feed(data)
    assert response is not None
    return Invocation(response)


class TestInvocations:
    def test_names_of_headers_have_no_case(self) -> None:
        one = invocation(LAMBDA_RUNTIME_AWS_REQUEST_ID="a-1", lambda_runtime_deadline_ms="12")
        assert (one.request_id, one.deadline_ms, one.event) == ("a-1", 12, b"{}")

    def test_every_header_may_be_missing(self) -> None:
        one = invocation()
        assert (one.request_id, one.deadline_ms, one.content_type, one.arn) == ("", None, "", "")
        assert {one.trace_id, one.client_context, one.tenant_id, one.invocation_id} == {None}

    @pytest.mark.parametrize("odd", ["soon", "-1", "1.5", "1" * 16, "9" * 5000])
    def test_a_deadline_that_is_no_such_number_is_none(self, odd: str) -> None:
        one = invocation(Lambda_Runtime_Deadline_Ms=odd)
        assert (one.deadline_ms, one.odd_deadline) == (None, odd.encode())

    def test_or_empty(self) -> None:
        one = invocation(Lambda_Runtime_Trace_Id="", Lambda_Runtime_Invocation_Id="")
        assert {one.trace_id, one.invocation_id} == {None}


class TestRequests:
    writer = RequestWriter("127.0.0.1:9001", "penstock/3")

    def test_ids_are_escaped_in_paths(self) -> None:
        head = self.writer.answer(invocation(Lambda_Runtime_Aws_Request_Id="a/b c"), 1, "text/x")
        assert head.startswith(b"POST /2018-06-01/runtime/invocation/a%2Fb%20c/response HTTP/1.1")

    def test_the_attempt_is_echoed_if_there_is_one(self) -> None:
        attempt = invocation(Lambda_Runtime_Invocation_Id="attempt-7")
        heads = (
            self.writer.answer(attempt, 1, "text/x"),
            self.writer.error(attempt, 1, "Function.X", None),
            self.writer.stream(attempt),
        )
        assert all(b"\r\nLambda-Runtime-Invocation-Id: attempt-7\r\n" in head for head in heads)
        assert b"Invocation-Id" not in self.writer.answer(invocation(), 1, "text/x")

    @given(BODIES.filter(bool))
    def test_chunks_say_their_size(self, data: bytes) -> None:
        head = chunk_head(len(data))
        assert head.endswith(b"\r\n")
        assert int(head, 16) == len(data)

    @given(BODIES)
    def test_the_end_of_a_broken_stream_has_its_report(self, report: bytes) -> None:
        end = end_with_error("Function.ValueError", report)
        found = re.fullmatch(
            rb"0\r\nLambda-Runtime-Function-Error-Type: Function\.ValueError\r\n"
            rb"Lambda-Runtime-Function-Error-Body: ([A-Za-z0-9+/=]*)\r\n\r\n",
            end,
        )
        assert found is not None
        assert base64.b64decode(found[1]) == report
