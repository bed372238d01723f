"""A journal without an owner process (rule 6): what a killed host left on this machine goes into the log, or, where
somebody else has opened meanwhile, into `log/orphans/`, reported and kept.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass

from actors.database.image import CommitPages
from actors.durability.commit import Commit, merge_commits
from actors.durability.disk import Disk
from actors.durability.journal import JournalContents, file_names, read_journal
from actors.durability.journal_record import encode_record
from actors.durability.parts import Parts
from actors.durability.recovery import recover
from actors.errors import Moved
from storage.errors import PreconditionFailed
from storage.layout.address import Address
from storage.layout.keys import orphan_prefix
from storage.log.actor_log import ActorLog, draft_slot
from storage.log.claim import JournalFate, decide_journal
from storage.log.record import Kind, LogState, Record
from storage.log.segment import Segment
from storage.objects.settle import Settled

logger = logging.getLogger(__name__)
JOURNALS = "journals/"
ATTEMPTS_MAX = 10


def journal_name(address: Address) -> str:
    """Where an address's journal lies on its machine's disk."""
    return f"{JOURNALS}{address.user}/{address.profile}"


def lock_name(address: Address) -> str:
    """Rule 2: the lock of an address."""
    return f"{JOURNALS}{address.user}/{address.profile}.lock"


def addresses_with_journals(disk: Disk) -> list[Address]:
    """Every address that has a journal file here."""
    found = set()
    for name in disk.list(JOURNALS):
        if name.endswith(".journal"):
            user, _, file_name = name.removeprefix(JOURNALS).partition("/")
            found.add(Address(user, file_name.rsplit(".", 2)[0]))
    return sorted(found)


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of one journal."""

    address: Address
    fate: JournalFate
    commits: int


async def settle_journal(parts: Parts, address: Address) -> Settlement:
    """Rule 6 for one address. Raises AddressLocked where an owner process lives."""
    lock = parts.disk.lock(lock_name(address))
    try:
        name = journal_name(address)
        contents = read_journal(parts.disk, name)
        if contents is None:
            parts.disk.delete(file_names(name))
            return Settlement(address, JournalFate.EMPTY, 0)
        log = ActorLog(parts.store, parts.env, address, parts.clock, parts.rng)
        for _ in range(ATTEMPTS_MAX):
            settlement = await _settle(parts, log, contents)
            if settlement is not None:
                parts.disk.delete(file_names(name))
                return settlement
        return Settlement(address, JournalFate.HAND_OVER, 0)
    finally:
        lock.release()


async def _settle(parts: Parts, log: ActorLog, contents: JournalContents) -> Settlement | None:
    """One list and one write; None: somebody else wrote the slot, list again."""
    recovered = await recover(log, await log.listing())
    fate = decide_journal(recovered.state, contents.view, parts.rules.claim)
    if fate is JournalFate.ORPHAN:
        await keep_orphan(parts, log, contents)
        return Settlement(log.address, fate, 0)
    if fate is JournalFate.HAND_OVER and _gives_way(parts, recovered.state):
        raise Moved(f"journal of {log.address}: gives way")
    records = contents.above(recovered.state.last_commit) if fate is JournalFate.HAND_OVER else ()
    if not records:
        return Settlement(log.address, JournalFate.COVERED, 0)
    commits = [Commit(record.number, record.pages, 0.0) for record in records]
    if await _hand_over(parts, log, recovered.state, commits):
        return Settlement(log.address, fate, len(records))
    return None


def _gives_way(parts: Parts, state: LogState) -> bool:
    """Never. (The mutants of findings 2 and 5: nobody hands over; a claim is enough to give way.)"""
    rules = parts.rules
    return not rules.hands_over_when_fenced or (not rules.claim.holder_never_gives_way and state.claimed > 0)


async def _hand_over(parts: Parts, log: ActorLog, state: LogState, commits: list[Commit]) -> bool:
    assert state.open is not None
    pages: CommitPages = merge_commits(commits)
    record = Record(
        kind=Kind.HANDOVER,
        epoch=state.open.epoch,
        claim_id=state.open.claim_id,
        put_id=parts.new_id(),
        machine_id=parts.disk.machine_id,
        ttl_s=state.open.ttl_s,
        gen=state.gen,
        commits=(commits[0].number, commits[-1].number),
        base=state.last_commit,
    )
    slot = state.last_slot + 1
    segment = Segment(
        first=slot,
        last=slot,
        page_size=len(pages.pages[0][1]),
        page_count=pages.page_count,
        pages=pages.pages,
        node_id=record.epoch,
        timestamp_ms=int(parts.clock.wall() * 1000),
    )
    return isinstance(await log.put(draft_slot(slot, record, segment)), Settled)


async def keep_orphan(parts: Parts, log: ActorLog, contents: JournalContents) -> None:
    """Copy a journal that a takeover cut off to the bucket and, where it has room, aside on this disk; and say so."""
    body = b"".join(encode_record(record) for record in contents.records)
    key = f"{orphan_prefix(parts.env, log.address)}{contents.claim_id}"
    view = contents.view
    try:
        await parts.store.put(f"{key}.journal", body, if_none_match="*")
    except PreconditionFailed:
        pass
    report = {
        "address": str(log.address),
        "claim_id": contents.claim_id,
        "epoch": contents.epoch,
        "commits": [view.first_commit, view.last_commit],
    }
    await parts.store.put(f"{key}.json", json.dumps(report).encode(), content_type="application/json")
    try:
        _keep_aside(parts.disk, f"orphans/{log.address}.{contents.claim_id}", body)
    except OSError as error:
        logger.warning("orphan only in the bucket: %s", error, extra={"address": str(log.address)})
    parts.counters.orphans += 1
    logger.error("journal orphaned: another machine took the actor over without it", extra=report)


def _keep_aside(disk: Disk, name: str, body: bytes) -> None:
    kept = disk.open(name)
    try:
        kept.write(0, body)
        kept.sync()
    finally:
        kept.close()
