"""The short way of plain requests beside the long way: the same bytes in must be the same bytes out.

Two servers get the same conversations, one whose router can begin calls and one whose router cannot. Compared are the
answers, whether the connection ends, what the actor was asked, the log lines and the counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from actors.call import Reply
from actors.errors import ConstraintFailed, InR2Mode, NotInActorMode, Overloaded
from gateway.direct_protocol import DirectProtocol
from gateway.tokens import sign_user_token, user_token_key
from tests.gateway.kit import Asked, FakeRouter
from tests.gateway.listening import Listening, listening
from tests.gateway.raw_http import Answers, converse, read_answer, request

TOKEN = "service-token"
BEARER = f"Authorization: Bearer {TOKEN}"
ME = "/v1/me/sql"
LARGE = b'{"sql":"' + b"x" * 60_000 + b'"}'
TOO_LONG_FOR_HERE = b'{"sql":"' + b"x" * 80_000 + b'"}'
ONE = request()
CHUNKED = b"2\r\n{}\r\n0\r\n\r\n"


def user_token(user: str, *, wall: float = 1_800_000_000.0, secret: str = TOKEN) -> str:
    key = user_token_key(secret, None)
    assert key is not None
    return f"Authorization: Bearer {sign_user_token(user, key=key, now=wall, lifetime_s=60)}"


@dataclass(frozen=True, slots=True)
class Case:
    """A conversation; `short` is how many of its requests take the short way."""

    name: str
    parts: tuple[bytes, ...]
    short: int = 0
    answers: int = 1
    in_turn: bool = False


OPEN_CASES = [
    Case("plain", (ONE,), 1),
    Case("two on one connection", (ONE, ONE), 2, 2, True),
    Case("body after its head", (ONE[:-18], ONE[-18:]), 1),
    Case("body in pieces", (ONE[:-10], ONE[-10:-5], ONE[-5:]), 1),
    Case("head in pieces", (ONE[:20], ONE[20:50], ONE[50:]), 1),
    Case("of a profile", (request("/v1/users/alice/profiles/default/sql"),), 0),
    Case("of no such profile", (request("/v1/users/alice/profiles/nobodys/sql"),)),
    Case("empty body", (request(body=b"", length="0"),), 1),
    Case("large body", (request(body=LARGE),), 1),
    Case("body beyond the short way", (request(body=TOO_LONG_FOR_HERE),)),
    Case("body beyond the bound", (request(body=b"", length="300000"),)),
    Case("length of twenty digits", (request(body=b"", length="9" * 19),)),
    Case("length beyond 64 bits", (request(body=b"", length="9" * 30),)),
    Case("length with a sign", (request(length="+18"),)),
    Case("no length", (request(body=b"", length=None),)),
    Case("two lengths", (request("/v1/users/alice/sql", b"x", "Content-Length: 1"),)),
    Case("two differing lengths", (request("/v1/users/alice/sql", b"xx", "Content-Length: 3"),)),
    Case("chunked", (request("/v1/users/alice/sql", CHUNKED, "Transfer-Encoding: chunked", length=None),)),
    Case("expecting 100", (request("/v1/users/alice/sql", b"{}", "Expect: 100-continue"),)),
    Case("expecting something else", (request("/v1/users/alice/sql", b"{}", "Expect: rain"),)),
    Case("upgrade", (request("/v1/users/alice/sql", b"{}", "Connection: Upgrade", "Upgrade: websocket"),)),
    Case("upgrade to HTTP/2", (request("/v1/users/alice/sql", b"", "Connection: Upgrade", "Upgrade: h2c"),)),
    Case("connection: close", (request("/v1/users/alice/sql", b"{}", "Connection: close"),), 1),
    Case("connection: keep-alive", (request("/v1/users/alice/sql", b"{}", "Connection: keep-alive"),), 1),
    Case("HTTP/1.0", (request(version="1.0"),)),
    Case("HTTP/1.0 with keep-alive", (request("/v1/users/alice/sql", b"{}", "Connection: keep-alive", version="1.0"),)),
    Case("HTTP/2.0", (request(version="2.0"),)),
    Case("GET", (request(method="GET"),)),
    Case("HEAD", (request(body=b"", method="HEAD", length=None) + request(body=b"", method="GET", length=None),)),
    Case("PUT", (request(method="PUT"),)),
    Case("OPTIONS", (request(method="OPTIONS"),)),
    Case("method in lower case", (request(method="post"),)),
    Case("query", (request("/v1/users/alice/sql?shape=objects"),)),
    Case("unknown query", (request("/v1/users/alice/sql?depth=3"),)),
    Case("empty query", (request("/v1/users/alice/sql?"),)),
    Case("fragment", (request("/v1/users/alice/sql#x"),)),
    Case("escaped path", (request("/v1/users/al%69ce/sql"),)),
    Case("escaped slash", (request("/v1/users/alice%2Fsql"),)),
    Case("whole URL", (request("http://localhost/v1/users/alice/sql"),)),
    Case("slash at the end", (request("/v1/users/alice/sql/"),)),
    Case("two slashes", (request("/v1/users//alice/sql"),)),
    Case("dots", (request("/v1/users/alice/../sql"),)),
    Case("invalid user", (request("/v1/users/.alice/sql"),)),
    Case("nobody's path", (request("/v1/nobody/sql"),)),
    Case("a profile called sql", (request("/v1/users/alice/profiles/sql"),)),
    Case("another operation", (request("/v1/users/alice/flush", b""),)),
    Case("unknown user, who is made", (request("/v1/users/bob/sql"), request("/v1/users/bob/sql")), 1, 2, True),
    Case("me without a name", (request(ME),)),
    Case("me by header", (request(ME, b"{}", "X-User-ID: alice"),), 1),
    Case("me by cookie", (request(ME, b"{}", 'Cookie: a=b; user_id="alice"'),), 1),
    Case("header of another user", (request("/v1/users/alice/sql", b"{}", "X-User-ID: eve"),)),
    Case("cookie of another user", (request("/v1/users/alice/sql", b"{}", "Cookie: user_id=eve"),)),
    Case("header and cookie agree", (request(ME, b"{}", "X-User-ID: alice", "Cookie: user_id=alice"),), 1),
    Case("header and cookie differ", (request(ME, b"{}", "X-User-ID: alice", "Cookie: user_id=eve"),)),
    Case("two user headers", (request(ME, b"{}", "X-User-ID: alice", "X-User-ID: alice"),)),
    Case("level", (request("/v1/users/alice/sql", b"{}", "Holdfast-Durability: r2"),), 1),
    Case("wrong level", (request("/v1/users/alice/sql", b"{}", "Holdfast-Durability: paper"),)),
    Case("two levels", (request("/v1/users/alice/sql", b"{}", *["Holdfast-Durability: r2"] * 2),)),
    Case("idempotency key", (request("/v1/users/alice/sql", b"{}", "Idempotency-Key: k-1"),), 1),
    Case("empty idempotency key", (request("/v1/users/alice/sql", b"{}", "Idempotency-Key:"),)),
    Case("long idempotency key", (request("/v1/users/alice/sql", b"{}", "Idempotency-Key: " + "k" * 300),)),
    Case("key that is not ASCII", (request("/v1/users/alice/sql", b"{}", "Idempotency-Key: \xfc"),)),
    Case("request id", (request("/v1/users/alice/sql", b"{}", "X-Request-ID: mine.1"),), 1),
    Case("request id that is none", (request("/v1/users/alice/sql", b"{}", "X-Request-ID: a b"),), 1),
    Case("two harmless headers", (request("/v1/users/alice/sql", b"{}", "Accept: a", "Accept: b"),)),
    Case("header names in capitals", (request("/v1/users/alice/sql", b"{}", "HOLDFAST-DURABILITY: memory"),), 1),
    Case("no host", (request(host=None),), 1),
    Case("two hosts", (request("/v1/users/alice/sql", b"{}", "Host: localhost"),)),
    Case("rebound host", (request(host="evil.example"),)),
    Case("loopback by number and port", (request(host="127.0.0.1:8700"),), 1),
    Case("origin of its own", (request("/v1/users/alice/sql", b"{}", "Origin: http://localhost"),)),
    Case("foreign origin", (request("/v1/users/alice/sql", b"{}", "Origin: http://evil.example"),)),
    Case("pipelined", (ONE + ONE + ONE,), 1, 3),
    Case("pipelined behind a probe", (request("/healthz", b"", method="GET", length=None) + ONE,), 0, 2),
    Case("a probe behind", (ONE + request("/healthz", b"", "Connection: close", method="GET", length=None),), 1, 2),
    Case("rubbish behind", (ONE + b"rubbish\r\n\r\n",), 1, 2),
    Case("bytes after connection: close", (request("/v1/users/alice/sql", b"{}", "Connection: close") + ONE,), 1, 2),
    Case("obsolete folding", (request("/v1/users/alice/sql", b"{}", "X-A: b\r\n c"),)),
    Case("head too large", (request("/v1/users/alice/sql", b"{}", "X-A: " + "b" * 40_000),)),
    Case("constraint", (request(body=b"constraint"),), 1),
    Case("overloaded", (request(body=b"overloaded"),), 1),
    Case("in r2 mode", (request(body=b"in r2 mode"),), 1),
    Case("not in actor mode", (request(body=b"not in actor mode"),), 1),
    Case("after it was forgotten", (ONE,)),
    Case("unforeseen", (request(body=b"unforeseen"),), 1),
    Case("bookmark", (request(body=b"bookmark"),), 1),
    Case("header that HTTP does not allow", (request(body=b"broken header"),), 1),
    Case("large answer", (request(body=b"large answer"),), 1),
]

GUARDED_CASES = [
    Case("service token", (request("/v1/users/alice/sql", b"{}", BEARER),), 1),
    Case("service token, any host", (request("/v1/users/alice/sql", b"{}", BEARER, host="a.example"),), 1),
    Case("scheme in lower case", (request("/v1/users/alice/sql", b"{}", BEARER.replace("Bearer", "bearer")),), 1),
    Case("no token", (ONE,)),
    Case("wrong token", (request("/v1/users/alice/sql", b"{}", BEARER + "x"),)),
    Case("another scheme", (request("/v1/users/alice/sql", b"{}", "Authorization: Basic YTpi"),)),
    Case("two tokens", (request("/v1/users/alice/sql", b"{}", BEARER, BEARER),)),
    Case("user's token", (request("/v1/users/alice/sql", b"{}", user_token("alice")),), 1),
    Case("user's token for me", (request(ME, b"{}", user_token("alice")),), 1),
    Case("another user's token", (request("/v1/users/alice/sql", b"{}", user_token("eve")),)),
    Case("expired", (request("/v1/users/alice/sql", b"{}", user_token("alice", wall=1_700_000_000.0)),)),
    Case("forged", (request("/v1/users/alice/sql", b"{}", user_token("alice", secret="other")),)),
    Case("token and header differ", (request("/v1/users/alice/sql", b"{}", user_token("alice"), "X-User-ID: eve"),)),
    Case("pipelined behind a refusal", (ONE + request("/v1/users/alice/sql", b"{}", BEARER),), 0, 2),
]


async def hold(case: Case, server: Listening) -> tuple[Answers, object, object]:
    """The conversation, what the actor was asked in it, and its log lines."""
    asked, lines = len(server.router.asked), len(server.bench.lines())
    found = await converse(server.port, case.parts, answers=case.answers, in_turn=case.in_turn)
    await server.settled()
    kept = [
        {name: value for name, value in line.items() if name != "request_id"} for line in server.bench.lines()[lines:]
    ]
    return found, server.router.asked[asked:], kept


def answer(asked: Asked) -> Reply:
    errors: Mapping[bytes, Exception] = {
        b"constraint": ConstraintFailed("UNIQUE failed: games.id", details={"sqlite": "2067"}),
        b"overloaded": Overloaded("full", retry_after_s=2.5),
        b"in r2 mode": InR2Mode("a file serves it"),
        b"not in actor mode": NotInActorMode("changing"),
        b"unforeseen": RuntimeError("bug"),
    }
    if asked.body in errors:
        raise errors[asked.body]
    if asked.body == b"bookmark":
        return Reply(b"{}", headers={"Holdfast-Bookmark": "1-1-1"})
    if asked.body == b"broken header":
        return Reply(b"{}", headers={"Holdfast-Bookmark": "1\r\nX: y"})
    if asked.body == b"large answer":
        return Reply(b"y" * 1_000_000)
    return Reply(msgspec.json.encode({"ok": asked.op.value, "bytes": len(asked.body)}))


@pytest.mark.parametrize(
    ("cases", "settings"),
    [(OPEN_CASES, {}), (GUARDED_CASES, {"token": TOKEN})],
    ids=["open", "guarded"],
)
async def test_both_ways_answer_the_same(
    cases: list[Case], settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DirectProtocol, "body_patience_s", 60.0)
    async with (
        listening(FakeRouter(answer=answer), body_bytes_max=200_000, **settings) as short,
        listening(FakeRouter(answer=answer), direct=False, body_bytes_max=200_000, **settings) as long,
    ):
        warm = Case("warm", (request("/v1/users/alice/sql", b"{}", BEARER),))
        assert await hold(warm, short) == await hold(warm, long)
        different, elsewhere = [], []
        for case in cases:
            begun = len(short.router.begun)
            found, expected = await hold(case, short), await hold(case, long)
            if found != expected:
                different.append((case.name, found, expected))
            if len(short.router.begun) - begun != case.short:
                elsewhere.append((case.name, len(short.router.begun) - begun, case.short))
        assert not different, "\n".join(f"{name}\n  {found}\n  {expected}" for name, found, expected in different)
        assert not elsewhere, "name, found, expected: " + "; ".join(map(str, elsewhere))
        assert short.counts() == long.counts()
        assert not long.router.begun


async def test_a_body_that_comes_late_is_waited_for_on_the_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DirectProtocol, "body_patience_s", 0.0)
    async with listening(FakeRouter(answer=answer), body_idle_s=0.2) as server:
        await hold(Case("warm", (ONE,)), server)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(ONE[:-5])
        async with asyncio.timeout(20):
            refusal = await read_answer(reader)
        assert refusal.startswith(b"HTTP/1.1 408")
        writer.close()
        assert not server.router.begun


async def test_a_body_in_two_reads_reaches_the_actor_whole_on_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """However the moment at which patience ends falls between them."""
    async with listening(FakeRouter(answer=answer)) as server:
        await hold(Case("warm", (ONE,)), server)
        for patience_s in (0.0, 0.001, 20.0):
            monkeypatch.setattr(DirectProtocol, "body_patience_s", patience_s)
            for cut in range(1, 19):
                found, asked, _ = await hold(Case("cut", (ONE[:-cut], ONE[-cut:])), server)
                assert found.answers[0].startswith(b"HTTP/1.1 200")
                assert [call.body for call in server.router.asked[-1:]] == [b'{"sql":"SELECT 1"}'], asked
        assert len(server.router.begun) >= 18
