"""What must hold of every history, as functions that return what they found wrong. Pure.

`local` is promised with one exemption: where another machine took over an epoch that had not closed, after its whole
wait, while the owner's machine was hindered for about that long, the unflushed writes of that epoch may be lost, at
most flush_interval_s + ttl_s of them, and are kept as an orphan (docs/protocol.md, "the promise").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from actors.call import Durability
from storage.log.record import OPENED, Kind, OpenEpoch
from tests.simulation.history import RANK, History, Landed, Outcome, Reply, Write

DRIFT = 1.01
SLACK_S = 6.0


@dataclass(frozen=True, slots=True)
class Takeover:
    """An epoch opened on another machine although its predecessor had not closed."""

    address: str
    at: float
    epoch: int
    base: int
    predecessor: OpenEpoch
    excused: bool


def takeovers(history: History, address: str) -> list[Takeover]:
    """Every takeover over an unclosed epoch, with whether it was the owner's machine that made it inevitable."""
    found: list[Takeover] = []
    open_epoch: OpenEpoch | None = None
    claimed: dict[str, float] = {}
    for landed in history.slots(address):
        record = landed.record
        if record.kind is Kind.CLAIM:
            claimed[record.claim_id] = landed.at
        elif record.kind in (Kind.IMPORT, Kind.CLOSE):
            open_epoch = None
        elif record.kind in OPENED:
            if _cuts_off(open_epoch, landed):
                assert open_epoch is not None
                excused = _excused(history, open_epoch, claimed.get(record.claim_id), landed.at)
                found.append(Takeover(address, landed.at, record.epoch, record.base, open_epoch, excused))
            open_epoch = OpenEpoch(record.epoch, record.claim_id, record.machine_id, record.ttl_s)
        elif open_epoch is not None and open_epoch.claim_id == record.claim_id:
            open_epoch = OpenEpoch(open_epoch.epoch, open_epoch.claim_id, open_epoch.machine_id, open_epoch.ttl_s, True)
    return found


def _cuts_off(before: OpenEpoch | None, landed: Landed) -> bool:
    record = landed.record
    if before is None or before.closed or before.claim_id == record.claim_id:
        return False
    return before.machine_id != record.machine_id


def _excused(history: History, before: OpenEpoch, claimed_at: float | None, opened_at: float) -> bool:
    if any(lost.machine == before.machine_id and lost.at <= opened_at for lost in history.lost_machines):
        return claimed_at is not None
    if claimed_at is None:
        return False
    wait_s = 1.01 * before.ttl_s + history.grace_s
    if (opened_at - claimed_at) * DRIFT < wait_s:
        return False
    return history.hindered_s(before.machine_id, claimed_at, opened_at) > wait_s - history.flush_interval_s - SLACK_S


def lost_to(history: History, takeover: Takeover) -> list[Write]:
    """Writes acknowledged at `local` that this takeover cut off."""
    return [
        write
        for write in _acknowledged(history, takeover.address)
        if write.reply is not None
        and write.level is Durability.LOCAL
        and write.reply.epoch == takeover.predecessor.epoch
        and write.reply.commit > takeover.base
        and write.reply.replied_at <= takeover.at
    ]


def _acknowledged(history: History, address: str) -> list[Write]:
    return [
        write
        for write in history.writes
        if write.address == address and write.outcome is Outcome.OK and write.level is not Durability.MEMORY
    ]


def exempt(history: History, address: str) -> dict[int, float]:
    """Writes that may be missing, each with the time from when on: shown before an excused takeover, above its base,
    and never at `r2`."""
    found: dict[int, float] = {}
    replies = [reply for reply in history.replies if reply.address == address]
    for takeover in takeovers(history, address):
        if not takeover.excused:
            continue
        lowest: dict[int, int] = {}
        for reply in replies:
            if reply.epoch == takeover.predecessor.epoch and reply.replied_at <= takeover.at:
                commit = -1 if reply.level is Durability.R2 else reply.commit
                for number in reply.seen:
                    lowest[number] = min(lowest.get(number, commit), commit)
        for number, commit in lowest.items():
            if commit > takeover.base:
                found.setdefault(number, takeover.at)
    return found


# ---- the invariants


def acknowledged_writes_survive(history: History) -> list[str]:
    """Every write acknowledged at `local` or `r2` is there at the end, for an owner and in the bucket alone."""
    found = []
    for address, final in history.final.items():
        excused = exempt(history, address)
        for write in _acknowledged(history, address):
            if write.number in excused:
                continue
            if write.number not in final.rows or write.number not in final.bucket_rows:
                found.append(f"LOST: write {write.number} of {address}, acknowledged at {write.level}")
    return found


def loss_is_bounded_and_kept(history: History) -> list[str]:
    """What a takeover cut off spans at most flush_interval_s + ttl_s, and is in `orphans/` unless its disk is gone."""
    found = []
    bound_s = (history.flush_interval_s + history.ttl_s) * DRIFT
    gone = {lost.machine for lost in history.lost_machines}
    for address, final in history.final.items():
        for takeover in takeovers(history, address):
            replies = [write.reply for write in lost_to(history, takeover) if write.reply is not None]
            times = [reply.replied_at for reply in replies]
            if not times:
                continue
            if max(times) - min(times) > bound_s:
                found.append(f"LOST TOO MUCH: {max(times) - min(times):.1f} s of {address}, at most {bound_s:.1f} s")
            before = takeover.predecessor
            kept = final.orphans.get(before.claim_id, frozenset())
            missing = sorted({reply.commit for reply in replies} - kept)
            if before.machine_id not in gone and missing:
                found.append(f"ORPHAN MISSING: epoch {before.epoch} of {address}, commits {missing}")
    return found


def replies_never_go_backwards(history: History) -> list[str]:
    """A request sent after an answer was there sees what that answer showed, at its level."""
    found = []
    for address in sorted({reply.address for reply in history.replies}):
        excused = exempt(history, address)
        shown = _shown(reply for reply in history.replies if reply.address == address)
        for reply in history.replies:
            if reply.address != address or reply.write is not None:
                continue
            for number, (at, memory_epoch) in shown.items():
                if at >= reply.sent_at or number in reply.seen or excused.get(number, 1e18) <= reply.replied_at:
                    continue
                if memory_epoch is None or memory_epoch == reply.epoch:
                    found.append(f"STALE: a read of {address} sent at {reply.sent_at:.3f} misses write {number}")
    return found


def _shown(replies: Iterable[Reply]) -> dict[int, tuple[float, int | None]]:
    """When each write was first shown to a client, and, where only at `memory`, in which epoch."""
    found: dict[int, tuple[float, int | None]] = {}
    for reply in sorted((r for r in replies if r.answered_at is not None), key=lambda r: r.answered_at or 0.0):
        assert reply.answered_at is not None
        durable = RANK[reply.level] >= RANK[Durability.LOCAL]
        for number in reply.seen:
            known = found.get(number)
            if known is None or (known[1] is not None and durable):
                found[number] = (reply.answered_at, None if durable else reply.epoch)
    return found


def no_reply_before_durable(history: History) -> list[str]:
    """When an answer left, what it had seen was durable: in the log for `r2`, there or in the journal for `local`."""
    found = []
    for reply in history.replies:
        if reply.level is Durability.R2 and reply.commit > reply.log_commit:
            found.append(f"TOO EARLY: commit {reply.commit} of {reply.address} at r2, the log has {reply.log_commit}")
        if reply.level is Durability.LOCAL and reply.journal_commit is not None:
            reached = max(reply.log_commit, reply.journal_commit)
            if reply.commit > reached:
                found.append(f"TOO EARLY: commit {reply.commit} of {reply.address} at local, synced is {reached}")
    return found


def nothing_is_answered_after_the_next_owner(history: History) -> list[str]:
    """An answer that is not in the log does not leave once a higher epoch has opened."""
    found = []
    for address in sorted({reply.address for reply in history.replies}):
        opened = [landed for landed in history.slots(address) if landed.record.kind in (Kind.OPEN, Kind.TAKE)]
        for reply in history.replies:
            if reply.address != address or reply.level is Durability.MEMORY or reply.commit <= reply.log_commit:
                continue
            late = [other for other in opened if other.record.epoch > reply.epoch and other.at < reply.replied_at]
            if late:
                found.append(
                    f"ANSWERED TOO LATE: epoch {reply.epoch} of {address} answered commit {reply.commit} at "
                    f"{reply.replied_at:.3f}, epoch {late[0].record.epoch} had opened at {late[0].at:.3f}"
                )
    return found


def each_write_once(history: History) -> list[str]:
    """No write is there twice; one whose every attempt was refused unrun, or that another life made, not at all."""
    found = []
    writes = {write.number: write for write in history.writes}
    for address, final in history.final.items():
        for number, times in final.rows.items():
            if number not in writes:
                found.append(f"RESURRECTED: write {number} of {address} belongs to another life of its log")
                continue
            if times > 1:
                found.append(f"TWICE: write {number} of {address} is there {times} times")
            if writes[number].outcome is Outcome.NOT_RUN:
                found.append(f"RAN: write {number} of {address} was refused, and is there")
    return found


def one_writer_per_slot(history: History) -> list[str]:
    """Each slot lands once; only the open epoch appends; epochs rise; commit numbers run on without gap or overlap."""
    found = []
    for address in sorted({landed.address for landed in history.landed}):
        seen: set[int] = set()
        owner: tuple[int, str] = (0, "")
        last_commit = 0
        for landed in history.slots(address):
            record, where = landed.record, f"slot {landed.slot} of {address}"
            if landed.slot in seen:
                found.append(f"OVERWRITTEN: {where}")
            seen.add(landed.slot)
            if record.kind in (Kind.TAKE, Kind.OPEN):
                if record.epoch <= owner[0]:
                    found.append(f"EPOCH: {where} opens {record.epoch} after {owner[0]}")
                owner = (record.epoch, record.claim_id)
            elif record.kind in (Kind.SEGMENT, Kind.HANDOVER) and owner != (record.epoch, record.claim_id):
                found.append(f"FORK: {where} is epoch {record.epoch}'s, the owner is epoch {owner[0]}")
            if record.commits is not None:
                if record.commits[0] != last_commit + 1:
                    found.append(f"FORK: {where} has commits {record.commits}, the log ends at {last_commit}")
                last_commit = max(last_commit, record.commits[1])
    return found


def restored_image_is_the_owners(history: History) -> list[str]:
    """The database rebuilt from the bucket alone equals the owner's, page for page."""
    found = []
    for address, final in history.final.items():
        if final.owner_pages is not None and dict(final.owner_pages) != dict(final.bucket_pages):
            wrong = [n for n in final.owner_pages if final.bucket_pages.get(n) != final.owner_pages[n]]
            found.append(f"IMAGE: {address} restored differs from its owner's in pages {wrong[:10]}")
        if dict(final.rows) != dict(final.bucket_rows):
            found.append(f"IMAGE: {address} restored has {len(final.bucket_rows)} rows, its owner {len(final.rows)}")
    return found


def durable_means_durable(history: History) -> list[str]:
    """A client that was told its bookmark is durable finds the write again; one told that it is lost does not."""
    found = []
    writes = {write.number: write for write in history.writes}
    for waited in history.waited:
        write = writes[waited.write]
        final = history.final.get(write.address)
        if final is None:
            continue
        present = write.number in final.rows
        if waited.code in ("write_lost", "reset") and present:
            found.append(f"FALSE ALARM: write {write.number} of {write.address} is there, a client was told it is lost")
        excused = waited.level is not Durability.R2 and write.number in exempt(history, write.address)
        if waited.code is None and not present and not excused:
            found.append(f"LOST: write {write.number} of {write.address}, said to be durable at {waited.level}")
    return found


def no_faults(history: History) -> list[str]:
    """The world itself saw nothing impossible: snapshots equal their slots, nothing ended with an unexpected error."""
    return list(history.faults)


INVARIANTS: tuple[Callable[[History], list[str]], ...] = (
    no_faults,
    one_writer_per_slot,
    acknowledged_writes_survive,
    replies_never_go_backwards,
    no_reply_before_durable,
    nothing_is_answered_after_the_next_owner,
    durable_means_durable,
    each_write_once,
    loss_is_bounded_and_kept,
    restored_image_is_the_owners,
)


def violations(history: History) -> list[str]:
    """Everything that any invariant found."""
    return [text for invariant in INVARIANTS for text in invariant(history)]
