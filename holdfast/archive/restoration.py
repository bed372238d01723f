"""A database as it was: now, at a bookmark, or at a time, rebuilt from the bucket alone.

A restore goes to the end of a slot. It writes nothing to the bucket and asks no service.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from actors.errors import WriteLost
from storage.errors import CorruptSegment, InvalidRequest, LogGap
from storage.log.actor_log import ActorLog
from storage.log.bookmark import Bookmark, InvalidBookmark
from storage.log.rebuild import Image, rebuild
from storage.log.record import LogState
from storage.log.restore_plan import AtSlot, AtTime, DatedSlot, Latest, OutOfReach, RestorePlan, Target, plan_restore
from storage.log.segment import Segment
from storage.log.slot import Gap


def parse_target(text: str | None) -> Bookmark | Latest | AtTime:
    """What --at means: nothing for the newest state, a bookmark, or a time (ISO 8601, UTC unless it says otherwise)."""
    if text is None:
        return Latest()
    try:
        return Bookmark.parse(text)
    except InvalidBookmark:
        pass
    if re.fullmatch(r"\d{9,11}(\.\d+)?", text):
        return AtTime(float(text))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidRequest(
            f"--at {text!r}: expected a bookmark, a time like 2026-05-01T12:30:00Z, or Unix seconds"
        ) from error
    return AtTime((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


async def restore(log: ActorLog, target: Bookmark | Target, *, advance: Callable[[int], None]) -> Image:
    """The image at the target; `advance` is told the bytes read.

    Raises InvalidRequest for a target that the log does not hold (any more), WriteLost for a bookmark that a takeover
    cut off, LogGap and CorruptSegment for what is wrong with the log.
    """
    if isinstance(target, Bookmark):
        target = AtSlot(await slot_of_bookmark(log, target))
    snapshots, _ = await log.list_snapshots()
    slots, _ = await log.list_slots(0)
    plan = plan_restore(
        [DatedSlot(ref.slot, ref.modified_at) for ref in snapshots],
        [DatedSlot(ref.slot, ref.modified_at) for ref in slots],
        target,
    )
    return await _apply(log, _checked(log, plan), advance)


async def slot_of_bookmark(log: ActorLog, bookmark: Bookmark) -> int:
    """The first slot whose end holds the bookmark's commit."""
    base = LogState()
    for ref in reversed((await log.list_snapshots())[0]):
        _, state = await log.read_snapshot(ref)
        if state.last_commit < bookmark.commit:
            base = state
            break
    slot = max(1, base.last_slot)
    state, reached = base, 0
    for entry in await log.read_from(base.last_slot + 1):
        state = state.advance(entry.record)
        slot = entry.slot
        if not reached and state.last_commit >= bookmark.commit and state.gen >= bookmark.gen:
            reached = slot
    if state.lost(epoch=bookmark.epoch, commit=bookmark.commit):
        raise WriteLost(f"log of {log.address}: the write of bookmark {bookmark} was lost in a takeover")
    if not reached:
        raise InvalidRequest(f"log of {log.address}: ends before bookmark {bookmark}, with commit {state.last_commit}")
    return reached


def _checked(log: ActorLog, plan: RestorePlan | Gap | OutOfReach) -> RestorePlan:
    if isinstance(plan, Gap):
        raise LogGap(f"log of {log.address}: {plan}")
    if isinstance(plan, OutOfReach):
        if plan.oldest is None:
            raise InvalidRequest(f"log of {log.address}: there is none, or nothing in it can be restored")
        raise InvalidRequest(
            f"log of {log.address}: holds slots {plan.oldest} to {plan.newest}, the target is not there"
        )
    return plan


async def _apply(log: ActorLog, plan: RestorePlan, advance: Callable[[int], None]) -> Image:
    base: Segment | None = None
    if plan.snapshot is not None:
        snapshots, _ = await log.list_snapshots()
        for ref in snapshots:
            if ref.slot == plan.snapshot.last:
                base, _ = await log.read_snapshot(ref)
                advance(ref.size)
        if base is None:
            raise CorruptSegment(f"log of {log.address}: snapshot of slot {plan.snapshot.last} vanished meanwhile")
    segments: list[Segment] = []
    for name in plan.slots:
        entry = await log.read(name.last)
        segments.append(entry.segment)
        advance(entry.size)
    return rebuild(base, segments)
