"""One process's way to the bucket: an `ObjectStore` whose requests are late, lost, refused, answered wrongly or twice.

A request that was sent belongs to the world: it is executed whatever becomes of its sender. Reads, lists, deletes and
unconditional writes are tried `ATTEMPTS_MAX` times and end in `Unavailable`; a conditional write is sent once and ends
in `OutcomeUnknown`, a 429 to it in `Unavailable`, as the port promises. `Line` is what the world knows of the machine's
way: its weather, whether it is cut off, and where troubles are noted.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Literal, Protocol, TypeVar

from storage.errors import OutcomeUnknown, StorageError, Unavailable
from storage.objects.port import ListPage, ObjectInfo, ObjectStream, StoredObject
from tests.simulation.bucket import Bucket
from tests.simulation.loop import SimLoop
from tests.simulation.process import Process
from tests.simulation.weather import Fate, Outcome, Weather, draw_fate

T = TypeVar("T")
ATTEMPTS_MAX = 3
BACKOFF_S = 0.2
TROUBLE_S = 1.0
EXCUSED_S = 5.0
"""One lost request excuses its machine for so long, however long its client waits for the answer."""


class Line(Protocol):
    """A machine's way to the bucket."""

    @property
    def cut_off(self) -> bool: ...

    @property
    def weather(self) -> Weather: ...

    def sent(self, process: Process, name: str, key: str) -> None:
        """A request leaves; accidents may be planned here."""
        ...

    def trouble(self, since: float, until: float) -> None:
        """A request took or cost unusually long: the machine was hindered for this while."""
        ...


class _NoAnswer(Exception):
    """Timeout, connection lost or 5xx."""


class _Refused(Exception):
    """429."""


class SimStore:
    """See the module."""

    def __init__(self, loop: SimLoop, bucket: Bucket, line: Line, process: Process, rng: random.Random) -> None:
        self._loop = loop
        self._bucket = bucket
        self._line = line
        self._process = process
        self._rng = rng

    # ---- the port

    async def get(self, key: str) -> StoredObject:
        return await self._retried("get", key, lambda: self._bucket.get(key))

    async def head(self, key: str) -> ObjectInfo:
        return await self._retried("head", key, lambda: self._bucket.get(key).info)

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
        if_none_match: Literal["*"] | None = None,
        if_match: str | None = None,
    ) -> ObjectInfo:
        def effect() -> ObjectInfo:
            return self._bucket.put(key, body, metadata, if_none_match=if_none_match, if_match=if_match)

        if if_none_match is None and if_match is None:
            return await self._retried("put", key, effect)
        try:
            return await self._exchange("put", key, effect)
        except _Refused as error:
            raise Unavailable(f"put {key}: 429") from error
        except _NoAnswer as error:
            raise OutcomeUnknown(f"put {key}: no answer") from error

    async def put_stream(
        self,
        key: str,
        chunks: AsyncIterator[bytes],
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
    ) -> ObjectInfo:
        body = b"".join([chunk async for chunk in chunks])
        return await self._retried("put", key, lambda: self._bucket.put(key, body, metadata))

    async def delete(self, key: str) -> None:
        await self._retried("delete", key, lambda: self._bucket.delete(key))

    async def list(self, prefix: str, *, start_after: str = "", limit: int = 1000) -> ListPage:
        return await self._retried("list", prefix, lambda: self._bucket.page(prefix, start_after, limit))

    async def copy(self, source: str, target: str, *, metadata: Mapping[str, str] | None = None) -> ObjectInfo:
        def effect() -> ObjectInfo:
            found = self._bucket.get(source)
            return self._bucket.put(target, found.body, found.info.metadata if metadata is None else metadata)

        return await self._retried("copy", source, effect)

    def open(self, key: str, *, chunk_bytes: int = 1 << 20) -> AbstractAsyncContextManager[ObjectStream]:
        return self._stream(key, chunk_bytes)

    @asynccontextmanager
    async def _stream(self, key: str, chunk_bytes: int) -> AsyncIterator[ObjectStream]:
        found = await self.get(key)

        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(found.body), chunk_bytes):
                yield found.body[start : start + chunk_bytes]

        yield ObjectStream(found.info, chunks())

    def presign_get(self, key: str, *, expires_s: int) -> str:
        raise NotImplementedError("a simulated store has no URLs")

    def presign_put(self, key: str, *, expires_s: int, content_type: str | None = None) -> str:
        raise NotImplementedError("a simulated store has no URLs")

    async def close(self) -> None:
        """Nothing is held."""

    # ---- the way there and back

    async def _retried(self, name: str, key: str, effect: Callable[[], T]) -> T:
        for attempt in range(ATTEMPTS_MAX):
            try:
                return await self._exchange(name, key, effect)
            except (_Refused, _NoAnswer):
                if attempt + 1 < ATTEMPTS_MAX:
                    await asyncio.sleep(BACKOFF_S * 2**attempt * self._rng.uniform(0.5, 1.0))
        raise Unavailable(f"{name} {key}: no answer after {ATTEMPTS_MAX} attempts")

    async def _exchange(self, name: str, key: str, effect: Callable[[], T]) -> T:
        """One request. Raises what `effect` raised, `_Refused` or `_NoAnswer`."""
        self._process.check_alive()
        self._line.sent(self._process, name, key)
        self._process.check_alive()
        fate = draw_fate(self._line.weather, self._rng, name, key)
        answer: asyncio.Future[T] = self._loop.create_future()
        leaves_at = self._loop.time() + self._process.debt
        self._note_trouble(fate, leaves_at)
        request = _Request(self._loop, self._line, self._process, fate, effect, answer, leaves_at)
        request.leave()
        return await answer

    def _note_trouble(self, fate: Fate, leaves_at: float) -> None:
        if fate.outcome is Outcome.ANSWERED:
            took = fate.request_s + fate.answer_s
        elif fate.outcome in (Outcome.REQUEST_LOST, Outcome.ANSWER_LOST):
            took = EXCUSED_S
        else:
            took = TROUBLE_S + fate.request_s + fate.answer_s
        if took > TROUBLE_S / 2:
            self._line.trouble(leaves_at, leaves_at + took)


class _Request:
    """One request on its way; every step is a timer of the world."""

    def __init__(
        self,
        loop: SimLoop,
        line: Line,
        process: Process,
        fate: Fate,
        effect: Callable[[], T],
        answer: asyncio.Future[T],
        leaves_at: float,
    ) -> None:
        self._loop = loop
        self._line = line
        self._process = process
        self._fate = fate
        self._effect = effect
        self._answer = answer
        self._leaves_at = leaves_at
        self._timeout_at = leaves_at + line.weather.timeout_s

    def leave(self) -> None:
        if self._leaves_at > self._loop.time():
            # the sender stands in a blocking call until then: killed before, it never sends
            self._loop.world_at(self._leaves_at, self._leave_if_alive)
        else:
            self._leave()

    def _leave_if_alive(self) -> None:
        if not self._process.dead:
            self._leave()

    def _leave(self) -> None:
        arrives_at = self._leaves_at + self._fate.request_s
        if self._fate.stray_s is not None:
            self._loop.world_at(arrives_at + self._fate.stray_s, self._execute_stray)
        if self._line.cut_off or self._fate.outcome is Outcome.REQUEST_LOST:
            self._give_up_later()
        else:
            self._loop.world_at(arrives_at, self._arrive)

    def _arrive(self) -> None:
        outcome = self._fate.outcome
        if self._line.cut_off:
            self._give_up_later()
            return
        reply: object = None
        failure: Exception | None = None
        if outcome is Outcome.REFUSED:
            failure = _Refused()
        elif outcome is Outcome.FAILED_BEFORE:
            failure = _NoAnswer()
        else:
            try:
                reply = self._effect()
            except StorageError as error:
                failure = error
            if outcome is Outcome.FAILED_AFTER:
                failure = _NoAnswer()
        answered_at = self._loop.time() + self._fate.answer_s
        if outcome is Outcome.ANSWER_LOST or answered_at >= self._timeout_at:
            self._give_up_later()
        else:
            self._loop.world_at(answered_at, self._deliver, reply, failure)

    def _execute_stray(self) -> None:
        try:
            self._effect()
        except StorageError:
            return

    def _deliver(self, reply: object, failure: Exception | None) -> None:
        if self._line.cut_off:
            self._give_up_later()
        elif self._answer.done() or self._process.dead:
            return
        elif failure is not None:
            self._answer.set_exception(failure)
        else:
            self._answer.set_result(reply)  # type: ignore[arg-type]

    def _give_up_later(self) -> None:
        """No answer will come: the client notices at its timeout, or at once when that has passed."""
        self._line.trouble(self._leaves_at, min(self._timeout_at, self._leaves_at + EXCUSED_S))
        self._loop.world_at(max(self._loop.time(), self._timeout_at), self._give_up)

    def _give_up(self) -> None:
        if not self._answer.done() and not self._process.dead:
            self._answer.set_exception(_NoAnswer())
