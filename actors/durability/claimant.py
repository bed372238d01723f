"""From "somebody should own this actor" to an ownership: list, recover, claim, wait where needed, open (rules 3 to 5,
10, 22). Carries out what storage.log.claim decides. The caller holds the address's lock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from actors.database.image import CommitPages, PageImage
from actors.durability.commit import Commit, merge_commits
from actors.durability.file_check import check_file, create_tombstone
from actors.durability.journal import JournalContents
from actors.durability.parts import Parts
from actors.durability.recovery import Recovered, apply_pages, recover
from actors.errors import Moved, NotInActorMode
from storage.errors import CorruptSegment, Unavailable
from storage.log.actor_log import ActorLog, Draft, Entry, draft_slot
from storage.log.claim import (
    AfterConflict,
    ClaimAndWait,
    OpenStep,
    Take,
    decide_after_claim_conflict,
    decide_claim,
    decide_on_next_slot,
    refuse_claim,
    wait_seconds,
)
from storage.log.record import Kind, Record
from storage.log.segment import Segment
from storage.objects.settle import Settled, Taken
from storage.r2_sqlite.file_state import Mode

ATTEMPTS_MAX = 20
LOOK_EVERY_S = 1.0
BACKOFF_S = 0.2


@dataclass(frozen=True, slots=True)
class Claimed:
    """An ownership that may serve. `confirmed_at`: first send of the TAKE or OPEN (rule 7a). `carried`: the journal on
    this disk was the open epoch's, and what it held above the log went along. `unclosed`: machine of the predecessor
    that had not closed its epoch when we listed."""

    recovered: Recovered
    image: PageImage
    epoch: int
    claim_id: str
    gen: int
    confirmed_at: float
    carried: bool = False
    unclosed: str | None = None


class _Again(Exception):
    """Somebody else wrote the slot: list again and decide afresh."""


class Claimant:
    """One attempt after the other to own one address. `draining`: only to recover and release (rule 18)."""

    def __init__(
        self,
        parts: Parts,
        log: ActorLog,
        journal: JournalContents | None,
        template: PageImage,
        *,
        draining: bool = False,
    ) -> None:
        self._parts = parts
        self._log = log
        self._journal = journal
        self._template = template
        self._draining = draining
        self._rules = parts.rules

    async def claim(self) -> Claimed:
        """The ownership. Raises Moved (another claimant goes ahead), InR2Mode, NotInActorMode, CorruptSegment, LogGap,
        Unavailable."""
        for attempt in range(ATTEMPTS_MAX):
            try:
                return await self._attempt()
            except _Again:
                await self._parts.clock.sleep(BACKOFF_S * attempt * (0.5 + self._parts.rng.random()))
        raise Unavailable(f"actor {self._log.address}: {ATTEMPTS_MAX} claims in a row met another's", retry_after_s=1.0)

    async def _attempt(self) -> Claimed:
        file = await check_file(self._parts, self._log.address)
        recovered = await recover(self._log, await self._log.listing(trusts_hint=not self._rules.distrusts_hint))
        if file is None and recovered.state.last_slot:
            file = await check_file(self._parts, self._log.address)  # both may have come between the two reads
            if file is None:
                raise NotInActorMode(f"actor {self._log.address}: its log exists, its database.sqlite is missing")
        if file is None and self._draining:
            raise NotInActorMode(f"actor {self._log.address}: nothing to recover, it never was")
        if file is None:
            file = await create_tombstone(self._parts, self._log.address)
        if recovered.state.life is None and (file.state, file.gen) == (Mode.ACTOR, 1) and not self._draining:
            recovered = await self._import_new(recovered, file.gen)
        refusal = refuse_claim(
            recovered.state,
            file_state=file.state,
            file_gen=file.gen,
            draining=self._draining,
            rules=self._rules.claim,
        )
        if refusal is not None:
            details = {"reason": refusal.code, "file_state": file.state.value}
            raise NotInActorMode(f"actor {self._log.address}: {refusal.reason}", details=details)
        decision = decide_claim(
            recovered.state,
            machine_id=self._parts.disk.machine_id,
            journal=self._journal.view if self._journal else None,
            single_machine=self._parts.settings.ownership == "single_machine",
            rules=self._rules.claim,
        )
        before = recovered.state.open
        if isinstance(decision, Take):
            claimed = await self._take(recovered, decision)
        else:
            claimed = await self._claim_and_wait(recovered, decision)
        return replace(claimed, unclosed=before.machine_id if before and not before.closed else None)

    # ---- rule 22

    async def _import_new(self, recovered: Recovered, gen: int) -> Recovered:
        """The first life of a new address: the schema's pages in the next slot."""
        slot = recovered.state.last_slot + 1
        image = self._template.copy()
        pages = tuple(enumerate(image.pages, start=1))
        record = self._record(Kind.IMPORT, recovered.state.epoch_max + 1, self._parts.new_id(), gen, base=0)
        record = replace(record, commits=(recovered.state.last_commit + 1,) * 2)
        draft = self._draft(slot, record, CommitPages(image.page_count, pages), image.page_size)
        settled = await self._put(draft)
        if settled is None:
            raise _Again
        await self._check_ground(recovered, slot)
        return replace(
            recovered,
            image=image,
            state=recovered.state.advance(record),
            tail_bytes=len(draft.body),
            tail_slots=1,
            base_ms=int(self._parts.clock.wall() * 1000),
        )

    # ---- rule 4

    async def _take(self, recovered: Recovered, decision: Take) -> Claimed:
        image = self._image(recovered)
        state = recovered.state
        carried = self._journal_above(state.last_commit) if decision.carry_journal else ()
        pages = merge_commits(carried) if carried else CommitPages(image.page_count, ())
        claim_id = self._parts.new_id()
        record = self._record(Kind.TAKE, decision.epoch, claim_id, state.gen, base=state.last_commit)
        if carried:
            record = replace(record, commits=(carried[0].number, carried[-1].number), base=carried[-1].number)
            apply_pages(image, image.page_size, pages)
        draft = self._draft(state.last_slot + 1, record, pages, image.page_size)
        sent = await self._put_claim(draft, recovered)
        await self._check_ground(recovered, draft.slot)
        after = replace(recovered, state=state.advance(record), tail_bytes=recovered.tail_bytes + len(draft.body))
        return Claimed(after, image, decision.epoch, claim_id, state.gen, sent, carried=decision.carry_journal)

    # ---- rules 4 and 5

    async def _claim_and_wait(self, recovered: Recovered, decision: ClaimAndWait) -> Claimed:
        image = self._image(recovered)
        claim_id = self._parts.new_id()
        state = recovered.state
        if state.claimed:
            # Somebody waits already; claims that chase each other would keep everybody from opening.
            await self._parts.clock.sleep(self._parts.settings.grace_s * self._parts.rng.random())
        record = self._record(Kind.CLAIM, decision.epoch, claim_id, state.gen, base=0)
        draft = self._draft(state.last_slot + 1, record, CommitPages(image.page_count, ()), image.page_size)
        await self._put_claim(draft, recovered)
        taken_in = self._parts.clock.now()
        await self._check_ground(recovered, draft.slot)
        recovered = replace(recovered, state=state.advance(record))
        recovered, closed = await self._wait(recovered, decision, taken_in)
        if closed and not self._rules.opens_after_handover:
            return Claimed(recovered, self._image(recovered), decision.epoch, claim_id, state.gen, taken_in)
        return await self._open(recovered, decision, claim_id, closed=closed)

    async def _wait(self, recovered: Recovered, decision: ClaimAndWait, since: float) -> tuple[Recovered, bool]:
        """Rule 5: W seconds, or until the predecessor has closed its epoch (then True)."""
        clock, settings = self._parts.clock, self._parts.settings
        predecessor = decision.predecessor
        if not self._rules.waits_predecessors_ttl:
            predecessor = replace(predecessor, ttl_s=settings.ttl_s)
        wait_s = wait_seconds(predecessor, grace_s=settings.grace_s, takeover_after_s=settings.takeover_after_s)
        if not self._rules.dead_needs_lock:
            wait_s = 0.0
        while (left := since + wait_s - clock.now()) > 0:
            await clock.sleep(min(LOOK_EVERY_S, left))
            try:
                entry = await self._log.read_if_present(recovered.state.last_slot + 1)
            except Unavailable:
                continue
            if entry is not None:
                return await self._apply_closing(recovered, decision, entry), True
        return recovered, False

    async def _open(self, recovered: Recovered, decision: ClaimAndWait, claim_id: str, *, closed: bool) -> Claimed:
        while True:
            state = recovered.state
            image = self._image(recovered)
            record = self._record(Kind.OPEN, decision.epoch, claim_id, state.gen, base=state.last_commit)
            draft = self._draft(state.last_slot + 1, record, CommitPages(image.page_count, ()), image.page_size)
            settled = await self._put(draft)
            if settled is not None:
                await self._check_ground(recovered, draft.slot)
                after = replace(recovered, state=state.advance(record))
                return Claimed(after, image, decision.epoch, claim_id, state.gen, settled)
            if closed:
                raise Moved(f"actor {self._log.address}: another claimant opened first")
            entry = await self._log.read(draft.slot)
            recovered, closed = await self._apply_closing(recovered, decision, entry), True

    async def _apply_closing(self, recovered: Recovered, decision: ClaimAndWait, entry: Entry) -> Recovered:
        if decide_on_next_slot(decision.predecessor, entry.record) is OpenStep.END:
            raise Moved(
                f"actor {self._log.address}: slot {entry.slot} is epoch {entry.record.epoch}'s {entry.record.kind}"
            )
        return recovered.with_entry(entry)

    # ---- writing

    async def _put_claim(self, draft: Draft, recovered: Recovered) -> float:
        """Put a TAKE or CLAIM; its first send. On 412 list again or give way."""
        sent = await self._put(draft)
        if sent is not None:
            return sent
        found = await self._log.read(draft.slot)
        fate = decide_after_claim_conflict(
            found.record,
            own_epoch=draft.record.epoch,
            state=recovered.state,
            journal=self._journal.view if self._journal else None,
            rules=self._rules.claim,
        )
        if fate is AfterConflict.GIVE_WAY:
            raise Moved(f"actor {self._log.address}: gives way to epoch {found.record.epoch}'s {found.record.kind}")
        raise _Again

    async def _put(self, draft: Draft) -> float | None:
        """First send of a settled PUT, None where the slot is somebody else's."""
        outcome: Settled | Taken = await self._log.put(draft)
        return outcome.first_sent_at if isinstance(outcome, Settled) else None

    async def _check_ground(self, recovered: Recovered, slot: int) -> None:
        """Rule 10: what landed long after its list may stand on collected ground (finding 18); an OPEN after a long
        wait as much as a claim."""
        parts = self._parts
        if (
            parts.clock.now() - recovered.listed_at <= parts.settings.relist_after_s
            or not self._rules.relists_after_claim
        ):
            return
        if await self._log.newest_snapshot() > recovered.snapshot_slot:
            raise _Again

    def _record(self, kind: Kind, epoch: int, claim_id: str, gen: int, *, base: int) -> Record:
        return Record(
            kind=kind,
            epoch=epoch,
            claim_id=claim_id,
            put_id=self._parts.new_id(),
            machine_id=self._parts.disk.machine_id,
            ttl_s=self._parts.settings.ttl_s,
            gen=gen,
            base=base,
        )

    def _draft(self, slot: int, record: Record, pages: CommitPages, page_size: int) -> Draft:
        segment = Segment(
            first=slot,
            last=slot,
            page_size=page_size,
            page_count=pages.page_count,
            pages=pages.pages,
            node_id=record.epoch,
            timestamp_ms=int(self._parts.clock.wall() * 1000),
        )
        return draft_slot(slot, record, segment)

    def _journal_above(self, commit: int) -> tuple[Commit, ...]:
        assert self._journal is not None
        now = self._parts.clock.now()
        records = self._journal.above(commit) if self._rules.replays_only_above_log else self._journal.records
        return tuple(Commit(record.number, record.pages, now) for record in records)

    def _image(self, recovered: Recovered) -> PageImage:
        if recovered.image is None:
            raise CorruptSegment(f"log of {self._log.address}: {recovered.state.last_slot} slots hold no pages")
        return recovered.image
