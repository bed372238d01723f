"""Finalize (rule 19): not before its time, not over a foreign writer's work, and never by deleting (finding 27)."""

from __future__ import annotations

import pytest

from migrate.errors import ForeignWriter, TooEarly, WrongDirection
from migrate.finalization import Fate, Finalization
from migrate.settings import DAY_S
from storage.layout.keys import database_key
from storage.r2_sqlite.file_state import Mode, tombstone_body
from tests.actors.virtual_time import virtual
from tests.migrate.kit import ADDRESS, ENV, USER, Scene, a_file, begun

MONTH_S = 30 * DAY_S


async def moved(*numbers: int, age_s: float = MONTH_S + 1) -> Scene:
    """A scene whose user was moved to the actor `age_s` ago."""
    scene = await begun(*numbers)
    await scene.migrate()
    scene.clock.skip(age_s)  # type: ignore[attr-defined]
    return scene


def finalization(scene: Scene) -> Finalization:
    return Finalization(scene.parts(), USER)


@virtual
async def test_a_month_later_a_tombstone_takes_the_sealed_files_place() -> None:
    scene = await moved(1, 2)
    await scene.write(3)
    before = await scene.state()
    (done,) = await finalization(scene).run()
    after = await scene.state()
    assert done.fate is Fate.TOMBSTONE and await scene.file() == tombstone_body(after)
    assert (after.state, after.gen, after.ring) == (Mode.ACTOR, before.gen, before.ring) and after.nonce != before.nonce
    assert await scene.numbers(router=scene.gateway()) == [1, 2, 3]
    (again,) = await finalization(scene).run()
    assert again.fate is Fate.ALREADY
    await scene.close()


@virtual
async def test_finalize_refuses_earlier_by_the_stores_own_clock() -> None:
    scene = await moved(1, age_s=MONTH_S - 60)
    before = await scene.file()
    with pytest.raises(TooEarly) as early:
        await finalization(scene).run()
    assert await scene.file() == before and early.value.retry_after_s == pytest.approx(60, abs=5)
    await scene.close()


@virtual
async def test_a_dry_run_writes_nothing() -> None:
    scene = await moved(1)
    before = await scene.file()
    (planned,) = await finalization(scene).run(execute=False)
    assert planned.fate is Fate.TOMBSTONE and await scene.file() == before
    await scene.close()


@pytest.mark.parametrize("what", ["an old copy", "the sealed file, changed", "nothing"])
@virtual
async def test_a_foreign_writer_stops_finalize_and_is_reported(what: str) -> None:
    scene = await moved(1)
    if what == "nothing":
        await scene.store.delete(database_key(ENV, ADDRESS))
        await scene.put_file(a_file(), ADDRESS)
    elif what == "an old copy":
        await scene.put_file(a_file())
    else:
        await scene.put_file((await scene.file()) + b"\x00" * 512)
    scene.clock.skip(MONTH_S + 1)  # type: ignore[attr-defined]
    before = await scene.file()
    with pytest.raises(ForeignWriter):
        await finalization(scene).run()
    with pytest.raises(ForeignWriter):
        await finalization(scene).check()
    assert await scene.file() == before
    await scene.close()


@virtual
async def test_a_user_who_is_not_an_actors_is_not_finalized() -> None:
    scene = await moved(1)
    await scene.roll_back()
    with pytest.raises(WrongDirection):
        await finalization(scene).run()
    await scene.close()


@virtual
async def test_a_finalized_user_can_still_go_back_with_everything() -> None:
    scene = await moved(1)
    await finalization(scene).run()
    await scene.write(2)
    await scene.roll_back()
    assert await scene.served() == "r2" and await scene.numbers() == [1, 2]
    await scene.close()
