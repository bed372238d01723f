"""Plans and verification: what would be done, and whether what was done is well. Nothing is written."""

from __future__ import annotations

from migrate.candidates import find_candidates, judge
from migrate.flagging import flag_of
from migrate.profile_finder import all_users, databases_of
from migrate.survey import plan_user, verify_user
from storage.flags.flag import Flag, ServedMode
from storage.layout.address import Address
from storage.layout.keys import segment_key
from storage.r2_sqlite.figures import UserFigures
from tests.actors.virtual_time import virtual
from tests.migrate.kit import ADDRESS, ENV, USER, Scene, a_file, begun

R2, ACTOR = ServedMode.R2, ServedMode.ACTOR


async def everything(scene: Scene) -> dict[str, str]:
    return {info.key: info.etag for info in (await scene.store.list("")).objects}


@virtual
async def test_a_plan_names_every_profile_and_writes_nothing() -> None:
    scene = await begun(1)
    await scene.put_file(a_file(wal=True), Address(USER, "odd"))
    before = await everything(scene)
    main, odd = await plan_user(scene.parts(), USER)
    assert (main.state, main.tables, main.problem) == ("open", 1, "") and main.pause_s is not None
    assert (odd.code, odd.pause_s) == ("wal", None) and await everything(scene) == before
    await scene.migrate()
    assert [each.state for each in await plan_user(scene.parts(), USER)] == ["actor", "odd"]
    await scene.close()


@virtual
async def test_what_was_moved_is_well_before_and_after_new_writes() -> None:
    scene = await begun(1)
    for _ in range(2):
        assert [each.problem for each in await verify_user(scene.parts(), USER)] == [""]
        await scene.migrate()
        assert [each.problem for each in await verify_user(scene.parts(), USER)] == [""]
        await scene.write(2, durability="r2")
        assert [each.problem for each in await verify_user(scene.parts(), USER)] == [""]
        await scene.roll_back()
    await scene.close()


@virtual
async def test_a_foreign_writer_and_a_damaged_log_are_told() -> None:
    scene = await begun(1)
    await scene.migrate()
    sealed = await scene.file()
    await scene.put_file(a_file())
    assert "foreign_writer" in {each.code for each in await verify_user(scene.parts(), USER)}
    await scene.put_file(sealed)
    await scene.write(2, durability="r2")
    await scene.store.delete(segment_key(ENV, ADDRESS, 0, 2, 2))
    assert "log_gap" in {each.code for each in await verify_user(scene.parts(), USER)}
    await scene.close()


@virtual
async def test_users_and_profiles_are_found_by_their_folders() -> None:
    scene = await begun(1)
    for key in ("dev/users/bob/profiles.json", "dev/users/../x", "dev/users/carol/profiles/p/uploads/a.mp4"):
        try:
            await scene.store.put(key, b"{}")
        except Exception as error:
            assert ".." in str(error)
    await scene.put_file(a_file(), Address("bob", "b1"))
    await scene.put_file(a_file(), Address("bob", "b2"))
    await scene.migrate()
    assert [user async for user in all_users(scene.store, ENV)] == ["alice", "bob", "carol"]
    assert sorted(await databases_of(scene.store, ENV, "bob")) == ["b1", "b2"]
    assert await databases_of(scene.store, ENV, "carol") == {}
    await scene.close()


@virtual
async def test_candidates_are_users_in_r2_mode_with_a_reason() -> None:
    scene = await begun(1)
    large = a_file("CREATE TABLE big (b)", "INSERT INTO big VALUES (zeroblob(700000))")
    for user in ("bob", "carol"):
        await scene.put_file(large, Address(user, "main"))
    await scene.put_file(a_file(), Address("dave", "main"))
    measured = UserFigures(lost_races=3, needs_actor=1)
    found = [each async for each in find_candidates(scene.store, ENV, {"dave": measured})]
    assert [each.user for each in found] == ["bob", "carol", "dave"]
    assert found[0].reasons == ("size 0.7 MiB",) and len(found[2].reasons) == 2
    await scene.close()


def test_slow_loads_and_saves_are_reasons() -> None:
    figures = UserFigures()
    figures.saves_s.extend([0.5] * 20)
    candidate = judge("a", 10, figures)
    assert candidate is not None and candidate.reasons == ("save p95 0.50 s",)
    assert judge("a", 10, UserFigures()) is None


def test_a_flag_says_what_all_profiles_share_and_names_those_that_differ() -> None:
    assert flag_of({"a": ACTOR, "b": ACTOR}, None, at=1.0, by="x") == Flag(ACTOR, {}, 1.0, "x")
    mixed = flag_of({"a": ACTOR, "b": R2}, Flag(R2), at=1.0, by="x")
    assert (mixed.mode, dict(mixed.profiles)) == (R2, {"a": ACTOR})
    assert flag_of({"a": ACTOR, "b": ACTOR, "c": R2}, None, at=1.0, by="x").profiles == {"c": R2}
    assert flag_of({}, None, at=1.0, by="x").mode is R2
