"""A store whose operations a test can hold, fail, duplicate or cut off, around a `MemoryStore`.

    store.hold("put", "/0000/")            later puts of slots wait as handles
    held = await store.next_held()         the oldest handle that nobody took yet
    await held.complete()                  carried out and answered
    await held.lose_answer()               carried out, never answered (OutcomeUnknown)
    held.fail(Unavailable("429"))          refused, not carried out
    await held.duplicate()                 carried out now as a late copy; the answer is still owed
    store.broken = "the bucket is away"    every operation fails until it is None again

`store.finish()`, at the end of a test, fails it over handles that were left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Literal

from storage.clock import Clock
from storage.errors import OutcomeUnknown, PreconditionFailed, Unavailable
from storage.objects.memory import MemoryStore
from storage.objects.port import ListPage, ObjectInfo, ObjectStream, StoredObject

Name = Literal["get", "head", "put", "delete", "list"]


@dataclass(frozen=True, slots=True)
class Sent:
    """One operation as it was asked for. `body` and `metadata` belong to puts."""

    name: Name
    key: str
    body: bytes = b""
    metadata: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True, eq=False)
class Held:
    """An operation that waits for the test's word."""

    sent: Sent
    run: Callable[[], Awaitable[Any]]
    answer: asyncio.Future[Any]

    async def complete(self) -> None:
        """Carry it out, answer with what came of it."""
        try:
            result = await self.run()
        except Exception as error:
            self._fail(error)
        else:
            if not self.answer.done():
                self.answer.set_result(result)

    async def lose_answer(self) -> None:
        """Carry it out; the caller is told that nobody knows."""
        await self.duplicate()
        self._fail(OutcomeUnknown(f"{self.sent.name} {self.sent.key}: no answer"))

    async def duplicate(self) -> None:
        """Carry out a copy that the network made; whatever came of it is told to nobody."""
        try:
            await self.run()
        except PreconditionFailed:
            pass

    def fail(self, error: Exception | None = None) -> None:
        """Answer with an error; nothing was carried out. A put without `error` is one that nobody knows of."""
        unknown = OutcomeUnknown if self.sent.name == "put" else Unavailable
        self._fail(error or unknown(f"{self.sent.name} {self.sent.key}: no answer"))

    def _fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class HeldStore:
    """See the module. Implements `ObjectStore`."""

    def __init__(self, clock: Clock) -> None:
        self.inner = MemoryStore(clock)
        self.sent: list[Sent] = []
        self.broken: str | None = None
        self._rules: list[tuple[Name, str]] = []
        self._failures: list[tuple[Name, str, Exception]] = []
        self._held: list[Held] = []
        self._arrived = asyncio.Event()

    # ---- what a test says

    def hold(self, name: Name, part: str = "") -> None:
        """From now on operations `name` on keys that contain `part` wait."""
        self._rules.append((name, part))

    def let_go(self) -> None:
        """Hold nothing more; what is held already stays."""
        self._rules.clear()

    def fail_next(self, name: Name, part: str, error: Exception) -> None:
        """The next such operation fails with `error`, not carried out."""
        self._failures.append((name, part, error))

    async def next_held(self) -> Held:
        """The oldest handle, as soon as there is one."""
        while not self._held:
            self._arrived.clear()
            await self._arrived.wait()
        return self._held.pop(0)

    @property
    def holds(self) -> int:
        """How many handles nobody has taken."""
        return len(self._held)

    def puts(self, part: str = "") -> list[Sent]:
        """Every put asked for so far on keys that contain `part`."""
        return [each for each in self.sent if each.name == "put" and part in each.key]

    def keys(self, part: str = "") -> list[str]:
        """Keys of the objects stored now."""
        return [key for _, key in self.inner._order if part in key]

    def finish(self) -> None:
        """Fail over handles that were left."""
        left = [held.sent.key for held in self._held]
        assert not left, f"handles left: {left}"

    # ---- the port

    async def get(self, key: str) -> StoredObject:
        found: StoredObject = await self._pass(Sent("get", key), lambda: self.inner.get(key))
        return found

    def open(self, key: str, *, chunk_bytes: int = 1 << 20) -> AbstractAsyncContextManager[ObjectStream]:
        return self.inner.open(key, chunk_bytes=chunk_bytes)

    async def head(self, key: str) -> ObjectInfo:
        found: ObjectInfo = await self._pass(Sent("head", key), lambda: self.inner.head(key))
        return found

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
        def run() -> Awaitable[ObjectInfo]:
            return self.inner.put(
                key,
                body,
                metadata=metadata,
                content_type=content_type,
                if_none_match=if_none_match,
                if_match=if_match,
            )

        stored: ObjectInfo = await self._pass(Sent("put", key, body, tuple(sorted((metadata or {}).items()))), run)
        return stored

    async def put_stream(
        self,
        key: str,
        chunks: AsyncIterator[bytes],
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
    ) -> ObjectInfo:
        return await self.inner.put_stream(key, chunks, metadata=metadata, content_type=content_type)

    async def delete(self, key: str) -> None:
        await self._pass(Sent("delete", key), lambda: self.inner.delete(key))

    async def list(self, prefix: str, *, start_after: str = "", limit: int = 1000) -> ListPage:
        page: ListPage = await self._pass(
            Sent("list", prefix), lambda: self.inner.list(prefix, start_after=start_after, limit=limit)
        )
        return page

    async def copy(self, source: str, target: str, *, metadata: Mapping[str, str] | None = None) -> ObjectInfo:
        return await self.inner.copy(source, target, metadata=metadata)

    def presign_get(self, key: str, *, expires_s: int) -> str:
        return self.inner.presign_get(key, expires_s=expires_s)

    def presign_put(self, key: str, *, expires_s: int, content_type: str | None = None) -> str:
        return self.inner.presign_put(key, expires_s=expires_s, content_type=content_type)

    async def close(self) -> None:
        await self.inner.close()

    # ---- inside

    async def _pass(self, sent: Sent, run: Callable[[], Awaitable[Any]]) -> Any:
        self.sent.append(sent)
        await asyncio.sleep(0)  # an answer never comes at once
        for failure in self._failures:
            if sent.name == failure[0] and failure[1] in sent.key:
                self._failures.remove(failure)
                raise failure[2]
        if any(sent.name == name and part in sent.key for name, part in self._rules):
            held = Held(sent, run, asyncio.get_running_loop().create_future())
            self._held.append(held)
            self._arrived.set()
            return await held.answer
        if self.broken is not None:
            raise (OutcomeUnknown if sent.name == "put" else Unavailable)(self.broken)
        return await run()
