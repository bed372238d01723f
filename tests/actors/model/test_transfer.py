"""Databases and long results on their way in and out: counted, bounded, closed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from actors.call import Call, Op
from actors.errors import InvalidDatabase
from actors.model.transfer import LINES_TYPE, SQLITE_TYPE, CountedStream, read_upload
from actors.settings import ActorSettings, DatabaseSettings
from storage.errors import HoldfastError, InvalidRequest
from tests.actors.kit import FakeDisk, HeldStore, Process, VirtualClock, prepared, sql_body, virtual


class Source:
    """Chunks that know whether they were closed."""

    def __init__(self, *chunks: bytes, error: Exception | None = None) -> None:
        self.chunks = list(chunks)
        self.error = error
        self.closed = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self.chunks:
            return self.chunks.pop(0)
        if self.error is not None:
            raise self.error
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed += 1


class Over:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


@virtual
async def test_a_stream_read_to_its_end_is_over_once() -> None:
    over, source = Over(), Source(b"a", b"b")
    stream = CountedStream(source, over)
    assert [chunk async for chunk in stream] == [b"a", b"b"] and over.times == 1
    await stream.aclose()
    assert over.times == 1


@virtual
async def test_a_stream_closed_before_its_first_chunk_is_over() -> None:
    over, source = Over(), Source(b"a")
    stream = CountedStream(source, over)
    await stream.aclose()
    assert over.times == 1 and source.closed == 1


@virtual
async def test_a_stream_that_breaks_is_over() -> None:
    over = Over()
    stream = CountedStream(Source(b"a", error=InvalidRequest("broken")), over)
    with pytest.raises(InvalidRequest):
        async for _ in stream:
            pass
    assert over.times == 1


def an_upload(body: bytes = b"", *chunks: bytes) -> Call:
    stream = Source(*chunks) if chunks else None
    return Call(Op.IMPORT, {}, body, lambda _: None, lambda _: None, stream)


@virtual
async def test_an_upload_is_its_body_and_what_streams_in() -> None:
    assert await read_upload(an_upload(b"abc"), 10) == b"abc"
    assert await read_upload(an_upload(b"abc", b"de", b"f"), 10) == b"abcdef"


@virtual
async def test_an_upload_past_its_bound_is_refused_before_the_rest_is_read() -> None:
    call = an_upload(b"", b"x" * 6, b"x" * 6, b"x" * 6)
    with pytest.raises(InvalidDatabase, match="larger than 10 bytes"):
        await read_upload(call, 10)
    assert isinstance(call.stream, Source) and len(call.stream.chunks) == 1


@virtual
async def test_a_streamed_answer_names_its_kind_and_moment() -> None:
    actor = await prepared(Process(HeldStore(VirtualClock()), FakeDisk()))
    for op, body, kind in (
        (Op.EXPORT, b"", SQLITE_TYPE),
        (Op.SQL_STREAM, sql_body("SELECT 1"), LINES_TYPE),
    ):
        reply = await actor.ask(op, body).reply()
        assert reply.content_type == kind and reply.headers["Holdfast-Bookmark"] == str(actor.keeper.bookmark)
        assert reply.stream is not None
        assert [chunk async for chunk in reply.stream]


@virtual
@pytest.mark.parametrize(
    ("file", "args", "error"),
    [
        (b"not a database", {}, InvalidDatabase),
        (b"", {"replace": "yes"}, InvalidRequest),
        (b"SQLite format 3\0" + bytes(200_000), {}, InvalidDatabase),
    ],
)
async def test_a_file_that_is_refused_leaves_the_database_as_it_is(
    file: bytes, args: dict[str, bool], error: type[Exception]
) -> None:
    settings = ActorSettings(database=DatabaseSettings(database_bytes_max=150_000))
    actor = await prepared(Process(HeldStore(VirtualClock()), FakeDisk(), settings=settings))
    with pytest.raises(error):
        await actor.ask(Op.IMPORT, file, **args).reply()  # type: ignore[arg-type]
    assert await actor.notes() == []


@virtual
async def test_a_stream_of_a_write_is_refused() -> None:
    actor = await prepared(Process(HeldStore(VirtualClock()), FakeDisk()))
    ask = actor.ask(Op.SQL_STREAM, sql_body("INSERT INTO notes VALUES ('w')"))
    with pytest.raises(HoldfastError):
        await ask.bytes()
    assert await actor.notes() == [] and not actor.activation.busy
