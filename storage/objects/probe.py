"""Does a bucket keep the promises that ownership rests on? Asked at every start, and by `holdfast doctor`.

A store that ignores `If-None-Match` or `If-Match` would let two owners write one log without either noticing, so it is
refused before anything is written to it. Each probe works on a key of its own below `{env}/.probe/`, so several
services may probe at once; it removes its key, and what killed probes left behind a day ago.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypedDict

from storage.clock import Clock
from storage.errors import ObjectNotFound, PreconditionFailed, StorageError, StoreRefused, Unavailable
from storage.objects.checksum import md5_hex
from storage.objects.port import ObjectStore
from storage.objects.settle import PUT_ID_KEY, Settled, Taken, put_settled

ATTEMPTS_MAX = 8
LEFTOVER_AGE_S = 86_400.0
LEFTOVERS_MAX = 100
FIRST, SECOND, INTRUDER = b'{"probe":1}', b'{"probe":2}', b'{"probe":"intruder"}'


class UnsafeStore(StoreRefused):
    """The store does not keep a promise that safety rests on. `details["step"]` names the step it got wrong."""

    code = "unsafe_store"


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """Steps the store passed, in order, for people to read."""

    steps: tuple[str, ...]


def probe_prefix(env: str) -> str:
    """Where probes work; ends in a slash."""
    return f"{env}/.probe/"


async def probe_store(store: ObjectStore, env: str, clock: Clock, rng: random.Random) -> ProbeReport:
    """Try every promise once. Raises UnsafeStore for a broken one, and whatever the store raises when it does not
    answer or refuses our credentials."""
    key = f"{probe_prefix(env)}{rng.getrandbits(128):032x}.json"
    probe = _Probe(store, key, clock, rng)
    steps: list[tuple[str, Callable[[], Awaitable[str | None]]]] = [
        ("create an absent object", probe.create),
        ("read it back with its metadata", probe.read_back),
        ("refuse to create it again", probe.refuse_create),
        ("update it on its etag", probe.update),
        ("refuse an update on a stale etag", probe.refuse_stale),
        ("list it at once, by the store's clock", probe.list_it),
        ("delete it, and refuse an update of what is absent", probe.delete_it),
    ]
    try:
        for step, check in steps:
            if (problem := await check()) is not None:
                raise UnsafeStore(f"store probe at {key}: {step}: {problem}", details={"step": step})
    finally:
        await probe.clean_up()
    await _remove_leftovers(store, env)
    return ProbeReport(tuple(step for step, _ in steps))


class _Condition(TypedDict, total=False):
    if_none_match: Literal["*"]
    if_match: str


class _Probe:
    """The steps; each returns what was wrong, or None."""

    def __init__(self, store: ObjectStore, key: str, clock: Clock, rng: random.Random) -> None:
        self._store = store
        self._key = key
        self._clock = clock
        self._rng = rng
        self._etag = ""
        self._sends = 0

    async def create(self) -> str | None:
        end = await self._put(FIRST)
        if isinstance(end, Taken):
            return "refused, though nothing was there"
        self._etag = end.info.etag
        return None if self._etag == md5_hex(FIRST) else f"etag {self._etag}, expected the MD5 {md5_hex(FIRST)}"

    async def read_back(self) -> str | None:
        found = await self._store.get(self._key)
        if found.body != FIRST:
            return "the body differs from what was written"
        return None if PUT_ID_KEY in found.info.metadata else "the metadata is missing"

    async def refuse_create(self) -> str | None:
        if isinstance(await self._put(INTRUDER), Settled):
            return "the store overwrote it: it ignores If-None-Match"
        return await self._unchanged(FIRST)

    async def update(self) -> str | None:
        end = await self._put(SECOND, match=self._etag)
        return "refused, though the etag was the current one" if isinstance(end, Taken) else None

    async def refuse_stale(self) -> str | None:
        if isinstance(await self._put(INTRUDER, match=self._etag), Settled):
            return "the store overwrote it: it ignores If-Match"
        return await self._unchanged(SECOND)

    async def list_it(self) -> str | None:
        page = await self._store.list(self._key)
        found = [info.etag for info in page.objects if info.key == self._key]
        return None if found == [md5_hex(SECOND)] else f"listed with etags {found}, expected {md5_hex(SECOND)}"

    async def delete_it(self) -> str | None:
        await self._store.delete(self._key)
        if isinstance(await self._put(INTRUDER, match=md5_hex(SECOND)), Settled):
            return "the store created it: it ignores If-Match for absent objects"
        try:
            await self._store.head(self._key)
        except ObjectNotFound:
            return None
        return "it is still there"

    async def clean_up(self) -> None:
        """Best effort; the next probe a day later removes what stays."""
        try:
            await self._store.delete(self._key)
        except StorageError:
            pass

    async def _put(self, body: bytes, *, match: str | None = None) -> Settled | Taken:
        """One conditional put, settled. The key is ours alone, so a first send that is refused needs no second look."""
        self._sends += 1
        put_id = f"probe-{self._sends}"
        condition: _Condition = {"if_match": match} if match else {"if_none_match": "*"}
        try:
            info = await self._store.put(self._key, body, metadata={PUT_ID_KEY: put_id}, **condition)
            return Settled(info, self._clock.now(), 0)
        except PreconditionFailed:
            return Taken(None)
        except Unavailable:
            return await put_settled(
                self._store,
                self._key,
                body,
                put_id=put_id,
                clock=self._clock,
                rng=self._rng,
                attempts_max=ATTEMPTS_MAX,
                **condition,
            )

    async def _unchanged(self, body: bytes) -> str | None:
        found = await self._store.get(self._key)
        return None if found.body == body else "it was refused, and the object changed all the same"


async def _remove_leftovers(store: ObjectStore, env: str) -> None:
    page = await store.list(probe_prefix(env), limit=LEFTOVERS_MAX)
    for info in page.objects:
        if page.store_time - info.modified_at > LEFTOVER_AGE_S:
            await store.delete(info.key)
