"""One address, step by step: what each write looks like, and what stays behind when something is wrong."""

from __future__ import annotations

import pytest

import migrate.mover as mover_module
from actors.database.image import PageImage
from actors.database.scratch import scratch_connection
from actors.settings import DatabaseSettings
from migrate.decision import Goal, Step
from migrate.errors import NoProgress, Quarantined
from migrate.imaging import image_for_import
from migrate.mover import Look, Mover
from migrate.settings import MigrationSettings
from migrate.user_migration import Result
from storage.errors import InvalidRequest
from storage.layout.keys import database_key, segment_key
from storage.log.actor_log import ActorLog, Entry
from storage.log.record import Kind
from storage.objects.settle import PUT_ID_KEY
from storage.r2_sqlite.file_state import Mode, state_from_metadata
from tests.actors.virtual_time import virtual
from tests.migrate.kit import ADDRESS, ENV, Scene, a_file, begun


async def entries(scene: Scene) -> list[Entry]:
    return await ActorLog(scene.store, ENV, ADDRESS, scene.clock, scene.rng).read_from(1)


async def steps(scene: Scene, goal: Goal) -> list[Step]:
    seen: list[Step] = []

    async def witness(step: Step, look: Look) -> None:
        seen.append(step)

    await Mover(scene.parts(), ADDRESS, witness=witness).move(goal)
    return seen


@virtual
async def test_the_way_there_and_back_is_these_steps() -> None:
    scene = await begun(1)
    assert await steps(scene, Goal.ACTOR) == [Step.SEAL, Step.IMPORT, Step.SNAPSHOT, Step.CUT_OVER, Step.DONE]
    await scene.write(2)
    assert await steps(scene, Goal.R2) == [Step.RETURN, Step.DRAIN, Step.CLOSE, Step.REOPEN, Step.DONE]
    assert await steps(scene, Goal.R2) == [Step.DONE]
    await scene.close()


@virtual
async def test_rule_16_the_import_holds_every_page_of_the_next_slot_and_a_snapshot_follows() -> None:
    scene = await begun(1)
    for gen in (1, 4):
        before = len(await entries(scene))
        await steps(scene, Goal.ACTOR)
        (found,) = (await entries(scene))[before:]
        assert (found.record.kind, found.record.gen) == (Kind.IMPORT, gen)
        assert len(found.segment.pages) == found.segment.page_count
        assert found.record.commits is not None and found.record.commits[0] == found.record.commits[1]
        assert (await scene.store.head(segment_key(ENV, ADDRESS, 9, 1, found.slot))).size > 0
        await scene.write(gen)
        await steps(scene, Goal.R2)
    await scene.close()


@virtual
async def test_rule_13_metadata_repeat_what_the_body_says() -> None:
    scene = await begun(1)
    await steps(scene, Goal.ACTOR)
    info = await scene.store.head(database_key(ENV, ADDRESS))
    told, state = state_from_metadata(info.metadata), await scene.state()
    assert told is not None and (told.state, told.gen, told.nonce) == (Mode.ACTOR, 1, state.nonce)
    assert PUT_ID_KEY in info.metadata and len(state.ring) == 1
    await scene.close()


@virtual
async def test_a_damaged_log_quarantines_the_next_move_and_leaves_nothing_sealed() -> None:
    scene = await begun(1)
    await scene.migrate()
    await scene.write(2, durability="r2")
    await scene.roll_back()
    for slot in (3, 4):
        await scene.store.delete(segment_key(ENV, ADDRESS, 0, slot, slot))
    outcome = await scene.migrate()
    assert "log" in outcome.reasons["main"] or "slot" in outcome.reasons["main"]
    assert (await scene.state()).state is Mode.OPEN and await scene.numbers() == [1, 2]
    await scene.write(3)
    await scene.close()


def test_rule_17_an_import_that_lost_a_row_never_becomes_the_actors(monkeypatch: pytest.MonkeyPatch) -> None:
    def lossy(body: bytes, settings: DatabaseSettings) -> PageImage:
        image = image_for_import(body, settings)
        with scratch_connection(image) as connection:
            connection.execute("DELETE FROM t WHERE n = 2")
        return image

    @virtual
    async def story() -> None:
        scene = await begun(1, 2, 3)
        monkeypatch.setattr(mover_module, "image_for_import", lossy)
        outcome = await scene.migrate()
        assert outcome.result is Result.QUARANTINED
        assert outcome.reasons["main"] == "not_verified: table t: row 2: (2) in the file, (3) in the log"
        assert (await scene.state()).state is Mode.OPEN and await scene.numbers() == [1, 2, 3]
        monkeypatch.undo()
        assert (await scene.migrate()).result is Result.MOVED and await scene.numbers() == [1, 2, 3]
        await scene.close()

    story()


@virtual
async def test_a_file_that_turns_odd_between_seal_and_import_is_unsealed() -> None:
    scene = Scene()
    await scene.put_file(a_file())
    parts = scene.parts()

    async def witness(step: Step, look: Look) -> None:
        if step is Step.IMPORT:
            raise Quarantined("odd after all")

    with pytest.raises(Quarantined):
        await Mover(parts, ADDRESS, witness=witness).move(Goal.ACTOR)
    assert (await scene.state()).state is Mode.SEALING
    await Mover(parts, ADDRESS).unseal()
    assert (await scene.state()).state is Mode.OPEN
    await Mover(parts, ADDRESS).unseal()
    assert (await scene.state()).gen == 2
    await scene.close()


@virtual
async def test_an_address_that_never_comes_to_rest_is_left_for_later() -> None:
    scene = await begun(1, migration=MigrationSettings(steps_max=2))
    with pytest.raises(NoProgress):
        await Mover(scene.parts(), ADDRESS).move(Goal.ACTOR)
    await scene.close()


@pytest.mark.parametrize(
    "settings",
    [
        MigrationSettings(pause_s_max=-1),
        MigrationSettings(release_wait_s=0),
        MigrationSettings(steps_max=0),
        MigrationSettings(retention_s=60),
    ],
)
def test_wrong_settings_are_refused(settings: MigrationSettings) -> None:
    with pytest.raises(InvalidRequest):
        settings.validate()
