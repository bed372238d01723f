"""Clients of the simulated cluster: they write numbered rows, read them back, and write down what they were told.

A write keeps its number through every attempt; it is sent again only where the answer says that it did not run. A call
is carried over a network with delays; its answer leaves the host at `replied_at` and may be lost with the host.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from actors.call import Call, Durability, Op, Reply
from actors.errors import DatabaseError, OutcomeUnknownWrite
from storage.errors import HoldfastError, OutcomeUnknown
from storage.log.bookmark import Bookmark
from tests.simulation import history as told
from tests.simulation.cluster import Cluster
from tests.simulation.host import Host

ATTEMPTS_MAX = 4
PATIENCE_S = 40.0
NETWORK_S = (0.0005, 0.01)
INSERT = "INSERT INTO entries(number, note) VALUES(?, ?)"
SELECT = "SELECT number FROM entries"
CREATE = "CREATE TABLE IF NOT EXISTS entries(number INTEGER NOT NULL, note TEXT NOT NULL)"

Judge = Callable[[told.Reply, Host], None]


class ConnectionBroken(Exception):
    """The host died, or nobody answered in time: the call may have run or not."""


@dataclass(slots=True)
class Answer:
    """An answer on its way: when it left the host and what it says."""

    replied_at: float
    host: Host
    body: dict[str, object]
    record: told.Reply | None = None


class Client:
    """One caller. `judge` sees each answer at the moment it leaves, while the truth about it can still be looked up."""

    def __init__(self, cluster: Cluster, history: told.History, rng: random.Random, judge: Judge) -> None:
        self._cluster = cluster
        self._loop = cluster.loop
        self._history = history
        self._rng = rng
        self._judge = judge
        self._calls = 0
        self.stale_share = 0.1
        self.keyed_share = 0.2
        self.answer_s = NETWORK_S

    # ---- what clients do

    async def prepare(self, address: str) -> None:
        """Create the table, however often it takes."""
        while True:
            try:
                body = json.dumps({"sql": CREATE, "params": []}).encode()
                await self.call(address, Op.SQL, {"durability": Durability.R2.value}, body, None)
                return
            except (HoldfastError, ConnectionBroken):
                await asyncio.sleep(self._rng.uniform(0.2, 1.0))

    async def write(self, address: str, level: Durability) -> told.Write:
        """One row, in as many attempts as surely did not run; with an idempotency key also in those that may have."""
        write = told.Write(self._history.next_number(), address, level, self._loop.time())
        self._history.writes.append(write)
        keyed = self._rng.random() < self.keyed_share
        key = f"write {write.number}" if keyed else None
        params: list[object] = [write.number, "x" * self._rng.randrange(200)]
        unrun = True
        for _ in range(ATTEMPTS_MAX):
            try:
                answer = await self.sql(address, INSERT, params, level, write.number, write.sent_at, key=key)
            except (OutcomeUnknownWrite, OutcomeUnknown, ConnectionBroken):
                unrun = False
                if not keyed:
                    break
                await asyncio.sleep(self._rng.uniform(0.05, 1.0))
            except HoldfastError as error:
                self._check_error(error)
                await asyncio.sleep(self._rng.uniform(0.05, 1.0))
            else:
                write.outcome = told.Outcome.OK
                write.reply = answer.record
                write.bookmark = str(answer.body["bookmark"])
                return write
        write.outcome = told.Outcome.NOT_RUN if unrun else told.Outcome.UNKNOWN
        return write

    async def read(self, address: str, level: Durability) -> frozenset[int] | None:
        """All rows, or None where nobody answered."""
        try:
            answer = await self.sql(address, SELECT, [], level, None, self._loop.time())
        except ConnectionBroken:
            return None
        except HoldfastError as error:
            self._check_error(error)
            return None
        assert answer.record is not None
        return answer.record.seen

    async def wait_durable(self, write: told.Write, level: Durability) -> None:
        """Ask whether an acknowledged write is durable at a higher level."""
        args = {"bookmark": write.bookmark, "level": level.value, "timeout_s": 10.0}
        code: str | None = None
        try:
            await self.call(write.address, Op.DURABLE, args, b"", None)
        except ConnectionBroken:
            return
        except HoldfastError as error:
            code = error.code
        self._history.waited.append(told.Waited(write.number, level, self._loop.time(), code))

    def _check_error(self, error: HoldfastError) -> None:
        """The table was made before, for good: an owner that does not know it answers from the past."""
        if isinstance(error, DatabaseError):
            self._history.faults.append(f"STALE: at {self._loop.time():.3f} a client was told: {error}")

    async def sql(
        self,
        address: str,
        sql: str,
        params: list[object],
        level: Durability,
        write: int | None,
        sent_at: float,
        host: Host | None = None,
        key: str | None = None,
    ) -> Answer:
        """Run a statement. Raises the actor's error, or ConnectionBroken."""
        body = json.dumps({"sql": sql, "params": params}).encode()
        record = told.Reply(address, "", level, write, sent_at, 0.0, frozenset(), 0, 0)
        args = {"durability": level.value, **({"idempotency_key": key} if key is not None else {})}
        return await self.call(address, Op.SQL, args, body, record, host)

    # ---- the network

    async def call(
        self,
        address: str,
        op: Op,
        args: Mapping[str, object],
        body: bytes,
        record: told.Reply | None,
        host: Host | None = None,
    ) -> Answer:
        """Send one call to a host and wait for its answer."""
        if host is None:
            host = self._cluster.host_for(address, stale=self._rng.random() < self.stale_share)
        if host is None or not host.alive:
            raise HoldfastError(f"nobody serves {address}")
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self._calls += 1
        key = self._calls
        host.outstanding[key] = lambda: self._later(_break, answer)

        def reply(found: Reply) -> None:
            self._leave(host, key, lambda: self._replied(host, answer, found, record))

        def fail(error: HoldfastError) -> None:
            self._leave(host, key, lambda: self._later(_fail, answer, error))

        call = Call(op, args, body, reply, fail)
        self._later(self._arrive, host, address, call, answer)
        patience = self._loop.world_at(self._loop.time() + PATIENCE_S, _break, answer)
        try:
            return await answer
        finally:
            patience.cancel()
            host.outstanding.pop(key, None)

    def _later(self, callback: Callable[..., None], *args: object) -> None:
        self._loop.world_at(self._loop.time() + self._rng.uniform(*NETWORK_S), callback, *args)

    def _arrive(self, host: Host, address: str, call: Call, answer: asyncio.Future[Answer]) -> None:
        if host.alive:
            host.within(host.accept, address, call)
        else:
            _fail(answer, HoldfastError(f"{host} refuses the connection"))

    def _leave(self, host: Host, key: int, leave: Callable[[], None]) -> None:
        """Inside the host: the answer leaves now, or when the blocking call that the process stands in has ended."""
        host.process.check_alive()
        if not host.process.debt:
            leave()
            return

        def leave_if_alive() -> None:
            if host.alive:
                leave()

        self._loop.world_at(self._loop.time() + host.process.debt, leave_if_alive)

    def _replied(self, host: Host, answer: asyncio.Future[Answer], found: Reply, record: told.Reply | None) -> None:
        body: dict[str, object] = json.loads(found.body) if found.body else {}
        if record is not None:
            _fill(record, host, body, self._loop.time())
            self._history.replies.append(record)
            self._judge(record, host)
        found_answer = Answer(self._loop.time(), host, body, record)
        self._loop.world_at(self._loop.time() + self._rng.uniform(*self.answer_s), _deliver, answer, found_answer)


def _fill(record: told.Reply, host: Host, body: Mapping[str, object], at: float) -> None:
    bookmark = Bookmark.parse(str(body["bookmark"]))
    record.host, record.replied_at = host.process.name, at
    record.epoch, record.commit = bookmark.epoch, bookmark.commit
    if record.write is not None:
        record.seen = frozenset({record.write})
    else:
        record.seen = frozenset(rows_of(body))


def rows_of(body: Mapping[str, object]) -> list[int]:
    """The numbers in a read's answer."""
    results = body["results"]
    assert isinstance(results, list)
    return [row[0] for row in results[0]["rows"]]


def _deliver(answer: asyncio.Future[Answer], found: Answer) -> None:
    if not answer.done():
        if found.record is not None:
            found.record.answered_at = answer.get_loop().time()
        answer.set_result(found)


def _fail(answer: asyncio.Future[Answer], error: HoldfastError) -> None:
    if not answer.done():
        answer.set_exception(error)


def _break(answer: asyncio.Future[Answer]) -> None:
    if not answer.done():
        answer.set_exception(ConnectionBroken())
