"""The recovery-only activation (rule 18): claim, with the journal where it lies here, and release; nothing is served.

An address whose file is `returning` has no owner any more that anybody may ask. What a dead owner left in its journal
has to get into the log all the same, and its epoch has to be closed, or the rollback would wait for ever (finding 30).
"""

from __future__ import annotations

from actors.database.image import PageImage
from actors.durability.opening import Opened, open_ownership
from actors.durability.parts import Parts
from storage.layout.address import Address
from storage.log.actor_log import draft_mark
from storage.log.record import Kind, Record

RELEASE_SENDS_MAX = 3


async def drain_address(parts: Parts, address: Address, template: PageImage) -> None:
    """Bring a dead owner's journal into the log and close its epoch. `template` is of no use to a log that has begun.

    Returns when RELEASE was sent; whether it stands is for the next look to say. Raises AddressLocked where an owner
    process lives, NotInActorMode where the file is not `returning`, and what claims raise.
    """
    opened = await open_ownership(parts, address, template, draining=True)
    try:
        await _release(parts, opened)
    finally:
        opened.lock.release()


async def _release(parts: Parts, opened: Opened) -> None:
    claimed = opened.claimed
    state = claimed.recovered.state
    slot = state.last_slot + 1
    record = Record(
        kind=Kind.RELEASE,
        epoch=claimed.epoch,
        claim_id=claimed.claim_id,
        put_id=parts.new_id(),
        machine_id=parts.disk.machine_id,
        ttl_s=parts.settings.ttl_s,
        gen=claimed.gen,
        base=state.last_commit,
    )
    image, timestamp_ms = claimed.image, int(parts.clock.wall() * 1000)
    draft = draft_mark(slot, record, page_size=image.page_size, page_count=image.page_count, timestamp_ms=timestamp_ms)
    await opened.log.put(draft, attempts_max=RELEASE_SENDS_MAX)
