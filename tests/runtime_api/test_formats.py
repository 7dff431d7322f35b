"""Formats on the way: event stream, prelude, framed log, and the bandwidth of streams."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from penstock.infra.runtime_api.bandwidth import TokenBucket
from penstock.infra.runtime_api.event_stream import encode_message, invoke_complete, payload_chunk
from penstock.infra.runtime_api.log import FrameDecoder, FunctionLog, LogRecord
from penstock.infra.runtime_api.prelude import MalformedPrelude, PreludeParser

NULS = b"\0" * 8


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, start = [], 0
    for size in sizes:
        pieces.append(data[start : start + size])
        start += size
    return [*pieces, data[start:]]


SIZES = st.lists(st.integers(0, 40), max_size=30)


class TestEventStream:
    @given(
        headers=st.dictionaries(
            st.text(min_size=1, max_size=40), st.text(max_size=200), max_size=5
        ),
        payload=st.binary(max_size=3000),
        sizes=SIZES,
    )
    def test_botocore_reads_what_is_written(
        self, headers: dict[str, str], payload: bytes, sizes: list[int]
    ) -> None:
        buffer = EventStreamBuffer()
        found = []
        for piece in cut(encode_message(headers, payload), sizes):
            buffer.add_data(piece)
            found += list(buffer)
        (message,) = found
        assert (headers, payload) == (message.headers, message.payload)

    def test_names_that_are_too_long_are_refused(self) -> None:
        with pytest.raises(ValueError, match="255"):
            encode_message({"x" * 256: ""}, b"")

    @given(st.lists(st.binary(max_size=500), max_size=8))
    def test_an_answer_is_chunks_and_an_end(self, chunks: list[bytes]) -> None:
        buffer = EventStreamBuffer()
        for data in chunks:
            buffer.add_data(payload_chunk(data))
        buffer.add_data(invoke_complete("Function.X", "why", "bG9n"))
        messages = list(buffer)
        assert [*chunks] == [message.payload for message in messages[:-1]]
        assert {"event"} == {message.headers[":message-type"] for message in messages}
        assert json.loads(messages[-1].payload) == {
            "ErrorCode": "Function.X",
            "ErrorDetails": "why",
            "LogResult": "bG9n",
        }


class TestPrelude:
    @given(
        status=st.integers(100, 599),
        headers=st.dictionaries(st.text(max_size=10), st.text(max_size=20), max_size=4),
        cookies=st.lists(st.text(max_size=20), max_size=3),
        body=st.binary(max_size=200),
        sizes=SIZES,
    )
    def test_a_stream_is_taken_apart_wherever_it_was_cut(
        self,
        status: int,
        headers: dict[str, str],
        cookies: list[str],
        body: bytes,
        sizes: list[int],
    ) -> None:
        head = {"statusCode": status, "headers": headers, "cookies": cookies}
        parser = PreludeParser()
        stream = json.dumps(head).encode() + NULS + body
        received = b"".join(parser.feed(piece) for piece in cut(stream, sizes))
        parser.end()
        assert parser.prelude is not None
        assert (status, body) == (parser.prelude.status, received)
        expected = [*headers.items(), *(("set-cookie", cookie) for cookie in cookies)]
        assert expected == parser.prelude.headers

    @given(st.binary(max_size=400), SIZES)
    def test_anything_else_is_malformed_or_a_prelude(self, data: bytes, sizes: list[int]) -> None:
        parser = PreludeParser()
        try:
            for piece in cut(data, sizes):
                parser.feed(piece)
            parser.end()
        except MalformedPrelude:
            assert parser.prelude is None
        else:
            assert NULS in data

    @pytest.mark.parametrize(
        "head",
        [
            b"",
            b"[]",
            b"{",
            b'{"statusCode":"200"}',
            b'{"statusCode":true}',
            b'{"statusCode":99}',
            b'{"headers":[]}',
            b'{"headers":{"a":{}}}',
            b'{"headers":{"a":null}}',
            b'{"cookies":"a=b"}',
            b'{"multiValueHeaders":{"a":"b"}}',
            b"\xff",
        ],
    )
    def test_heads_that_are_refused(self, head: bytes) -> None:
        with pytest.raises(MalformedPrelude):
            PreludeParser().feed(head + NULS)

    def test_everything_but_the_delimiter_may_be_missing(self) -> None:
        parser = PreludeParser()
        assert parser.feed(b"{}" + NULS) == b""
        assert parser.prelude is not None
        assert (200, []) == (parser.prelude.status, parser.prelude.headers)

    def test_lists_numbers_and_booleans(self) -> None:
        head = {"headers": {"a": 1, "b": True}, "multiValueHeaders": {"c": ["x", "y"]}}
        parser = PreludeParser()
        parser.feed(json.dumps(head).encode() + NULS)
        assert parser.prelude is not None
        assert [("a", "1"), ("b", "true"), ("c", "x"), ("c", "y")] == parser.prelude.headers

    def test_the_delimiter_must_come_early(self) -> None:
        head = json.dumps({"headers": {"a": "x" * (16 * 1024 - 30)}}).encode()
        PreludeParser().feed(head.ljust(16 * 1024 - 8) + NULS)
        with pytest.raises(MalformedPrelude, match="16384"):
            PreludeParser().feed(head.ljust(16 * 1024 - 7) + NULS)

    def test_an_end_before_the_delimiter(self) -> None:
        parser = PreludeParser()
        parser.feed(b"{}" + NULS[:-1])
        with pytest.raises(MalformedPrelude, match="end before"):
            parser.end()


LEVELS = {"TRACE": 0x04, "DEBUG": 0x08, "INFO": 0x0C, "WARN": 0x10, "ERROR": 0x14, "FATAL": 0x18}


class TestFramedLog:
    @given(
        records=st.lists(
            st.tuples(
                st.sampled_from([("json", 2), ("text", 3)]),
                st.sampled_from(sorted(LEVELS)),
                st.integers(0, 2**64 - 1),
                st.text(max_size=50),
            ),
            max_size=5,
        ),
        sizes=SIZES,
    )
    def test_frames_are_read_wherever_they_were_cut(self, records: Any, sizes: list[int]) -> None:
        data = b""
        for (_, kind), level, time_us, text in records:
            message = text.encode()
            frame_type = 0xA55A0000 | LEVELS[level] | kind
            data += struct.pack(">IIQ", frame_type, len(message), time_us) + message
        decoder = FrameDecoder()
        found = [record for piece in cut(data, sizes) for record in decoder.feed(piece)]
        assert [(r.kind, r.level, r.timestamp_us, r.text) for r in found] == [
            (kind, level, time_us, text) for (kind, _), level, time_us, text in records
        ]

    @pytest.mark.parametrize("frame_type", [0, 0xA55A0001, 0xA55A0000, 0xA55B0003, 0xFFFFFFFF])
    def test_what_is_no_frame_is_refused(self, frame_type: int) -> None:
        with pytest.raises(ValueError, match="log frame"):
            list(FrameDecoder().feed(struct.pack(">IIQ", frame_type, 0, 0)))


class TestBandwidth:
    def test_the_burst_passes_at_once_and_the_rest_at_its_rate(self) -> None:
        bucket = TokenBucket(burst_bytes=6_000, rate_bytes_per_s=2_000)
        now = sent = 0.0
        while sent < 16_000:
            now += bucket.spend(100, now)
            sent += 100
            if sent <= 6_000:
                assert now == 0
        assert now == pytest.approx(10_000 / 2_000, abs=0.126)

    def test_it_fills_up_again_but_not_over_the_burst(self) -> None:
        bucket = TokenBucket(burst_bytes=6_000, rate_bytes_per_s=2_000)
        assert bucket.spend(6_000, 0.0) == 0
        assert bucket.spend(6_000, 100.0) == 0
        assert bucket.spend(1, 100.0) > 0

    @given(st.lists(st.integers(1, 100_000), max_size=50))
    def test_no_more_passes_than_allowed(self, pieces: list[int]) -> None:
        bucket = TokenBucket(burst_bytes=50_000, rate_bytes_per_s=16_000)
        now = 0.0
        passed = 0
        for size in pieces:
            now += bucket.spend(size, now)
            passed += size
            assert passed <= 50_000 + 16_000 * now + 1


def test_an_entry_of_many_lines_is_printed_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Carriage returns keep an entry together on Lambda; a terminal would overwrite its lines."""
    log = FunctionLog(echo=True)
    log.add(LogRecord("stdout", "ValueError\r  File 1\r  File 2\n"))
    assert capsys.readouterr().err == "ValueError\n  File 1\n  File 2\n"
    assert log.text == "ValueError\r  File 1\r  File 2\n"
