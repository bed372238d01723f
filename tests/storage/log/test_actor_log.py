"""A log in the bucket: listed, read, looked at, written once; what is read is checked (rules 1, 3, 9)."""

from __future__ import annotations

import asyncio
import random
import threading
from dataclasses import replace
from typing import Any

import pytest

from storage.errors import (
    CorruptSegment,
    LogGap,
    ObjectNotFound,
    OutcomeUnknown,
    PreconditionFailed,
    Unavailable,
    UnsupportedVersion,
)
from storage.layout.keys import hint_key
from storage.log import actor_log
from storage.log.actor_log import LIST_PAGE_KEYS, STATE_KEY, ActorLog, Draft, draft_slot
from storage.log.record import Kind, LogState, Record
from storage.log.segment import Segment, decode_segment, encode_segment
from storage.log.slot import slot_name, snapshot_name
from storage.log.snapshot import snapshot_segment
from storage.objects.settle import Settled, Taken
from tests.actors.kit import (
    ADDRESS,
    ENV,
    PAGE_SIZE,
    HeldStore,
    VirtualClock,
    a_log,
    a_page,
    a_record,
    a_segment,
    append,
    labels,
    virtual,
)

PREFIX = "dev/users/alice/profiles/main/log/"


def a_store() -> HeldStore:
    return HeldStore(VirtualClock())


def a_draft(slot: int = 3, *, put_id: str = "mine") -> Draft:
    record = a_record(commits=(2, 2), put_id=put_id)
    return draft_slot(slot, record, a_segment(slot, 2, ((2, a_page(slot)),)))


async def a_written_log(store: HeldStore, count: int = 4) -> ActorLog:
    log = a_log(store)
    await append(log, 1, a_record(Kind.IMPORT, 1, commits=(1, 1)))
    for slot in range(2, count + 1):
        await append(log, slot, a_record(commits=(slot, slot), put_id=f"put {slot}"), {2: slot})
    return log


async def put_snapshot(log: ActorLog, slot: int, *, state: LogState | None = None) -> bool:
    segment = snapshot_segment([a_page(slot)], page_size=PAGE_SIZE, last_slot=slot, node_id=2, timestamp_ms=1)
    body = encode_segment(segment)
    return await log.put_snapshot(segment, body, state or LogState(last_slot=slot, gen=1), put_id=f"snapshot {slot}")


# ---- names


@virtual
async def test_slots_and_snapshots_lie_where_litestream_looks() -> None:
    store = a_store()
    log = await a_written_log(store, 1)
    await put_snapshot(log, 1)
    await log.put_hint(1)
    assert store.keys() == [
        f"{PREFIX}0000/0000000000000001-0000000000000001.ltx",
        f"{PREFIX}0009/0000000000000001-0000000000000001.ltx",
        f"{PREFIX}current.json",
    ]


@virtual
async def test_a_segments_body_is_named_by_its_slot_or_it_is_no_draft() -> None:
    with pytest.raises(AssertionError):
        draft_slot(4, a_record(), a_segment(3, 2))


@virtual
async def test_a_slot_says_when_it_was_made_in_litestreams_words() -> None:
    store = a_store()
    await a_written_log(store, 1)
    assert dict(store.puts()[0].metadata)["litestream-timestamp"] == "2023-11-14T22:13:20Z"


# ---- rule 1


@virtual
async def test_rule_1_a_slot_is_written_once() -> None:
    store = a_store()
    log = await a_written_log(store, 2)
    first = await log.put(a_draft(3))
    second = await log.put(a_draft(3, put_id="another's"))
    assert isinstance(first, Settled) and isinstance(second, Taken)
    assert second.info is not None and labels(second.info.metadata)["put-id"] == "mine"
    assert (await log.read(3)).record.put_id == "mine"


@virtual
async def test_rule_1_put_goes_on_until_it_is_settled_with_the_same_bytes() -> None:
    store = a_store()
    log = await a_written_log(store, 2)
    store.hold("put")
    putting = asyncio.ensure_future(log.put(a_draft(3)))
    for error in (Unavailable("429"), OutcomeUnknown("lost"), OutcomeUnknown("lost")):
        (await store.next_held()).fail(error)
    await (await store.next_held()).lose_answer()
    await (await store.next_held()).complete()
    assert isinstance(await putting, Settled)
    assert len({(sent.key, sent.body, sent.metadata) for sent in store.puts()[-5:]}) == 1


@virtual
async def test_rule_7a_a_settled_put_says_when_it_was_first_sent() -> None:
    store, clock = a_store(), VirtualClock()
    log = await a_written_log(store, 2)
    sent_at = clock.now()
    store.hold("put")
    putting = asyncio.ensure_future(log.put(a_draft(3)))
    held = await store.next_held()
    await clock.sleep(60.0)
    await held.lose_answer()
    store.let_go()
    settled = await putting
    assert isinstance(settled, Settled) and settled.first_sent_at == sent_at and settled.resends == 1


@virtual
async def test_a_bounded_put_gives_up_and_says_whether_it_may_have_landed() -> None:
    store = a_store()
    log = await a_written_log(store, 2)
    store.broken = "away"
    with pytest.raises(OutcomeUnknown):
        await log.put(a_draft(3), attempts_max=2)
    assert len(store.puts("0000000000000003")) == 2


# ---- rule 3


@virtual
async def test_rule_3_a_listing_is_the_newest_snapshot_and_the_slots_behind_it() -> None:
    store, clock = a_store(), VirtualClock()
    log = await a_written_log(store, 6)
    await put_snapshot(log, 2)
    await put_snapshot(log, 4)
    store.sent.clear()
    listing = await log.listing()
    assert listing.snapshot is not None and listing.snapshot.slot == 4
    assert [ref.slot for ref in listing.slots] == [5, 6]
    assert listing.listed_at == clock.now() and listing.store_time == clock.wall()
    assert [sent.key for sent in store.sent] == [f"{PREFIX}0009/", f"{PREFIX}0000/"], "level 9 first"


@virtual
@pytest.mark.parametrize(("missing", "found"), [(1, 2), (3, 4)])
async def test_rule_3_slots_are_contiguous_or_there_is_no_listing(missing: int, found: int) -> None:
    store = a_store()
    log = await a_written_log(store, 5)
    await log.delete(slot_name(missing))
    with pytest.raises(LogGap, match=f"slot {missing} is missing, slot {found} exists"):
        await log.listing()


@virtual
async def test_rule_3_what_lies_below_the_newest_snapshot_may_be_gone() -> None:
    store = a_store()
    log = await a_written_log(store, 5)
    await put_snapshot(log, 4)
    for slot in (1, 2, 3):
        await log.delete(slot_name(slot))
    assert [ref.slot for ref in (await log.listing()).slots] == [5]


@virtual
async def test_rule_3_the_hint_is_not_trusted() -> None:
    store = a_store()
    log = await a_written_log(store, 5)
    await put_snapshot(log, 2)
    await put_snapshot(log, 4)
    await log.put_hint(2)
    store.sent.clear()
    listing = await log.listing()
    assert listing.snapshot is not None and listing.snapshot.slot == 4
    assert hint_key(ENV, ADDRESS) not in [sent.key for sent in store.sent]
    mutant = await log.listing(trusts_hint=True)
    assert mutant.snapshot is not None and mutant.snapshot.slot == 2


@virtual
async def test_foreign_names_are_not_read() -> None:
    store = a_store()
    log = await a_written_log(store, 2)
    for name in ("0000/notes.txt", "0000/0000000000000007-0000000000000009.ltx", "0009/x", "0001/y"):
        await store.inner.put(PREFIX + name, b"x")
    await store.inner.put(f"{PREFIX}0009/0000000000000002-0000000000000009.ltx", b"x")
    listing = await log.listing()
    assert listing.snapshot is None and [ref.slot for ref in listing.slots] == [1, 2]


@virtual
async def test_a_log_longer_than_a_page_of_a_listing_is_listed_whole() -> None:
    store = a_store()
    log = a_log(store)
    for slot in range(1, LIST_PAGE_KEYS + 11):
        await store.inner.put(log.slot_key(slot), b"x")
    assert len((await log.listing()).slots) == LIST_PAGE_KEYS + 10
    refs, _ = await log.list_slots(LIST_PAGE_KEYS)
    assert [ref.slot for ref in refs] == list(range(LIST_PAGE_KEYS + 1, LIST_PAGE_KEYS + 11))


@virtual
async def test_an_empty_log_lists_as_nothing() -> None:
    log = a_log(a_store())
    listing = await log.listing()
    assert (listing.snapshot, listing.slots) == (None, ()) and await log.newest_snapshot() == 0


@virtual
async def test_the_newest_snapshot_is_the_one_of_the_highest_slot() -> None:
    log = await a_written_log(a_store(), 3)
    for slot in (2, 16, 9):
        await put_snapshot(log, slot)
    assert await log.newest_snapshot() == 16
    snapshots, _ = await log.list_snapshots()
    assert [ref.slot for ref in snapshots] == [2, 9, 16]


# ---- looks and reads


@virtual
async def test_a_look_says_whether_a_slot_is_free() -> None:
    log = await a_written_log(a_store(), 2)
    assert not await log.absent(2) and await log.absent(3)


@virtual
async def test_a_look_that_fails_says_nothing() -> None:
    store = a_store()
    log = await a_written_log(store, 2)
    store.broken = "away"
    with pytest.raises(Unavailable):
        await log.absent(3)


@virtual
async def test_a_slot_reads_as_it_was_written() -> None:
    store = a_store()
    log = await a_written_log(store, 2)
    draft = a_draft(3)
    await log.put(draft)
    entry = await log.read(3)
    assert (entry.slot, entry.record, entry.segment.pages) == (3, draft.record, ((2, a_page(3)),))
    assert entry.size == len(draft.body)
    assert [each.slot for each in await log.read_from(2)] == [2, 3]
    assert await log.read_if_present(4) is None
    with pytest.raises(ObjectNotFound):
        await log.read(4)


@virtual
async def test_large_bodies_are_decoded_in_a_thread_and_small_ones_here(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def decode(*args: Any, **kwargs: Any) -> Segment:
        threads.append(threading.current_thread() is threading.main_thread())
        return decode_segment(*args, **kwargs)

    monkeypatch.setattr(actor_log, "decode_segment", decode)
    store = a_store()
    log = await a_written_log(store, 2)
    await put_snapshot(log, 2)
    [snapshot], _ = await log.list_snapshots()
    await log.read(2)
    await log.read_snapshot(snapshot)
    monkeypatch.setattr(actor_log, "DECODE_INLINE_BYTES_MAX", 10)
    await log.read(2)
    await log.read_snapshot(snapshot)
    assert threads == [True, True, False, False]


async def tamper(store: HeldStore, key: str, *, body: bytes | None = None, **changes: str | None) -> None:
    """Change an object; a metadata change of None leaves the key out."""
    found = await store.inner.get(key)
    metadata = {**found.info.metadata}
    for name, text in changes.items():
        metadata.pop(f"holdfast-{name.replace('_', '-')}")
        if text is not None:
            metadata[f"holdfast-{name.replace('_', '-')}"] = text
    await store.inner.put(key, found.body if body is None else body, metadata=metadata)


@virtual
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": "3"}, "metadata says epoch 3, its body 2"),
        ({"kind": None}, "holdfast-kind is missing"),
        ({"kind": "merge"}, "merge"),
        ({"ttl_s": "soon"}, "soon"),
    ],
)
async def test_metadata_that_do_not_fit_stop_the_reader(changes: dict[str, str | None], message: str) -> None:
    store = a_store()
    log = await a_written_log(store, 2)
    await tamper(store, log.slot_key(2), **changes)  # type: ignore[arg-type]
    with pytest.raises(CorruptSegment, match=message):
        await log.read(2)


@virtual
async def test_a_record_of_a_newer_format_is_refused_and_named() -> None:
    store = a_store()
    log = await a_written_log(store, 2)
    await tamper(store, log.slot_key(2), format="2")
    with pytest.raises(UnsupportedVersion, match=r"0002\.ltx.*format 2"):
        await log.read(2)


@virtual
async def test_a_body_that_is_not_what_was_stored_stops_the_reader() -> None:
    store = a_store()
    log = await a_written_log(store, 2)
    key = log.slot_key(2)
    found = store.inner._objects[key]
    store.inner._objects[key] = replace(found, body=found.body[:-1] + b"\0")
    with pytest.raises(CorruptSegment, match=r"0002\.ltx"):
        await log.read(2)


@virtual
async def test_another_slots_body_under_this_name_stops_the_reader() -> None:
    store = a_store()
    log = await a_written_log(store, 3)
    await tamper(store, log.slot_key(3), body=(await store.inner.get(log.slot_key(2))).body)
    with pytest.raises(CorruptSegment, match="holds slots 2-2"):
        await log.read(3)


# ---- snapshots


@virtual
async def test_rule_9_a_snapshot_never_overwrites_and_says_so() -> None:
    store = a_store()
    log = await a_written_log(store, 3)
    assert await put_snapshot(log, 3)
    segment = snapshot_segment([a_page(9)], page_size=PAGE_SIZE, last_slot=3, node_id=2, timestamp_ms=1)
    assert not await log.put_snapshot(segment, encode_segment(segment), LogState(last_slot=3), put_id="other")
    snapshots, _ = await log.list_snapshots()
    assert (await log.read_snapshot(snapshots[0]))[0].pages == ((1, a_page(3)),)


@virtual
@pytest.mark.parametrize("how", ["no state", "state of another slot", "no state text"])
async def test_a_snapshot_without_its_state_stops_the_reader(how: str) -> None:
    store = a_store()
    log = await a_written_log(store, 3)
    await put_snapshot(log, 3, state=LogState(last_slot=2) if how == "state of another slot" else None)
    key = log.snapshot_key(3)
    if how != "state of another slot":
        await tamper(store, key, state=None if how == "no state" else "{")
    snapshots, _ = await log.list_snapshots()
    with pytest.raises(CorruptSegment, match=r"0003\.ltx"):
        await log.read_snapshot(snapshots[0])


@virtual
async def test_a_snapshot_reads_as_it_was_written() -> None:
    log = await a_written_log(a_store(), 3)
    state = LogState(last_slot=3, epoch_max=2, last_commit=3, gen=1)
    await put_snapshot(log, 3, state=state)
    snapshots, _ = await log.list_snapshots()
    segment, found = await log.read_snapshot(snapshots[0])
    assert found == state and (segment.first, segment.last) == (1, 3)
    assert STATE_KEY == "holdfast-state"


@virtual
async def test_deleting_takes_the_named_object_alone() -> None:
    store = a_store()
    log = await a_written_log(store, 2)
    await put_snapshot(log, 1)
    await log.delete(slot_name(1))
    await log.delete(snapshot_name(1))
    assert store.keys() == [log.slot_key(2)]


@virtual
async def test_the_logs_of_two_addresses_share_nothing() -> None:
    store = a_store()
    await a_written_log(store, 2)
    other = ActorLog(store, ENV, replace(ADDRESS, profile="other"), VirtualClock(), random.Random(0))
    assert (await other.listing()).slots == ()


@virtual
async def test_the_store_itself_refuses_a_second_writer() -> None:
    """What the whole protocol rests on."""
    store = a_store()
    log = await a_written_log(store, 2)
    with pytest.raises(PreconditionFailed):
        await store.put(log.slot_key(2), b"x", if_none_match="*")
    record: Record = a_record()
    segment: Segment = a_segment(2, 2)
    assert isinstance(await log.put(draft_slot(2, record, segment)), Taken)
