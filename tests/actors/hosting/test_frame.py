"""The wire format: what is encoded decodes, in whatever pieces it comes; what breaks a bound is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.call import Reply
from actors.errors import SqlError
from actors.hosting import frame as wire
from actors.hosting.errors import MalformedFrame
from actors.hosting.frame import Frame, FrameDecoder
from actors.hosting.wire_error import error_from_head, error_to_head
from storage.errors import InvalidRequest

text = st.text(max_size=30)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | text
args = st.dictionaries(text, scalars | st.lists(scalars, max_size=3), max_size=5)
ids = st.integers(1, wire.REQUEST_ID_MAX)
flags = st.integers(0, 3)


def all_frames(data: bytes, *, piece: int | None = None) -> list[Frame]:
    decoder = FrameDecoder(wire.PAYLOAD_BYTES_MAX)
    step = piece or max(1, len(data))
    return [frame for at in range(0, len(data), step) for frame in decoder.feed(data[at : at + step])]


@given(ids, text, text, text, args, st.binary(max_size=300), flags)
def test_a_request_comes_back(
    id: int, user: str, profile: str, op: str, given: dict[str, object], body: bytes, flag: int
) -> None:
    (frame,) = all_frames(wire.encode_request(id, user, profile, op, given, body, flag))
    head, decoded = wire.decode_request(frame.payload)
    assert (frame.type, frame.id, frame.flags) == (wire.REQUEST, id, flag)
    assert (head.user, head.profile, head.op, head.args, decoded) == (user, profile, op, given, body)


@given(ids, text, st.dictionaries(text, text, max_size=4), st.binary(max_size=300))
def test_a_reply_comes_back(id: int, content_type: str, headers: dict[str, str], body: bytes) -> None:
    (frame,) = all_frames(wire.encode_reply(id, Reply(content_type=content_type, headers=headers), body))
    head, decoded = wire.decode_reply(frame.payload)
    assert (head.content_type, head.headers, decoded) == (content_type, headers, body)


@given(text, st.booleans(), st.none() | st.floats(0, 1e6), args)
def test_an_error_comes_back_as_its_class(
    message: str, retryable: bool, after: float | None, details: dict[str, object]
) -> None:
    error = SqlError(message, retry_after_s=after, details=details)
    error.retryable = retryable
    (frame,) = all_frames(wire.encode_error(7, error_to_head(error)))
    again = error_from_head(wire.decode_error(frame.payload))
    assert type(again) is SqlError
    assert (again.code, again.message, again.retryable) == ("sql_error", message, retryable)
    assert (again.retry_after_s, again.details) == (after, details)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 11), flags, ids, st.binary(max_size=40)), min_size=1, max_size=6), st.data())
def test_frames_come_out_the_same_in_whatever_pieces_they_come(
    given: list[tuple[int, int, int, bytes]], data: st.DataObject
) -> None:
    stream = b"".join(wire.encode_frame(kind, id, payload, flag) for kind, flag, id, payload in given)
    expected = [Frame(kind, flag, id, payload) for kind, flag, id, payload in given]
    assert all_frames(stream) == expected
    assert all_frames(stream, piece=1) == expected
    assert all_frames(stream, piece=data.draw(st.integers(1, len(stream)))) == expected


@given(st.integers(1, 11), st.binary(max_size=60))
def test_no_truncation_yields_a_frame(kind: int, payload: bytes) -> None:
    whole = wire.encode_frame(kind, 5, payload)
    for end in range(len(whole)):
        assert all_frames(whole[:end]) == []


def test_a_large_frame_in_small_pieces_is_put_together() -> None:
    whole = wire.encode_request(1, "u", "p", "sql", {}, bytes(range(256)) * 1024)
    (frame,) = all_frames(whole, piece=1000)
    assert wire.decode_request(frame.payload)[1] == bytes(range(256)) * 1024


@pytest.mark.parametrize("kind", [0, 12, 255])
def test_an_unknown_type_is_refused(kind: int) -> None:
    with pytest.raises(MalformedFrame, match=f"type {kind}"):
        all_frames(wire.encode_frame(kind))


def test_an_oversize_frame_is_refused_by_its_header_alone() -> None:
    with pytest.raises(MalformedFrame, match="at most"):
        all_frames(wire.HEADER.pack(wire.PAYLOAD_BYTES_MAX + 1, wire.BODY, 0, 1))


def test_before_the_handshake_only_small_frames_pass() -> None:
    with pytest.raises(MalformedFrame):
        FrameDecoder().feed(wire.HEADER.pack(wire.HANDSHAKE_BYTES_MAX + 1, wire.HELLO, 0, 0))


def test_a_body_or_head_too_large_for_a_frame_is_refused_by_the_sender() -> None:
    with pytest.raises(InvalidRequest, match="frame holds"):
        wire.encode_request(1, "u", "p", "sql", {}, b"x" * (wire.CHUNK_BYTES + 1))
    with pytest.raises(InvalidRequest, match="frame holds"):
        wire.encode_request(1, "u", "p", "sql", {"key": "x" * wire.HEAD_BYTES_MAX}, b"")


def test_arguments_that_no_wire_can_hold_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="do not encode"):
        wire.encode_request(1, "u", "p", "sql", {"key": object()}, b"")
    with pytest.raises(InvalidRequest, match="do not encode"):
        wire.encode_request(1, "u", "p", "sql", {"key": 2**70}, b"")


@given(st.binary(max_size=80))
def test_garbage_in_a_payload_is_malformed_and_nothing_else(payload: bytes) -> None:
    for decode in (wire.decode_request, wire.decode_reply, wire.decode_error, wire.decode_credit, wire.decode_goaway):
        try:
            decode(payload)
        except MalformedFrame:
            pass


@given(ids, text, args, st.binary(max_size=60), st.data())
def test_a_cut_request_payload_is_malformed_or_has_a_shorter_body(
    id: int, user: str, given: dict[str, object], body: bytes, data: st.DataObject
) -> None:
    payload = wire.encode_request(id, user, "p", "sql", given, body)[wire.HEADER_BYTES :]
    cut = data.draw(st.integers(0, len(payload)))
    try:
        head, rest = wire.decode_request(payload[:cut])
    except MalformedFrame:
        assert cut < len(payload) - len(body)
    else:
        assert head.args == given and body.startswith(rest)


def test_the_bytes_of_version_one_are_these() -> None:
    """Golden: when this fails, VERSION has to change too."""
    assert wire.VERSION == 1
    request = wire.encode_request(258, "al", "p", "sql", {"a": 1}, b"{}", wire.MORE)
    assert request.hex(" ") == ("00 00 00 12 03 01 00 00 01 02 00 0e 94 a2 61 6c a1 70 a3 73 71 6c 81 a1 61 01 7b 7d")
    assert wire.encode_credit(1, 65536).hex() == "0000000407000000000100010000"
