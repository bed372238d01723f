"""Opening an ownership: lock, journal, claim, and what becomes of a journal that is not ours (rules 2 to 6)."""

from __future__ import annotations

from dataclasses import dataclass

from actors.database.image import PageImage
from actors.durability.agent import journal_name, keep_orphan, lock_name
from actors.durability.claimant import Claimant, Claimed
from actors.durability.disk import Lock
from actors.durability.journal import JournalContents, file_names, read_journal
from actors.durability.parts import Parts
from storage.layout.address import Address
from storage.log.actor_log import ActorLog
from storage.log.claim import JournalFate, decide_journal


@dataclass(frozen=True, slots=True)
class Opened:
    """An ownership that may serve, and what it holds until its end."""

    log: ActorLog
    lock: Lock
    claimed: Claimed


class _NoLock(Lock):
    """The mutant of finding 14."""

    def release(self) -> None:
        return


async def open_ownership(parts: Parts, address: Address, template: PageImage, *, draining: bool = False) -> Opened:
    """Own `address`; a new one begins with `template`. `draining`: only to release it again, where the file returns to
    r2 mode (rule 18). Raises AddressLocked and what claims raise."""
    lock = parts.disk.lock(lock_name(address)) if parts.rules.locks else _NoLock()
    try:
        contents = read_journal(parts.disk, journal_name(address))
        log = ActorLog(parts.store, parts.env, address, parts.clock, parts.rng)
        claimed = await Claimant(parts, log, contents, template, draining=draining).claim()
        await _settle_journal(parts, log, contents, claimed)
        _count(parts, claimed)
        return Opened(log, lock, claimed)
    except BaseException:
        lock.release()
        raise


async def _settle_journal(parts: Parts, log: ActorLog, contents: JournalContents | None, claimed: Claimed) -> None:
    """Rule 6: our own record stands now. What the journal holds is in the log, or cut off; nothing of it may stay
    beside the new one: where a log was deleted epochs begin again, and the older journal would look like the newer."""
    if contents is None:
        return
    fate = decide_journal(claimed.recovered.state, contents.view, parts.rules.claim)
    if not claimed.carried and fate is JournalFate.ORPHAN:
        await keep_orphan(parts, log, contents)
    parts.disk.delete(file_names(journal_name(log.address)))


def _count(parts: Parts, claimed: Claimed) -> None:
    """A recovery found an epoch that had not closed; a takeover found it on another machine."""
    counters = parts.counters
    counters.activations += 1
    counters.recoveries += claimed.unclosed is not None
    counters.takeovers += claimed.unclosed not in (None, parts.disk.machine_id)
