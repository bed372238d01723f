"""Records of users in the bucket, changed by compare-and-swap alone, and the switch that pauses every driver."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import msgspec

from migrate.parts import MigrationParts
from migrate.user_record import UserRecord, decode_record, encode_record
from storage.errors import CorruptObject, InvalidRequest, ObjectNotFound, Unavailable
from storage.layout.address import check_id
from storage.objects.settle import Settled, put_settled

CHANGE_ATTEMPTS_MAX = 10
SENDS_MAX = 6
JSON = "application/json"


def users_prefix(env: str) -> str:
    """Records of users; ends in `/`."""
    return f"{env}/migrations/users/"


def record_key(env: str, user: str) -> str:
    return f"{users_prefix(env)}{check_id(user, 'user')}.json"


def switch_key(env: str) -> str:
    return f"{env}/migrations/switch.json"


class Switch(msgspec.Struct, frozen=True):
    """`paused`: drivers finish the users they are at, and begin no other."""

    paused: bool = False
    by: str = ""
    at: float = 0.0


class RecordStore:
    """Of one environment."""

    def __init__(self, parts: MigrationParts) -> None:
        self._parts = parts

    async def read(self, user: str) -> UserRecord | None:
        """The user's record, or None when nobody ever moved them."""
        found = await self._find(user)
        return None if found is None else found[0]

    async def change(self, user: str, change: Callable[[UserRecord | None], UserRecord]) -> UserRecord:
        """Store what `change` makes of the newest record; it runs again while others are faster, and may refuse."""
        parts, key = self._parts, record_key(self._parts.env, user)
        for _ in range(CHANGE_ATTEMPTS_MAX):
            found = await self._find(user)
            before = None if found is None else found[0]
            after = change(before)
            if after is before:
                return after
            after = msgspec.structs.replace(
                after,
                run=parts.run,
                by=parts.by,
                at=parts.clock.wall(),
                revision=(before.revision if before else 0) + 1,
            )
            outcome = await put_settled(
                parts.store,
                key,
                encode_record(after),
                put_id=parts.new_id(),
                clock=parts.clock,
                rng=parts.rng,
                content_type=JSON,
                if_none_match="*" if found is None else None,
                if_match=None if found is None else found[1],
                attempts_max=SENDS_MAX,
            )
            if isinstance(outcome, Settled):
                return after
        raise Unavailable(f"{key}: changed {CHANGE_ATTEMPTS_MAX} times meanwhile", retry_after_s=1.0)

    async def users(self) -> AsyncIterator[str]:
        """Every user with a record, ascending."""
        prefix, start_after = users_prefix(self._parts.env), ""
        while True:
            page = await self._parts.store.list(prefix, start_after=start_after)
            for info in page.objects:
                name = info.key.removeprefix(prefix)
                try:
                    yield check_id(name.removesuffix(".json"), "user")
                except InvalidRequest:
                    continue  # not one of ours
            if page.next_start_after is None:
                return
            start_after = page.next_start_after

    async def switch(self) -> Switch:
        """Whether drivers are to pause."""
        key = switch_key(self._parts.env)
        try:
            found = await self._parts.store.get(key)
        except ObjectNotFound:
            return Switch()
        try:
            return msgspec.json.decode(found.body, type=Switch)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise CorruptObject(f"{key}: {error}") from error

    async def set_switch(self, *, paused: bool) -> Switch:
        """Pause every driver of this environment, or let them go on. The last word counts."""
        switch = Switch(paused, self._parts.by, self._parts.clock.wall())
        await self._parts.store.put(switch_key(self._parts.env), msgspec.json.encode(switch), content_type=JSON)
        return switch

    async def _find(self, user: str) -> tuple[UserRecord, str] | None:
        key = record_key(self._parts.env, user)
        try:
            stored = await self._parts.store.get(key)
        except ObjectNotFound:
            return None
        return decode_record(stored.body, key), stored.info.etag
