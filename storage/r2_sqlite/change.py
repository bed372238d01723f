"""One change of a file's state, by compare-and-swap on the version that was read (rules 13, 15, 17 to 19).

The caller reads, decides, and calls this; when it says no, somebody else was faster, and the caller reads again. A body
may be given for the states that bring one: the export at the end of a rollback.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from storage.clock import Clock
from storage.objects.port import ObjectInfo, ObjectStore, StoredObject
from storage.objects.settle import PUT_ID_KEY, Settled, put_settled
from storage.r2_sqlite.file_state import (
    FileState,
    read_state,
    state_from_metadata,
    state_metadata,
    tombstone_body,
    with_state,
)
from storage.r2_sqlite.rules import FileRules
from storage.r2_sqlite.transition import Event, next_state

SENDS_MAX = 8
RULES = FileRules()


@dataclass(frozen=True, slots=True)
class Swapped:
    """A change that stands: the file's new state, and the object that says so."""

    state: FileState
    info: ObjectInfo


async def change_file(
    store: ObjectStore,
    found: StoredObject,
    event: Event,
    *,
    clock: Clock,
    rng: random.Random,
    body: bytes | None = None,
    rules: FileRules = RULES,
) -> FileState | None:
    """`swap_file`, for those who need the state alone."""
    swapped = await swap_file(store, found, event, clock=clock, rng=rng, body=body, rules=rules)
    return None if swapped is None else swapped.state


async def swap_file(
    store: ObjectStore,
    found: StoredObject,
    event: Event,
    *,
    clock: Clock,
    rng: random.Random,
    body: bytes | None = None,
    rules: FileRules = RULES,
) -> Swapped | None:
    """Bring the file from the version `found` to its next state; that, or None when it was changed meanwhile.

    `body` replaces the data; a tombstone does for FINALIZE. Raises WrongState, CorruptObject, Unavailable and
    OutcomeUnknown: then read again.
    """
    before = read_state(found.body)
    if not rules.seals_body:
        before = state_from_metadata(found.info.metadata) or before
    after = next_state(before, event, nonce=f"{rng.getrandbits(128):032x}")
    if not rules.keeps_ring:
        after = replace(after, ring=())
    if event is Event.FINALIZE and not rules.keeps_tombstone:
        await store.delete(found.info.key)
        return Swapped(after, found.info)
    content = tombstone_body(after) if event is Event.FINALIZE else with_state(body or found.body, after)
    if body is not None and not rules.fresh_nonce:
        content = body
    put_id = f"{rng.getrandbits(128):032x}"
    outcome = await put_settled(
        store,
        found.info.key,
        content if rules.seals_body else found.body,
        put_id=put_id,
        clock=clock,
        rng=rng,
        metadata={**state_metadata(after), PUT_ID_KEY: put_id},
        content_type=found.info.content_type,
        if_match=found.info.etag,
        attempts_max=SENDS_MAX,
    )
    return Swapped(after, outcome.info) if isinstance(outcome, Settled) else None
