"""Old keys and links lead to where their object counts now, until the old layout is finalized.

    a key of the profiled layout           itself
    a flat key of a unit that has switched the new key
    an old key of a moved medium           the new key
    any other old key                      itself

Records are remembered for `ttl_s`, for a bounded number of units. A stale one leads to the copy on the other side,
which is still there: nothing is deleted before `finalize`.
A flat `database.sqlite` is not resolved: databases are reached by their operations, never as objects.
"""

from __future__ import annotations

from collections import OrderedDict

from storage.clock import Clock
from storage.errors import InvalidRequest, ObjectNotFound
from storage.layout.flat import FlatGame, FlatKey
from storage.layout.media_move import decode_media_move, media_moves_prefix
from storage.layout.move_record import GAMES_UNIT, RESOLVING, MoveRecord, decode_record, record_key, user_unit
from storage.layout.recognize import Layout, layout_of, parse_key
from storage.layout.relocation import is_database, is_document, new_key
from storage.objects.port import ObjectStore

RECORDS_MAX = 4096
RECORD_TTL_S = 30.0


class KeyResolver:
    """Of one environment's part of a bucket."""

    def __init__(self, store: ObjectStore, env: str, *, clock: Clock, ttl_s: float = RECORD_TTL_S) -> None:
        self._store = store
        self._env = env
        self._clock = clock
        self._ttl_s = ttl_s
        self._records: OrderedDict[str, tuple[float, MoveRecord | None]] = OrderedDict()

    async def resolve(self, key: str) -> str:
        """The key to use instead of `key`. Raises InvalidKey for what no layout has, and what the store raises."""
        if layout_of(key) is Layout.PROFILED:
            return key
        try:
            parsed = parse_key(key)
        except InvalidRequest:
            return await self._resolve_medium(key)
        if isinstance(parsed, FlatKey):
            found = await self._resolve_flat(parsed)
            if found is not None:
                return found
        return await self._resolve_medium(key)

    async def _resolve_flat(self, old: FlatKey) -> str | None:
        if is_database(old) or is_document(old):
            return None
        record = await self._record(GAMES_UNIT if isinstance(old, FlatGame) else user_unit(old.user))
        if record is None or record.state not in RESOLVING:
            return None
        return new_key(old, env=self._env, default_profile=record.profile)

    async def _resolve_medium(self, key: str) -> str:
        page = await self._store.list(media_moves_prefix(self._env, key), limit=1)
        if not page.objects:
            return key
        try:
            found = await self._store.get(page.objects[0].key)
        except ObjectNotFound:
            return key
        move = decode_media_move(found.body, found.info.key)
        return move.new if move.switched else key

    async def _record(self, unit: str) -> MoveRecord | None:
        known = self._records.get(unit)
        now = self._clock.now()
        if known is not None and now - known[0] < self._ttl_s:
            self._records.move_to_end(unit)
            return known[1]
        record = await self._read(unit)
        self._records[unit] = (now, record)
        while len(self._records) > RECORDS_MAX:
            self._records.popitem(last=False)
        return record

    async def _read(self, unit: str) -> MoveRecord | None:
        key = record_key(self._env, unit)
        try:
            return decode_record((await self._store.get(key)).body, key)
        except ObjectNotFound:
            return None
