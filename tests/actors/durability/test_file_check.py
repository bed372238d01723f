"""What database.sqlite says (rules 3, 13, 22)."""

from __future__ import annotations

import asyncio

import apsw
import pytest

from actors.durability.file_check import check_file, create_tombstone
from actors.errors import InR2Mode
from storage.errors import CorruptObject, OutcomeUnknown
from storage.layout.keys import database_key
from storage.r2_sqlite.file_state import FileState, Mode, read_state, state_metadata, tombstone_body
from tests.actors.kit import ADDRESS, ENV, FakeDisk, HeldStore, Process, VirtualClock, virtual

KEY = database_key(ENV, ADDRESS)


def a_store() -> HeldStore:
    return HeldStore(VirtualClock())


@virtual
async def test_no_file_is_no_state() -> None:
    assert await check_file(Process(a_store(), FakeDisk()).parts, ADDRESS) is None


@virtual
@pytest.mark.parametrize("mode", [Mode.SEALING, Mode.ACTOR, Mode.RETURNING])
async def test_rule_13_metadata_spare_the_body(mode: Mode) -> None:
    store, state = a_store(), FileState(mode, 4, "nonce")
    await store.inner.put(KEY, tombstone_body(state), metadata=state_metadata(state))
    assert await check_file(Process(store, FakeDisk()).parts, ADDRESS) == state
    assert [sent.name for sent in store.sent] == ["head"]


@virtual
async def test_rule_13_without_metadata_the_body_decides() -> None:
    store, state = a_store(), FileState(Mode.ACTOR, 4, "nonce", ("a", "b"))
    await store.inner.put(KEY, tombstone_body(state))
    assert await check_file(Process(store, FakeDisk()).parts, ADDRESS) == state


@virtual
async def test_rule_13_a_file_from_before_there_were_states_is_served_in_r2_mode() -> None:
    store = a_store()
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE t(x)")
    await store.inner.put(KEY, connection.serialize("main"))
    connection.close()
    with pytest.raises(InR2Mode):
        await check_file(Process(store, FakeDisk()).parts, ADDRESS)


@virtual
async def test_a_file_that_is_no_database_is_said_so() -> None:
    store = a_store()
    await store.inner.put(KEY, b"not a database" * 100)
    with pytest.raises(CorruptObject):
        await check_file(Process(store, FakeDisk()).parts, ADDRESS)


@virtual
async def test_rule_22_a_tombstone_is_of_generation_1_and_repeats_itself_in_its_metadata() -> None:
    store = a_store()
    state = await create_tombstone(Process(store, FakeDisk()).parts, ADDRESS)
    found = await store.inner.get(KEY)
    assert (state.state, state.gen) == (Mode.ACTOR, 1) and len(state.nonce) == 32
    assert read_state(found.body) == state
    assert state_metadata(state).items() <= dict(found.info.metadata).items()


@virtual
async def test_rule_22_a_tombstone_never_overwrites_and_anothers_is_used() -> None:
    store = a_store()
    one, two = await asyncio.gather(
        create_tombstone(Process(store, FakeDisk("m1")).parts, ADDRESS),
        create_tombstone(Process(store, FakeDisk("m2")).parts, ADDRESS),
    )
    assert one == two


@virtual
async def test_rule_22_a_tombstone_whose_answer_was_lost_is_ours() -> None:
    store = a_store()
    store.hold("put")
    making = asyncio.ensure_future(create_tombstone(Process(store, FakeDisk()).parts, ADDRESS))
    await (await store.next_held()).lose_answer()
    await (await store.next_held()).complete()
    assert read_state((await store.inner.get(KEY)).body) == await making


@virtual
async def test_rule_22_a_file_that_r2_mode_made_meanwhile_is_not_touched() -> None:
    store, state = a_store(), FileState(nonce="n")
    store.hold("put")
    making = asyncio.ensure_future(create_tombstone(Process(store, FakeDisk()).parts, ADDRESS))
    held = await store.next_held()
    await store.inner.put(KEY, tombstone_body(state), metadata=state_metadata(state))
    await held.complete()
    with pytest.raises(InR2Mode):
        await making
    assert not isinstance(making.exception(), OutcomeUnknown)
