"""The operation counts that the comparison rests on, measured: real activations over a store that keeps count."""

from __future__ import annotations

from collections import Counter

from actors.settings import ActorSettings
from holdfast.costs.traffic import ACTIVATION, FLUSH, LOOK, Operations
from storage.objects.counting import CLASS_A, CLASS_B
from tests.actors.kit import FakeDisk, HeldStore, Process, VirtualClock, prepared, virtual

TTL_S = ActorSettings().ttl_s


def counted(store: HeldStore) -> Operations:
    """What was asked for since the last look, by R2's classes."""
    names = Counter[str](sent.name for sent in store.sent)
    store.sent.clear()
    return Operations(sum(names[name] for name in CLASS_A), sum(names[name] for name in CLASS_B))


@virtual
async def test_an_activation_of_a_released_actor_and_its_release() -> None:
    store = HeldStore(VirtualClock())
    machine = FakeDisk()
    first = await prepared(Process(store, machine))
    await first.release()
    counted(store)
    again = await Process(store, machine, seed=1).activate()
    await again.release()
    assert counted(store) == ACTIVATION


@virtual
async def test_many_writes_in_one_interval_are_one_put_and_reads_are_none() -> None:
    store = HeldStore(VirtualClock())
    actor = await prepared(Process(store, FakeDisk()))
    counted(store)
    for number in range(20):
        await actor.write(f"note {number}").reply()
        await actor.notes()
    await actor.flush()
    assert counted(store) == FLUSH


@virtual
async def test_an_answer_after_a_quiet_time_takes_one_look() -> None:
    store = HeldStore(VirtualClock())
    actor = await prepared(Process(store, FakeDisk()))
    await VirtualClock().sleep(TTL_S + 1)
    counted(store)
    for _ in range(5):
        await actor.notes()
    assert counted(store) == LOOK
