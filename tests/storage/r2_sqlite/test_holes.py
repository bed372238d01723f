"""The holes of docs/protocol.md that concern the file, each as a mutant: one rule off, one short trace, one loss.

Every trace returns what went wrong, as text, or nothing. With all rules on nothing goes wrong; with its rule off each
trace finds its hole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from storage.r2_sqlite.errors import ChangingModes, FileMoved, SaveUnknown
from storage.r2_sqlite.rules import FileRules
from storage.r2_sqlite.transition import Event
from tests.actors.virtual_time import virtual
from tests.storage.r2_sqlite.bucket import ADDRESS, KEY, Bucket, a_gateway, add, words

Trace = Callable[[FileRules], Awaitable[str]]


async def lost_answer(rules: FileRules) -> str:
    """Finding 20: the save landed, its answer did not."""
    bucket = await Bucket.holding()
    bucket.store.hold("put")
    writing = asyncio.create_task(a_gateway(bucket.store, rules=rules).execute(ADDRESS, add("w")))
    held = await bucket.store.next_held()
    bucket.store.let_go()
    await held.lose_answer()
    await writing
    return "run twice" if (await bucket.words()).count("w") > 1 else ""


async def lost_answer_then_seal(rules: FileRules) -> str:
    """Finding 20: the same with a cut-over in between; whoever is told to ask the actor runs it there again."""
    bucket = await Bucket.holding()
    bucket.store.hold("put")
    writing = asyncio.create_task(a_gateway(bucket.store, rules=rules).execute(ADDRESS, add("w")))
    held = await bucket.store.next_held()
    await held.duplicate()
    await bucket.change(Event.SEAL, rules=rules)
    sealed = await bucket.words()
    await bucket.change(Event.CUT_OVER, rules=rules)
    bucket.store.let_go()
    held.fail()
    try:
        await writing
    except FileMoved:
        return "told to run again what the sealed copy holds" if "w" in sealed else ""
    except SaveUnknown:
        return "unknown"
    return ""


async def slow_save_after_seal(rules: FileRules) -> str:
    """Finding 21: a save conditional on the version from before the seal arrives after it."""
    bucket = await Bucket.holding()
    bucket.store.hold("put")
    writing = asyncio.create_task(a_gateway(bucket.store, rules=rules).execute(ADDRESS, add("w")))
    held = await bucket.store.next_held()
    await bucket.change(Event.SEAL, rules=rules)
    copied = await bucket.words()
    bucket.store.let_go()
    await held.complete()
    try:
        await writing
    except ChangingModes:
        return ""
    return "" if "w" in copied else "acknowledged, and missing from the sealed copy"


async def slow_save_after_abort(rules: FileRules) -> str:
    """Finding 22: sealed and opened again with the bytes of before, while a save upon those bytes is under way."""
    bucket = await Bucket.holding()
    before = (await bucket.store.inner.get(KEY)).body
    gateway = a_gateway(bucket.store, rules=rules)
    bucket.store.hold("put")
    writing = asyncio.create_task(gateway.execute(ADDRESS, add("w")))
    held = await bucket.store.next_held()
    await bucket.change(Event.SEAL, rules=rules)
    bucket.store.let_go()
    held.fail()
    with pytest.raises(ChangingModes):
        await writing
    await bucket.change(Event.ABORT, rules=rules, body=before)
    await held.duplicate()
    await gateway.execute(ADDRESS, add("w"))  # nothing was run, its client was told
    return "run twice" if (await bucket.words()).count("w") > 1 else ""


async def finalized(rules: FileRules) -> str:
    """Finding 27: a month after the cut-over a gateway that believes in an old flag looks for the file."""
    bucket = await Bucket.holding("old")
    for event in (Event.SEAL, Event.CUT_OVER, Event.FINALIZE):
        await bucket.change(event, rules=rules)
    try:
        answer = await a_gateway(bucket.store, rules=rules).execute(ADDRESS, add("w"), create=True)
    except FileMoved:
        return ""
    return f"an empty database was started beside the actor's: {answer}"


async def read_after_cut_over(rules: FileRules) -> str:
    """Finding 28: the actor has acknowledged a write since, the file has not heard of it."""
    bucket = await Bucket.holding("old")
    await bucket.change(Event.SEAL, rules=rules)
    await bucket.change(Event.CUT_OVER, rules=rules)
    acknowledged_by_actor = ["old", "new"]
    try:
        answer = await a_gateway(bucket.store, rules=rules).execute(ADDRESS, words)
    except FileMoved:
        return ""
    return "" if answer == acknowledged_by_actor else f"an old read: {answer}"


HOLES: list[tuple[str, Trace, FileRules]] = [
    ("20", lost_answer, FileRules(looks_in_ring=False)),
    ("20", lost_answer_then_seal, FileRules(looks_in_ring=False)),
    ("20", lost_answer_then_seal, FileRules(keeps_ring=False)),
    ("21", slow_save_after_seal, FileRules(seals_body=False)),
    ("22", slow_save_after_abort, FileRules(fresh_nonce=False)),
    ("27", finalized, FileRules(keeps_tombstone=False)),
    ("28", read_after_cut_over, FileRules(reads_stop_at_cut_over=False)),
]


@pytest.mark.parametrize("trace", dict.fromkeys(trace for _, trace, _ in HOLES))
@virtual
async def test_with_all_rules_nothing_is_lost_or_doubled(trace: Trace) -> None:
    assert await trace(FileRules()) == ""


@pytest.mark.parametrize(("finding", "trace", "mutant"), HOLES)
@virtual
async def test_each_broken_rule_is_caught(finding: str, trace: Trace, mutant: FileRules) -> None:
    assert await trace(mutant) != "", f"finding {finding}"


def test_every_rule_has_its_mutant() -> None:
    off = {name for _, _, mutant in HOLES for name in FileRules.__slots__ if not getattr(mutant, name)}
    assert off == set(FileRules.__slots__)
