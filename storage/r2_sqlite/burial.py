"""Deleting an address that is in r2 mode (rule 21): its data goes at once, a tombstone stays in the file's place.

The tombstone says `actor`, of a generation that no log has an import of, so neither a gateway that still knows the
address nor an activation begins anything new there.
"""

from __future__ import annotations

import random

from storage.clock import Clock
from storage.errors import ObjectNotFound, Unavailable
from storage.objects.port import ObjectStore
from storage.objects.settle import PUT_ID_KEY, Settled, put_settled
from storage.r2_sqlite.errors import ChangingModes
from storage.r2_sqlite.file_state import FileState, Mode, read_state, state_metadata, tombstone_body

ATTEMPTS_MAX = 10
SENDS_MAX = 8
# Generation 1 without a log is how a new address begins (rule 22).
GENERATION_MIN = 2


async def bury_file(store: ObjectStore, key: str, *, clock: Clock, rng: random.Random) -> bool:
    """Replace an open file by a tombstone; whether there was one. Raises ChangingModes for one under migration."""
    for _ in range(ATTEMPTS_MAX):
        try:
            found = await store.get(key)
        except ObjectNotFound:
            return False
        before = read_state(found.body)
        if before.state is Mode.ACTOR:
            return False
        if before.state is not Mode.OPEN:
            raise ChangingModes(f"{key}: {before.state.value}, deleted when that is over", retry_after_s=1.0)
        put_id = f"{rng.getrandbits(128):032x}"
        nonce = f"{rng.getrandbits(128):032x}"
        after = FileState(Mode.ACTOR, max(before.gen + 1, GENERATION_MIN), nonce, before.ring)
        outcome = await put_settled(
            store,
            key,
            tombstone_body(after),
            put_id=put_id,
            clock=clock,
            rng=rng,
            metadata={**state_metadata(after), PUT_ID_KEY: put_id},
            if_match=found.info.etag,
            attempts_max=SENDS_MAX,
        )
        if isinstance(outcome, Settled):
            return True
    raise Unavailable(f"{key}: saved {ATTEMPTS_MAX} times meanwhile", retry_after_s=1.0)
