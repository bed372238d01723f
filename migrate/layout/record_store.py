"""Records and inventories of layout moves in the bucket.

A record changes by compare-and-swap alone: whoever finds it changed starts its step again from the newer one. Two
drivers on one unit therefore agree on profile and state; everything they do inside a state may be done twice.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from migrate.layout.errors import WrongState
from migrate.layout.plan import Inventory
from storage.clock import Clock
from storage.errors import CorruptObject, ObjectNotFound, Unavailable
from storage.layout.move_record import (
    MoveRecord,
    MoveState,
    decode_record,
    encode_record,
    inventory_key,
    record_key,
)
from storage.objects.port import ObjectStore
from storage.objects.settle import Settled, Taken, put_settled

CHANGE_ATTEMPTS_MAX = 10
SENDS_MAX = 5
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Parts:
    """What every step of a layout move works with. `run` names the run in records, `by` who started it."""

    store: ObjectStore
    env: str
    clock: Clock
    rng: random.Random
    random_bytes: Callable[[int], bytes]
    run: str
    by: str = ""

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        if_none_match: Literal["*"] | None = None,
        if_match: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Settled | Taken:
        """A conditional put carried to its end."""
        return await put_settled(
            self.store,
            key,
            body,
            put_id=self.random_bytes(16).hex(),
            clock=self.clock,
            rng=self.rng,
            metadata=metadata,
            content_type=JSON if key.endswith(".json") else None,
            if_none_match=if_none_match,
            if_match=if_match,
            attempts_max=SENDS_MAX,
        )


class RecordStore:
    """Of one environment."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def read(self, unit: str, *, env: str | None = None) -> MoveRecord | None:
        """The unit's record, or None when it never moved."""
        found = await self._get(record_key(env or self._parts.env, unit))
        return None if found is None else found[0]

    async def change(self, unit: str, change: Callable[[MoveRecord | None], MoveRecord]) -> MoveRecord:
        """Put what `change` makes of the newest record; it runs again when somebody was faster, and may refuse."""
        key = record_key(self._parts.env, unit)
        for _ in range(CHANGE_ATTEMPTS_MAX):
            found = await self._get(key)
            record = change(found[0] if found else None)
            if found is not None and record == found[0]:
                return record
            body = encode_record(record)
            if found is None:
                end = await self._parts.put(key, body, if_none_match="*")
            else:
                end = await self._parts.put(key, body, if_match=found[1])
            if isinstance(end, Settled):
                return record
        raise Unavailable(f"{key}: changed {CHANGE_ATTEMPTS_MAX} times meanwhile", retry_after_s=1)

    async def advance(self, unit: str, expected: MoveState, state: MoveState, **changes: object) -> MoveRecord:
        """From one state to another. WrongState when another driver was there first; `state` itself is fine."""

        def change(record: MoveRecord | None) -> MoveRecord:
            if record is not None and record.state is state and state is not expected:
                return record
            if record is None or record.state is not expected:
                found = "nothing" if record is None else record.state.value
                raise WrongState(f"{unit}: expected it to be {expected.value}, found {found}: another run is at work")
            return record.moved_to(state, **changes)

        return await self.change(unit, change)

    async def inventory(self, unit: str) -> Inventory:
        key = inventory_key(self._parts.env, unit)
        try:
            body = (await self._parts.store.get(key)).body
        except ObjectNotFound:
            return Inventory()
        try:
            return Inventory(msgspec.json.decode(body, type=dict[str, tuple[str, ...]]))
        except msgspec.MsgspecError as error:
            raise CorruptObject(f"{key}: {error}") from error

    async def keep_inventory(self, unit: str, inventory: Inventory) -> None:
        """The last to write wins: an inventory that is behind stops a finalize, and the next run renews it."""
        body = msgspec.json.encode(inventory.etags)
        await self._parts.store.put(inventory_key(self._parts.env, unit), body, content_type=JSON)

    async def _get(self, key: str) -> tuple[MoveRecord, str] | None:
        try:
            stored = await self._parts.store.get(key)
        except ObjectNotFound:
            return None
        return decode_record(stored.body, key), stored.info.etag
