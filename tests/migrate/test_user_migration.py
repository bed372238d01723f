"""Users on their way: to and fro with live clients, killed at every store call, raced by requests at every point."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from actors.errors import OutcomeUnknownWrite
from migrate.decision import Goal
from migrate.errors import ForeignWriter, StillOwned, Superseded, WrongDirection
from migrate.layout.hold import HOLDING
from migrate.record_store import RecordStore, record_key
from migrate.settings import MigrationSettings
from migrate.user_migration import Result, UserMigration
from migrate.user_record import UserState, decode_record
from storage.errors import HoldfastError
from storage.flags.flag import ServedMode
from storage.layout.address import Address
from storage.layout.keys import database_key
from storage.layout.move_record import MoveRecord, MoveState, encode_record, user_unit
from storage.layout.move_record import record_key as layout_key
from storage.log.actor_log import ActorLog
from storage.log.record import Kind
from storage.r2_sqlite.file_state import Mode
from tests.actors.virtual_time import virtual
from tests.migrate.kit import ADDRESS, ENV, USER, HookedStore, Killed, Scene, a_file, begun, reasons, tried

CALLS_MAX = 120


async def kinds(scene: Scene) -> list[Kind]:
    log = ActorLog(scene.store, ENV, ADDRESS, scene.clock, scene.rng)
    return [entry.record.kind for entry in await log.read_from(1)]


# ---- there and back


@virtual
async def test_a_user_goes_to_the_actor_with_everything_and_keeps_writing() -> None:
    scene = await begun(1, 2)
    assert await scene.served() == "r2"
    outcome = await scene.migrate()
    assert (outcome.result, dict(outcome.profiles)) == (Result.MOVED, {"main": UserState.ACTOR})
    assert (await scene.state()).state is Mode.ACTOR and await scene.served() == "actor"
    await scene.write(3)
    assert await scene.numbers() == [1, 2, 3]
    flag = await scene.flags.get(USER)
    assert flag is not None and flag.mode is ServedMode.ACTOR and flag.by == "a test"
    await scene.close()


@virtual
@pytest.mark.parametrize("state", sorted(HOLDING))
async def test_a_user_whose_layout_is_moving_is_left_alone(state: MoveState) -> None:
    scene = await begun(1)
    key = layout_key(ENV, user_unit(USER))
    await scene.store.put(key, encode_record(MoveRecord(state, "main", "a run", "2026-01-01T00:00:00Z")))
    before = (await scene.store.get(database_key(ENV, ADDRESS))).body
    with pytest.raises(WrongDirection, match=state.value):
        await scene.migrate()
    assert (await scene.store.get(database_key(ENV, ADDRESS))).body == before and await scene.served() == "r2"
    await scene.store.delete(key)
    assert (await scene.migrate()).result is Result.MOVED
    await scene.close()


@virtual
async def test_migrate_roll_back_and_migrate_again_carry_every_write_along() -> None:
    scene = await begun(1)
    for round_ in range(3):
        await scene.migrate()
        await scene.write(10 * round_ + 2)
        outcome = await scene.roll_back()
        assert outcome.profiles == {"main": UserState.ROLLED_BACK} and await scene.served() == "r2"
        await scene.write(10 * round_ + 3)
    await scene.migrate()
    assert await scene.numbers() == [1, 2, 3, 12, 13, 22, 23]
    assert (await scene.state()).gen == 10
    assert [kind for kind in await kinds(scene) if kind in (Kind.IMPORT, Kind.CLOSE)] == [
        *[Kind.IMPORT, Kind.CLOSE] * 3,
        Kind.IMPORT,
    ]
    await scene.close()


@virtual
async def test_rule_18_a_rollback_right_after_an_insert_that_is_not_flushed_carries_it_back() -> None:
    scene = await begun(1)
    await scene.migrate()
    await scene.write(2, durability="local")
    assert Kind.SEGMENT not in await kinds(scene)
    await scene.roll_back()
    assert await scene.numbers() == [1, 2] and await scene.served() == "r2"
    await scene.close()


@virtual
async def test_answers_remembered_for_idempotency_keys_hold_on_the_other_side() -> None:
    scene = await begun()
    await scene.write(1, idempotency_key="one")
    await scene.migrate()
    await scene.write(1, idempotency_key="one")
    await scene.write(2, idempotency_key="two")
    await scene.roll_back()
    await scene.write(2, idempotency_key="two")
    await scene.write(1, idempotency_key="one")
    assert await scene.numbers() == [1, 2]
    await scene.close()


@virtual
async def test_a_user_who_began_as_an_actor_can_go_to_r2_mode() -> None:
    scene = Scene()
    await scene.actors.actor(*_parts()).sql("CREATE TABLE t (n)")
    await scene.write(1)
    await scene.roll_back()
    assert await scene.served() == "r2" and await scene.numbers() == [1]
    await scene.close()


@virtual
async def test_moving_twice_changes_nothing() -> None:
    scene = await begun(1)
    await scene.migrate()
    before = await scene.file()
    assert (await scene.migrate()).result is Result.ALREADY and await scene.file() == before
    await scene.roll_back()
    before = await scene.file()
    assert (await scene.roll_back()).result is Result.ALREADY and await scene.file() == before
    await scene.close()


@virtual
async def test_a_user_without_data_is_nothing_to_move() -> None:
    scene = Scene()
    assert (await scene.migrate()).result is Result.NOTHING
    assert await RecordStore(scene.parts()).read(USER) is None
    await scene.close()


@virtual
async def test_every_profile_moves_and_the_flag_names_them_all() -> None:
    scene = await begun(1)
    other = Address(USER, "second")
    await scene.put_file(a_file("INSERT INTO t VALUES (9)"), other)
    outcome = await scene.migrate()
    assert set(outcome.profiles) == {"main", "second"}
    assert await scene.numbers(address=other) == [9] and await scene.served(other) == "actor"
    flag = await scene.flags.get(USER)
    assert flag is not None and flag.mode is ServedMode.ACTOR and not flag.profiles
    await scene.close()


class SlowStore:
    """Every call takes a while; what is put into records is remembered."""

    def __init__(self, scene: Scene, seconds: float) -> None:
        self._scene = scene
        self._seconds = seconds
        self.states: list[str] = []

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._scene.store, name)
        if name not in ("get", "head", "put", "list"):
            return method

        async def call(key: str, *args: Any, **options: Any) -> Any:
            await self._scene.clock.sleep(self._seconds)
            if name == "put" and key == record_key(ENV, USER):
                self.states.append(decode_record(args[0], key).state.value)
            return await method(key, *args, **options)

        return call


@virtual
async def test_the_record_tells_how_far_a_slow_move_is_and_does_not_hold_up_a_fast_one() -> None:
    scene = await begun(1)
    slow, fast = SlowStore(scene, 0.4), SlowStore(scene, 0.01)
    await scene.migrate(slow)
    assert slow.states == ["r2", "sealing", "importing", "verifying", "actor"]
    await scene.roll_back(fast)
    assert fast.states == ["actor", "rolling_back", "rolled_back"]
    await scene.close()


# ---- odd files


ODD = {
    "encrypted": b"\x00" * 4096,
    "wal": a_file("INSERT INTO t VALUES (1)", wal=True),
    "corrupt": a_file("INSERT INTO t VALUES (1)")[:512] + b"\xff" * 512,
    "reserved_name": a_file("CREATE TABLE _cf_mine (x)"),
    "too_large": a_file("CREATE TABLE big (b)", f"INSERT INTO big VALUES (zeroblob({(1 << 20) + 1}))"),
    "refused": a_file("PRAGMA encoding = 'UTF-8'", "CREATE VIEW v AS SELECT * FROM _cf_x")[:],
}


@pytest.mark.parametrize("reason", sorted(ODD))
@virtual
async def test_an_odd_file_is_quarantined_with_its_reason_and_left_as_it_is(reason: str) -> None:
    scene = await begun(1)
    odd = Address(USER, "odd")
    await scene.put_file(ODD[reason], odd)
    outcome = await scene.migrate()
    assert outcome.result is Result.QUARANTINED and reasons(outcome) == {"odd": reason}
    assert outcome.profiles == {"main": UserState.ACTOR, "odd": UserState.QUARANTINED}
    assert await scene.file(odd) == ODD[reason] and await scene.numbers() == [1]
    flag = await scene.flags.get(USER)
    assert flag is not None and flag.mode_of("odd") is ServedMode.R2 and flag.mode_of("main") is ServedMode.ACTOR
    await scene.close()


@virtual
async def test_a_quarantined_file_that_was_put_right_moves_at_the_next_run() -> None:
    scene = Scene()
    await scene.put_file(a_file("INSERT INTO t VALUES (1)", wal=True))
    assert (await scene.migrate()).result is Result.QUARANTINED
    await scene.put_file(a_file("INSERT INTO t VALUES (1)"))
    assert (await scene.migrate()).profiles == {"main": UserState.ACTOR} and await scene.numbers() == [1]
    await scene.close()


# ---- killed drivers


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
@virtual
async def test_a_driver_killed_at_every_store_call_is_carried_on_by_the_next(after: bool) -> None:
    """Both ways, for N = 1, 2, 3… until a driver passes untouched. In between the user keeps writing."""
    for forward in (True, False):
        for at in range(1, CALLS_MAX):
            scene = await begun(1)
            if not forward:
                await scene.migrate()
                await scene.write(2)
            move = scene.migrate if forward else scene.roll_back
            dying = HookedStore(scene.store, at=at, after=after)
            try:
                await move(dying)
            except Killed:
                pass
            error = await tried(scene.write(7))
            assert error is None or (error.retryable and error.code != OutcomeUnknownWrite.code)
            await move()
            expected = [1] if forward else [1, 2]
            assert await scene.numbers() == expected + ([7] if error is None else []), f"call {at}"
            assert await scene.served() == ("actor" if forward else "r2")
            await scene.close()
            if not dying.passed:
                break
        else:
            raise AssertionError("no end of calls")


@virtual
async def test_two_drivers_at_every_point_of_each_other() -> None:
    """A second driver does the whole move while the first stands at its Nth call."""
    for at in range(1, CALLS_MAX):
        scene = await begun(1)

        async def other(scene: Scene = scene) -> None:
            await scene.migrate()
            await scene.write(2)

        stopped = HookedStore(scene.store, at=at, hook=other)
        await scene.migrate(stopped)
        assert await scene.numbers() == ([1, 2] if stopped.passed else [1])
        assert (await kinds(scene)).count(Kind.IMPORT) == 1
        await scene.close()
        if not stopped.passed:
            return
    raise AssertionError("no end of calls")


# ---- racing requests


async def race(
    move: Callable[[Scene, HookedStore], Awaitable[object]],
    request: Callable[[Scene, HookedStore], Awaitable[None]],
    *,
    moved: bool = False,
) -> None:
    """The request at every call of the driver, then the driver at every call of the request."""
    for driver_stops in (True, False):
        for after in (False, True):
            for at in range(1, CALLS_MAX):
                if not await _raced(move, request, driver_stops, at, after=after, moved=moved):
                    break
            else:
                raise AssertionError("no end of calls")


async def _raced(
    move: Callable[[Scene, HookedStore], Awaitable[object]],
    request: Callable[[Scene, HookedStore], Awaitable[None]],
    driver_stops: bool,
    at: int,
    *,
    after: bool,
    moved: bool,
) -> bool:
    scene = await begun(1)
    if moved:
        await scene.migrate()
    plain = HookedStore(scene.store)
    outcome: list[HoldfastError | None] = []

    async def run_request(store: HookedStore) -> None:
        outcome.append(await tried(request(scene, store)))

    async def run_move(store: HookedStore) -> None:
        await move(scene, store)

    first, second = (run_move, run_request) if driver_stops else (run_request, run_move)
    hooked = HookedStore(scene.store, at=at, after=after, hook=lambda: second(plain))
    await first(hooked)
    if not hooked.passed:
        await scene.close()
        return False
    numbers, error = await scene.numbers(), outcome[0]
    if error is None:
        assert numbers == [1, 2], f"call {at}: acknowledged, and found {numbers}"
    else:
        assert error.retryable and numbers == [1], f"call {at}: {error!r}, and found {numbers}"
    await scene.close()
    return True


async def _migrate(scene: Scene, store: HookedStore) -> None:
    await scene.migrate(store)


async def _write(scene: Scene, store: HookedStore) -> None:
    await scene.write(2, router=scene.gateway(store))


@virtual
async def test_a_write_races_the_seal_and_the_cut_over_at_every_point() -> None:
    await race(_migrate, _write)


@virtual
async def test_a_write_races_the_rollback_at_every_point() -> None:
    async def roll_back(scene: Scene, store: HookedStore) -> None:
        await scene.roll_back(store)

    await race(roll_back, _write, moved=True)


@virtual
async def test_rule_14_a_put_with_the_etag_from_before_the_seal_is_refused_and_runs_once_in_the_actor() -> None:
    scene = await begun(1)

    async def move() -> None:
        await scene.migrate()

    slow = HookedStore(scene.store, at=1, only="put", hook=move)
    await scene.write(2, router=scene.gateway(slow))
    assert slow.passed and await scene.served() == "actor" and await scene.numbers() == [1, 2]
    await scene.close()


@virtual
async def test_two_gateways_with_opposite_stale_flags_agree_with_the_file() -> None:
    scene = await begun(1)
    old, new = scene.gateway(), scene.gateway()
    await scene.numbers(router=old)
    await scene.migrate()
    await scene.numbers(router=new)
    await scene.write(2, router=old)
    await scene.write(3, router=new)
    await scene.roll_back()
    await scene.write(4, router=new)
    await scene.write(5, router=old)
    assert await scene.numbers(router=old) == await scene.numbers(router=new) == [1, 2, 3, 4, 5]
    await scene.close()


# ---- opposite wishes, stubborn owners, foreign writers


@virtual
async def test_the_last_command_counts_and_the_driver_before_leaves_the_user_to_it() -> None:
    scene = await begun(1)

    async def change_of_mind() -> None:
        await scene.roll_back()

    with pytest.raises(Superseded):
        await scene.migrate(HookedStore(scene.store, at=12, hook=change_of_mind))
    assert await scene.served() == "r2" and await scene.numbers() == [1]
    await scene.close()


@virtual
async def test_a_rollback_that_was_begun_is_not_turned_around() -> None:
    scene = await begun(1)
    await scene.migrate()
    at = 1
    while (await scene.state()).state is not Mode.RETURNING:
        with pytest.raises(Killed):
            await scene.roll_back(HookedStore(scene.store, at=at))
        at += 1
    with pytest.raises(WrongDirection):
        await scene.migrate()
    await scene.roll_back()
    assert (await scene.migrate()).profiles == {"main": UserState.ACTOR} and await scene.numbers() == [1]
    await scene.close()


@virtual
async def test_rule_18_an_owner_that_does_not_end_is_waited_for_and_closed_over_only_by_force() -> None:
    scene = await begun(1, migration=MigrationSettings(release_wait_s=5.0))
    await scene.migrate()
    await scene.write(2, durability="r2")

    async def deaf(address: Address) -> None:
        raise StillOwned("busy")

    scene.release = deaf  # type: ignore[method-assign]
    with pytest.raises(StillOwned, match="the last answer: busy"):
        await scene.roll_back()
    assert Kind.CLOSE not in await kinds(scene) and (await scene.state()).state is Mode.RETURNING
    await scene.roll_back(force=True)
    assert await scene.served() == "r2" and await scene.numbers() == [1, 2]
    await scene.close()


@virtual
async def test_a_file_that_a_foreign_writer_opened_again_is_not_moved_over_its_log() -> None:
    scene = await begun(1)
    await scene.migrate()
    await scene.write(2)
    await scene.put_file(a_file())
    with pytest.raises(ForeignWriter):
        await scene.migrate()
    assert await RecordStore(scene.parts()).read(USER) is not None
    await scene.close()


@virtual
async def test_writes_that_wait_longer_than_allowed_end_the_cut_over() -> None:
    scene = await begun(1, migration=MigrationSettings(pause_s_max=2.0))

    async def slow() -> None:
        await scene.clock.sleep(3.0)

    with pytest.raises(HoldfastError) as late:
        await scene.migrate(HookedStore(scene.store, at=15, hook=slow))
    assert late.value.code == "pause_too_long" and await scene.served() == "r2"
    await scene.write(2)
    assert (await scene.migrate()).pause_s == pytest.approx(0.0, abs=1.0) and await scene.numbers() == [1, 2]
    await scene.close()


@virtual
async def test_a_deleted_profile_stays_deleted() -> None:
    from actors.durability.closing import close_address

    scene = await begun(1)
    await scene.migrate()
    await scene.numbers()
    await close_address(scene.store, ENV, ADDRESS, clock=scene.clock, rng=scene.rng, release=scene.release)
    await UserMigration(scene.parts(), USER, Goal.R2).run()
    assert (await scene.state()).state is Mode.ACTOR and (await kinds(scene))[-1] is Kind.CLOSE
    await scene.close()


def _parts() -> tuple[str, str]:
    return ADDRESS.user, ADDRESS.profile
