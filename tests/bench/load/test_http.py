"""Answers cut anywhere are read as the same answers; what is not understood is refused."""

from __future__ import annotations

import pytest

from bench.load.http import AnswerReader, ProtocolError, encode_request

PLAIN = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}'
EMPTY = b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n"
CHUNKED = b'HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n4;x=y\r\n":1}\r\n0\r\n\r\n'


def test_a_request_is_written_with_its_length() -> None:
    request = encode_request("POST", "/v1/x", host="h:1", headers={"A": "b"}, body=b"{}")
    assert request == (
        b"POST /v1/x HTTP/1.1\r\nHost: h:1\r\nA: b\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )


@pytest.mark.parametrize(
    ("answer", "status", "body"), [(PLAIN, 200, b'{"a":1}'), (EMPTY, 204, b""), (CHUNKED, 503, b'{"a":1}')]
)
def test_an_answer_cut_anywhere_is_whole_with_its_last_byte_only(answer: bytes, status: int, body: bytes) -> None:
    for cut in range(1, len(answer)):
        reader = AnswerReader()
        assert reader.feed(answer[:cut]) == 0
        assert reader.feed(answer[cut:]) == status
        assert reader.body_bytes() == body


@pytest.mark.parametrize("answer", [PLAIN, EMPTY, CHUNKED])
def test_one_reader_reads_answer_after_answer_byte_by_byte(answer: bytes) -> None:
    reader = AnswerReader()
    statuses = [reader.feed(bytes([byte])) for byte in answer * 3]
    assert [status for status in statuses if status] == [int(answer[9:12])] * 3


def test_a_server_that_will_close_is_noticed() -> None:
    reader = AnswerReader()
    reader.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    assert reader.closing


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        PLAIN + b"more",
        b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000,
    ],
    ids=["other protocol", "interim", "no length", "too many bytes", "endless head"],
)
def test_what_it_does_not_understand_is_refused(answer: bytes) -> None:
    with pytest.raises(ProtocolError):
        AnswerReader().feed(answer)
