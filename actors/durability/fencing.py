"""What a fenced owner still does (rule 7e): close the gate for good, then hand its unflushed commits over in the log,
behind claims that have not opened. Where somebody has opened already, the journal stays for rule 6.
"""

from __future__ import annotations

from actors.durability.flusher import Flusher
from actors.durability.gate import OutputGate
from actors.durability.ownership import Ownership
from actors.errors import Moved
from storage.log.actor_log import ActorLog, draft_slot
from storage.log.claim import FencedStep, decide_fenced
from storage.log.record import Kind
from storage.objects.settle import Settled


async def hand_over(
    log: ActorLog, ownership: Ownership, flusher: Flusher, gate: OutputGate, *, page_count: int, enabled: bool
) -> bool:
    """Close the gate and write the HANDOVER, or a RELEASE where nothing is unflushed. True: everything is in the log.

    `page_count` is the database's size in pages, for a record without pages.
    """
    ownership.fenced = True
    gate.close(Moved(f"actor {log.address}: another owner claimed it"))
    async with ownership.lane:
        entries = await log.read_from(ownership.next_slot)
        while enabled and decide_fenced([entry.record for entry in entries]) is FencedStep.HAND_OVER:
            slot = ownership.next_slot + len(entries)
            if flusher.commits:
                draft = await flusher.draft(Kind.HANDOVER, slot)
            else:
                draft = draft_slot(
                    slot, flusher.record(Kind.RELEASE, None), flusher.segment(slot, flusher.no_pages(page_count))
                )
            outcome = await log.put(draft)
            if isinstance(outcome, Settled):
                if not await ownership.confirm(outcome.first_sent_at, slot):
                    return False  # it landed in collected ground (rule 7c)
                if draft.record.commits is not None:
                    for entry in entries:
                        ownership.state = ownership.state.advance(entry.record)
                    flusher.settled(draft.record, len(draft.body))
                gate.release_settled()
                return True
            entries += await log.read_from(slot)
    return False
