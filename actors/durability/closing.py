"""Deleting an address (rule 21): CLOSE at the end of its log, and a tombstone in the place of its file. Slots and
tombstone stay for the retention time, because a put-if-absent forgets slots that are gone.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import replace

from actors.durability.recovery import Recovered, recover
from storage.clock import Clock
from storage.errors import ObjectNotFound, Unavailable
from storage.layout.address import Address
from storage.layout.keys import database_key
from storage.log.actor_log import ActorLog, draft_mark
from storage.log.record import Kind, Record
from storage.objects.port import ObjectStore
from storage.objects.settle import PUT_ID_KEY, Settled, put_settled
from storage.r2_sqlite.file_state import read_state, state_metadata, tombstone_body

ATTEMPTS_MAX = 10


async def close_address(
    store: ObjectStore,
    env: str,
    address: Address,
    *,
    clock: Clock,
    rng: random.Random,
    release: Callable[[Address], Awaitable[None]],
) -> bool:
    """Close the log and leave a tombstone. False: the address was never in actor mode, nothing was written.

    `release` asks the owner to end; CLOSE is written only when nobody owns the log. Done again it changes nothing.
    """
    log = ActorLog(store, env, address, clock, rng)
    for _ in range(ATTEMPTS_MAX):
        recovered = await recover(log, await log.listing())
        state = recovered.state
        if state.life is None:
            return False
        if state.life is Kind.CLOSE:
            await _leave_tombstone(store, database_key(env, address), clock, rng)
            return True
        if state.open is not None and not state.open.closed:
            await release(address)
        else:
            await _put_close(log, recovered, clock, rng)
    raise Unavailable(f"actor {address}: others wrote to its log {ATTEMPTS_MAX} times in a row", retry_after_s=1.0)


async def _put_close(log: ActorLog, recovered: Recovered, clock: Clock, rng: random.Random) -> None:
    assert recovered.image is not None
    state = recovered.state
    slot = state.last_slot + 1
    record = Record(
        kind=Kind.CLOSE,
        epoch=state.epoch_max + 1,
        claim_id=_random_id(rng),
        put_id=_random_id(rng),
        machine_id="-",  # nobody holds a journal of it
        ttl_s=0.0,
        gen=state.gen,
        base=state.last_commit,
    )
    image, timestamp_ms = recovered.image, int(clock.wall() * 1000)
    await log.put(
        draft_mark(slot, record, page_size=image.page_size, page_count=image.page_count, timestamp_ms=timestamp_ms)
    )


async def _leave_tombstone(store: ObjectStore, key: str, clock: Clock, rng: random.Random) -> None:
    """Replace the file's body by a tombstone of the same state, unless it is one already or there is no file."""
    while True:
        try:
            found = await store.get(key)
        except ObjectNotFound:
            return
        state = read_state(found.body)
        if found.body == tombstone_body(state):
            return
        state = replace(state, nonce=_random_id(rng))
        put_id = _random_id(rng)
        outcome = await put_settled(
            store,
            key,
            tombstone_body(state),
            put_id=put_id,
            clock=clock,
            rng=rng,
            metadata={**state_metadata(state), PUT_ID_KEY: put_id},
            if_match=found.info.etag,
        )
        if isinstance(outcome, Settled):
            return


def _random_id(rng: random.Random) -> str:
    return f"{rng.getrandbits(128):032x}"
