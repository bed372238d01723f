"""Each invariant on histories made by hand: it holds where it should, and complains where it should."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from actors.call import Durability
from storage.log.record import Kind, Record
from tests.simulation import invariants
from tests.simulation.history import Final, Hindrance, History, Landed, MachineLost, Outcome, Reply, Waited, Write

ADDRESS = "u/main"
LOCAL, R2, MEMORY = Durability.LOCAL, Durability.R2, Durability.MEMORY


def a_record(kind: Kind, epoch: int, machine: str = "m0", commits: tuple[int, int] | None = None) -> Record:
    return Record(kind, epoch, f"claim{epoch}", "put", machine, 10.0, 1, commits, 0)


def landed(*records: tuple[float, Record]) -> list[Landed]:
    return [Landed(at, ADDRESS, slot, record) for slot, (at, record) in enumerate(records, start=1)]


def a_write(number: int = 1, level: Durability = LOCAL, *, at: float = 5.0, epoch: int = 1, log: int = 0) -> Write:
    reply = Reply(ADDRESS, "p1", level, number, at - 1, at, frozenset({number}), epoch, number, at + 0.1, log, number)
    return Write(number, ADDRESS, level, at - 1, Outcome.OK, reply, "bookmark")


def a_read(seen: set[int], *, sent: float = 8.0, level: Durability = LOCAL, epoch: int = 1) -> Reply:
    return Reply(ADDRESS, "p1", level, None, sent, sent + 0.1, frozenset(seen), epoch, 0, sent + 0.2)


def final(
    *numbers: int, bucket: tuple[int, ...] | None = None, orphans: dict[str, frozenset[int]] | None = None
) -> Final:
    rows = dict.fromkeys(numbers, 1)
    bucket_rows = rows if bucket is None else dict.fromkeys(bucket, 1)
    return Final(rows, {1: b"a"}, {1: b"a"}, bucket_rows, orphans or {})


def a_history(*writes: Write, reads: tuple[Reply, ...] = (), ends: Final | None = None) -> History:
    history = History(flush_interval_s=5.0, ttl_s=10.0, grace_s=5.0)
    history.writes = list(writes)
    history.replies = [write.reply for write in writes if write.reply is not None] + list(reads)
    history.landed = landed((0.0, a_record(Kind.TAKE, 1)))
    history.final[ADDRESS] = ends if ends is not None else final(*(write.number for write in writes))
    return history


def a_forced_takeover(*writes: Write, hindered: bool = True, waited: float = 16.0, orphan: bool = True) -> History:
    """Epoch 1 on m0 acknowledged `writes`, epoch 2 on m1 opened over it at time 40 and knows nothing of them."""
    ends = final(orphans={"claim1": frozenset(range(1, 9))} if orphan else {})
    history = a_history(*writes, ends=ends)
    history.landed = landed(
        (0.0, a_record(Kind.TAKE, 1)),
        (40.0 - waited, a_record(Kind.CLAIM, 2, "m1")),
        (40.0, a_record(Kind.OPEN, 2, "m1")),
    )
    if hindered:
        history.hindrances.append(Hindrance("m0", 10.0, 50.0))
    return history


Invariant = Callable[[History], list[str]]


def test_a_plain_history_breaks_nothing() -> None:
    history = a_history(a_write(1), a_write(2, R2, log=2), reads=(a_read({1, 2}),))
    assert invariants.violations(history) == []


@pytest.mark.parametrize("level", [LOCAL, R2])
def test_a_lost_acknowledged_write_is_found(level: Durability) -> None:
    history = a_history(a_write(1, level, log=1), ends=final())
    assert invariants.acknowledged_writes_survive(history)


def test_a_write_that_only_the_owner_remembers_is_found() -> None:
    history = a_history(a_write(1), ends=final(1, bucket=()))
    assert invariants.acknowledged_writes_survive(history)
    assert invariants.restored_image_is_the_owners(history)


def test_a_memory_write_may_vanish() -> None:
    assert not invariants.violations(a_history(a_write(1, MEMORY), ends=final()))


def test_a_local_write_may_be_lost_to_a_takeover_while_its_machine_was_away_and_is_kept_as_an_orphan() -> None:
    assert invariants.violations(a_forced_takeover(a_write(1))) == []


def test_an_r2_write_may_not() -> None:
    assert invariants.acknowledged_writes_survive(a_forced_takeover(a_write(1, R2, log=1)))


def test_a_takeover_from_a_machine_that_was_well_excuses_nothing() -> None:
    assert invariants.acknowledged_writes_survive(a_forced_takeover(a_write(1), hindered=False))


def test_a_takeover_that_did_not_wait_excuses_nothing() -> None:
    assert invariants.acknowledged_writes_survive(a_forced_takeover(a_write(1), waited=2.0))


def test_a_lost_machine_excuses_the_loss_and_owes_no_orphan() -> None:
    history = a_forced_takeover(a_write(1), hindered=False, orphan=False)
    history.lost_machines.append(MachineLost("m0", 20.0))
    assert invariants.violations(history) == []


def test_what_a_read_showed_of_a_lost_write_is_excused_with_it() -> None:
    history = a_forced_takeover(Write(1, ADDRESS, LOCAL, 1.0, Outcome.UNKNOWN))
    history.replies += [replace(a_read({1}, sent=9.0), commit=1), a_read(set(), sent=60.0, epoch=2)]
    assert invariants.violations(history) == []
    history.replies.append(replace(a_read({1}, sent=9.0, level=R2), commit=1, log_commit=1))
    assert invariants.replies_never_go_backwards(history)


def test_a_loss_without_an_orphan_is_found() -> None:
    assert invariants.loss_is_bounded_and_kept(a_forced_takeover(a_write(1), orphan=False))


def test_a_loss_longer_than_the_promise_is_found() -> None:
    history = a_forced_takeover(a_write(1, at=2.0), a_write(2, at=18.0))
    assert invariants.loss_is_bounded_and_kept(history)


def test_a_read_that_misses_an_earlier_answer_is_found() -> None:
    assert invariants.replies_never_go_backwards(a_history(a_write(1), reads=(a_read(set(), sent=8.0),)))
    assert not invariants.replies_never_go_backwards(a_history(a_write(1), reads=(a_read(set(), sent=5.0),)))


def test_a_read_that_misses_what_an_earlier_read_showed_is_found() -> None:
    unknown = Write(1, ADDRESS, LOCAL, 1.0, Outcome.UNKNOWN)
    reads = (a_read({1}, sent=6.0), a_read(set(), sent=9.0))
    assert invariants.replies_never_go_backwards(a_history(unknown, reads=reads))


def test_a_memory_write_must_be_seen_by_its_own_epoch_alone() -> None:
    write = a_write(1, MEMORY)
    assert invariants.replies_never_go_backwards(a_history(write, reads=(a_read(set(), epoch=1),)))
    assert not invariants.replies_never_go_backwards(a_history(write, reads=(a_read(set(), epoch=2),)))


def test_a_reply_before_its_segment_or_its_sync_is_found() -> None:
    assert invariants.no_reply_before_durable(a_history(a_write(1, R2, log=0)))
    early = a_write(1)
    assert early.reply is not None
    early.reply.journal_commit = 0
    assert invariants.no_reply_before_durable(a_history(early))


def test_an_answer_after_the_next_owner_opened_is_found() -> None:
    history = a_forced_takeover(a_write(1, at=41.0))
    assert invariants.nothing_is_answered_after_the_next_owner(history)


def test_a_write_that_is_there_twice_or_was_refused_is_found() -> None:
    twice = a_history(a_write(1), ends=replace(final(1), rows={1: 2}, bucket_rows={1: 2}))
    assert invariants.each_write_once(twice)
    refused = Write(1, ADDRESS, LOCAL, 1.0, Outcome.NOT_RUN)
    assert invariants.each_write_once(a_history(refused, ends=final(1)))


SLOTS: dict[str, tuple[Record, ...]] = {
    "an epoch opens twice": (a_record(Kind.TAKE, 1), a_record(Kind.TAKE, 1, "m1")),
    "an old owner appends": (a_record(Kind.TAKE, 1), a_record(Kind.TAKE, 2), a_record(Kind.SEGMENT, 1)),
    "commits overlap": (
        a_record(Kind.TAKE, 1),
        a_record(Kind.SEGMENT, 1, commits=(1, 3)),
        a_record(Kind.SEGMENT, 1, commits=(3, 4)),
    ),
    "commits leave a gap": (a_record(Kind.TAKE, 1), a_record(Kind.SEGMENT, 1, commits=(2, 3))),
}


@pytest.mark.parametrize("name", SLOTS)
def test_a_forked_log_is_found(name: str) -> None:
    history = a_history()
    history.landed = landed(*((float(at), record) for at, record in enumerate(SLOTS[name])))
    assert invariants.one_writer_per_slot(history)


def test_a_slot_that_landed_twice_is_found() -> None:
    history = a_history()
    history.landed = [*history.landed, *history.landed]
    assert invariants.one_writer_per_slot(history)


def test_another_image_than_the_owners_is_found() -> None:
    history = a_history(ends=replace(final(), bucket_pages={1: b"b"}))
    assert invariants.restored_image_is_the_owners(history)


def test_a_bookmark_that_was_said_to_be_durable_and_is_not_is_found() -> None:
    history = a_forced_takeover(a_write(1, MEMORY))
    history.waited.append(Waited(1, R2, 30.0, None))
    assert invariants.durable_means_durable(history)
    history.waited = [Waited(1, R2, 30.0, "write_lost")]
    assert not invariants.durable_means_durable(history)


def test_a_write_that_was_said_to_be_lost_and_is_there_is_found() -> None:
    history = a_history(a_write(1))
    history.waited.append(Waited(1, R2, 30.0, "reset"))
    assert invariants.durable_means_durable(history)


def test_what_the_world_noted_is_reported() -> None:
    history = a_history()
    history.faults.append("SNAPSHOT: differs")
    assert invariants.violations(history) == ["SNAPSHOT: differs"]
