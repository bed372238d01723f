"""Calls over real sockets: answers, streams both ways, cancellation, and what a caller learns when a link ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from actors.call import Op, Reply
from actors.errors import ActivationEnded, ActorError, Moved
from actors.hosting.body_stream import BodyStream
from actors.hosting.errors import LinkLost, LinkRefused
from actors.hosting.frame import CHUNK_BYTES, WINDOW_BYTES
from storage.errors import InvalidRequest
from tests.actors.hosting.linked import ALICE, BOB, a_host, until


@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
async def test_an_answer_comes_back_with_its_headers(tcp: bool) -> None:
    async with a_host() as host:
        link = await host.link(tcp=tcp)
        reply = await link.call(ALICE, Op.SQL, {"durability": "local"}, b'{"sql":"select 1"}')
    assert reply == Reply(b'{"sql":"select 1"}', None, "application/json", {"holdfast-echo": "1"})


async def test_many_calls_at_once_each_get_their_own_answer() -> None:
    async with a_host() as host:
        link = await host.link()
        bodies = [b"%d" % number for number in range(500)]
        replies = await asyncio.gather(
            *(link.call(ALICE if n % 2 else BOB, Op.SQL, {}, b) for n, b in enumerate(bodies))
        )
        assert [reply.body for reply in replies] == bodies
        assert len(host.source.made) == 2


async def test_an_error_comes_back_as_the_actor_raised_it() -> None:
    async with a_host() as host:
        link = await host.link()
        with pytest.raises(Moved, match="as asked") as caught:
            await link.call(ALICE, Op.SQL, {"fail": "moved"})
    assert (caught.value.retry_after_s, caught.value.details) == (0.5, {"asked": True})


@pytest.mark.parametrize("size", [CHUNK_BYTES, CHUNK_BYTES + 1, 5 * WINDOW_BYTES + 3])
async def test_bodies_of_any_size_arrive_whole_both_ways(size: int) -> None:
    async with a_host() as host:
        link = await host.link()
        body = bytes(range(256)) * (size // 256 + 1)
        reply = await link.call(ALICE, Op.SQL, {}, body[:size])
        assert reply.stream is None and reply.body == body[:size]


async def test_a_streamed_answer_arrives_piece_by_piece() -> None:
    async with a_host() as host:
        link = await host.link()
        reply = await link.call(ALICE, Op.EXPORT, {"chunks": 40, "size": 100_000})
        assert reply.stream is not None and reply.content_type == "application/octet-stream"
        total = 0
        async for chunk in reply.stream:
            total += len(chunk)
        assert total == 4_000_000
        assert link.open_calls == 0 and host.server.open_requests == 0


async def test_a_stream_that_nobody_reads_stops_at_the_window_and_holds_up_nobody() -> None:
    async with a_host() as host:
        link = await host.link()
        reply = await link.call(ALICE, Op.EXPORT, {"chunks": 1000, "size": 100_000})
        for number in range(50):
            assert (await link.call(ALICE, Op.SQL, {}, b"%d" % number)).body == b"%d" % number
        assert reply.stream is not None
        assert isinstance(reply.stream, BodyStream)
        held = sum(len(chunk) for chunk in reply.stream._chunks)
        assert held <= WINDOW_BYTES
        rest = 0
        async for chunk in reply.stream:
            rest += len(chunk)
        assert rest == 100_000_000


async def test_closing_a_stream_early_closes_it_on_the_host() -> None:
    async with a_host() as host:
        link = await host.link()
        reply = await link.call(ALICE, Op.EXPORT, {"chunks": 1000, "size": 100_000})
        assert isinstance(reply.stream, BodyStream)
        await anext(reply.stream)
        await reply.stream.aclose()
        await until(lambda: host.activation().streams_closed == 1)
        assert host.server.open_requests == 0 and link.open_calls == 0


async def test_a_stream_that_breaks_raises_after_what_came() -> None:
    async with a_host() as host:
        link = await host.link()
        reply = await link.call(ALICE, Op.EXPORT, {"chunks": 9, "size": 10, "break_at": 3})
        assert reply.stream is not None
        got = b""
        with pytest.raises(ActorError, match="broke as asked"):
            async for chunk in reply.stream:
                got += chunk
        assert len(got) == 30


async def test_a_streamed_request_is_read_as_the_actor_takes_it() -> None:
    async with a_host() as host:
        link = await host.link()

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(30):
                yield bytes(150_000)

        reply = await link.call(ALICE, Op.IMPORT, {}, stream=chunks())
        assert reply.body == b"4500000"


async def test_a_request_stream_that_breaks_ends_the_call_on_both_sides() -> None:
    async with a_host() as host:
        link = await host.link()

        async def chunks() -> AsyncIterator[bytes]:
            yield b"some"
            raise InvalidRequest("the upload broke")

        with pytest.raises(InvalidRequest, match="the upload broke"):
            await link.call(ALICE, Op.IMPORT, {}, stream=chunks())
        await until(lambda: host.server.open_requests == 0)


async def test_an_answer_before_the_body_is_read_stops_the_upload() -> None:
    async with a_host() as host:
        link = await host.link()
        stopped = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield bytes(100_000)
            finally:
                stopped.set()

        with pytest.raises(Moved):
            await link.call(ALICE, Op.SQL, {"fail": "moved"}, stream=endless())
        await stopped.wait()


async def test_a_cancelled_call_is_called_off_on_the_host() -> None:
    async with a_host() as host:
        link = await host.link()
        call = asyncio.create_task(link.call(ALICE, Op.SQL, {"hold": True}))
        await until(lambda: host.source.made and host.activation().held)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await until(lambda: host.calls[0].abandoned)
        assert link.open_calls == 0 and host.server.open_requests == 0
        host.activation().let_go()
        assert (await link.call(ALICE, Op.SQL, {}, b"still fine")).body == b"still fine"


async def test_a_lost_call_that_was_written_may_have_run() -> None:
    async with a_host() as host:
        link = await host.link()
        call = asyncio.create_task(link.call(ALICE, Op.SQL, {"hold": True}))
        await until(lambda: host.source.made and host.activation().held)
        link.abort()
        with pytest.raises(LinkLost) as caught:
            await call
        assert caught.value.may_have_run and not link.usable
        await until(lambda: host.calls[0].abandoned)


async def test_a_lost_call_that_was_never_written_surely_did_not_run() -> None:
    async with a_host() as host:
        link = await host.link()
        call = asyncio.create_task(link.call(ALICE, Op.SQL, {}))
        asyncio.get_running_loop().call_soon(lambda: link.connection_lost(None))
        with pytest.raises(LinkLost) as caught:
            await call
        assert not caught.value.may_have_run


async def test_a_write_that_an_idle_socket_refused_surely_carried_nothing() -> None:
    async with a_host() as host:
        link = await host.link()
        await link.call(ALICE, Op.SQL, {}, b"first")
        call = asyncio.create_task(link.call(ALICE, Op.SQL, {}, b"second"))
        await asyncio.sleep(0)
        link._flush()
        link.connection_lost(BrokenPipeError())
        with pytest.raises(LinkLost) as caught:
            await call
        assert not caught.value.may_have_run


@pytest.mark.parametrize("abandoned", [False, True])
async def test_a_refused_write_says_nothing_of_calls_written_before_it(abandoned: bool) -> None:
    async with a_host() as host:
        link = await host.link()
        held = asyncio.create_task(link.call(ALICE, Op.SQL, {"hold": True}, b"held"))
        await until(lambda: host.source.made and host.activation().held)
        calls = [asyncio.create_task(link.call(ALICE, Op.SQL, {}, b"x")) for _ in range(2)]
        await asyncio.sleep(0)
        if abandoned:
            calls[0].cancel()
            await asyncio.sleep(0)
        link._flush()
        link.connection_lost(BrokenPipeError())
        with pytest.raises(LinkLost) as caught:
            await held
        assert caught.value.may_have_run
        await asyncio.gather(*calls, return_exceptions=True)


async def test_a_call_on_an_ended_link_surely_did_not_run() -> None:
    async with a_host() as host:
        link = await host.link()
        await link.close()
        with pytest.raises(LinkLost) as caught:
            await link.call(ALICE, Op.SQL, {})
        assert not caught.value.may_have_run


async def test_a_draining_host_answers_what_it_took_and_nothing_else() -> None:
    async with a_host() as host:
        link = await host.link()
        taken = asyncio.create_task(link.call(ALICE, Op.SQL, {"hold": True}, b"taken"))
        await until(lambda: host.source.made and host.activation().held)
        host.server.go_away(ActivationEnded("draining"))
        await until(lambda: not link.usable)
        with pytest.raises(LinkLost) as caught:
            await link.call(ALICE, Op.SQL, {})
        assert not caught.value.may_have_run
        host.activation().let_go()
        assert (await taken).body == b"taken"


async def test_a_request_written_while_the_host_says_go_away_did_not_run() -> None:
    async with a_host() as host:
        link = await host.link()
        host.server.go_away(ActivationEnded("draining"))
        with pytest.raises((LinkLost, ActivationEnded)) as caught:
            await link.call(ALICE, Op.SQL, {})
        assert not getattr(caught.value, "may_have_run", False) and host.calls == []


async def test_no_answer_in_time_is_an_unknown_outcome() -> None:
    async with a_host() as host:
        link = await host.link(reply_timeout_s=0.01)
        with pytest.raises(LinkLost, match="no answer from") as caught:
            await link.call(ALICE, Op.SQL, {"hold": True})
        assert caught.value.may_have_run
        await until(lambda: host.calls[0].abandoned)


async def test_nobody_there_is_a_lost_link_that_ran_nothing() -> None:
    async with a_host() as host:
        await host.server.close()
        with pytest.raises(LinkLost) as caught:
            await host.link()
        assert not caught.value.may_have_run


async def test_a_wrong_secret_is_refused() -> None:
    async with a_host() as host:
        with pytest.raises(LinkRefused):
            await host.link(secret=b"some other secret of enough length")
        assert (await (await host.link()).call(ALICE, Op.SQL, {}, b"x")).body == b"x"


async def test_a_connection_that_ends_in_the_handshake_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.hosting.link_server.CONNECTIONS_MAX", 0)
    async with a_host() as host:
        with pytest.raises(LinkLost) as caught:
            await host.link()
        assert not caught.value.may_have_run
