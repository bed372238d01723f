"""How a user is served: the file's state decides, flag and memory only say where to look first (rules 14 and 22)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from actors.call import Op, Reply
from actors.errors import InR2Mode, NotInActorMode
from actors.r2mode.router import R2Router
from gateway.modes import ModeRouter, Place, Reason
from storage.errors import HoldfastError
from storage.flags.flag import Flag, ServedMode
from storage.layout.address import Address
from storage.layout.context import NoCurrentUser, get_current_profile_id, get_current_user_id
from storage.layout.keys import database_key
from storage.r2_sqlite.errors import ChangingModes
from storage.r2_sqlite.transition import Event
from tests.actors.kit import ENV
from tests.actors.virtual_time import virtual
from tests.gateway.kit import Asked, FakeRouter, assert_problem
from tests.gateway.modal import Gateway, Modal, modal

ACTOR, R2, SPLIT = Flag(ServedMode.ACTOR), Flag(ServedMode.R2), Flag(ServedMode.SPLIT)
NEW_IN_R2 = ServedMode.R2


def how(response: object) -> tuple[str, str]:
    headers = response.headers  # type: ignore[attr-defined]
    return headers.get("holdfast-mode", ""), headers.get("holdfast-mode-reason", "")


async def an_r2_user(world: Modal, user: str = "alice") -> Gateway:
    """A gateway, and a user whose file holds one game."""
    gateway = await world.gateway(new_users=NEW_IN_R2)
    assert (await gateway.add(user, "old")).status_code == 200
    return gateway


# ---- where a call goes


@virtual
async def test_a_user_without_any_data_starts_as_the_setting_says() -> None:
    async with modal() as world:
        for setting, user in ((ServedMode.ACTOR, "alice"), (ServedMode.R2, "bob")):
            gateway = await world.gateway(new_users=setting)
            response = await gateway.add(user, "first")
            assert response.status_code == 200, response.text
            mode, reason = how(response)
            assert (mode, reason.split(";")[0]) == (setting.value, "new-user")
            assert await gateway.names(user) == ["first"]
            status = (await gateway.client.get(f"/v1/users/{user}/status")).json()
            assert status["mode"] == setting.value


@virtual
async def test_a_user_with_an_unsealed_file_is_served_in_r2_mode_whatever_the_setting_for_new_ones() -> None:
    async with modal() as world:
        await an_r2_user(world)
        gateway = await world.gateway(new_users=ServedMode.ACTOR)
        response = await gateway.add("alice", "new")
        assert how(response) == ("r2", "file; rollout=default")
        assert response.json()["durability"] == "r2"
        assert await gateway.names("alice") == ["old", "new"]


@virtual
async def test_an_actor_is_found_by_its_file_without_a_flag() -> None:
    async with modal() as world:
        await (await world.gateway()).add("alice", "old")
        gateway = await world.gateway(new_users=NEW_IN_R2)
        response = await gateway.add("alice", "new")
        assert how(response) == ("actor", "file")
        assert await gateway.names("alice") == ["old", "new"]


@virtual
async def test_a_flag_that_is_right_saves_the_look_at_the_file() -> None:
    async with modal() as world:
        await (await world.gateway()).add("alice", "old")
        gateway = await world.gateway(alice=ACTOR)
        await gateway.address("alice")
        key = database_key(ENV, await gateway.address("alice"))
        before = len(world.store.sent)
        assert how(await gateway.add("alice", "new")) == ("actor", "flag")
        assert [sent for sent in world.store.sent[before:] if sent.key == key] == []


@virtual
async def test_a_flag_that_is_wrong_costs_one_hop_and_no_write() -> None:
    """Finding 29: with flags of a minute ago everybody is served all the same."""
    async with modal() as world:
        await an_r2_user(world)
        await (await world.gateway()).add("bob", "old")
        gateway = await world.gateway(alice=ACTOR, bob=R2)
        for user, mode in (("alice", "r2"), ("bob", "actor")):
            response = await gateway.add(user, "new")
            assert response.status_code == 200, response.text
            assert how(response)[0] == mode
            assert how(response)[1].startswith("file")
            assert await gateway.names(user) == ["old", "new"]
        metrics = (await gateway.client.get("/metrics")).text
        assert "holdfast_mode_hops_total 2.0" in metrics


class _FlagDecides(ModeRouter):
    """Finding 29 as a mutant: what the places say is not believed, the flag is read again."""

    def _hop(self, mode: ServedMode) -> Place:
        return Place(ServedMode.ACTOR if mode is ServedMode.R2 else ServedMode.R2, Reason.FLAG)


@pytest.mark.parametrize(("kind", "served"), [(ModeRouter, True), (_FlagDecides, False)])
@virtual
async def test_a_gateway_in_which_the_flag_decides_serves_nobody_for_a_minute(
    kind: type[ModeRouter], served: bool
) -> None:
    async with modal() as world:
        await an_r2_user(world)
        gateway = await world.gateway(alice=ACTOR)
        router = kind(gateway.modes, world.router, _no_default)
        asking = router.call(_Told(), await gateway.address("alice"), Op.SQL, {}, b'{"sql":"SELECT 1"}')
        if served:
            assert b'"rows":[[1]]' in (await asking).body
        else:
            with pytest.raises(HoldfastError):
                await asking


@virtual
async def test_two_gateways_with_opposite_flags_keep_every_write_once() -> None:
    async with modal() as world:
        first = await an_r2_user(world)
        believes = await world.gateway(alice=ACTOR)
        doubts = await world.gateway(alice=R2)
        expected = ["old"]
        for number in range(3):
            for gateway in (first, believes, doubts):
                expected.append(f"{number}-{len(expected)}")
                assert (await gateway.add("alice", expected[-1])).status_code == 200
        assert await doubts.names("alice") == expected


@virtual
async def test_split_is_served_from_the_file_and_says_so() -> None:
    async with modal() as world:
        await an_r2_user(world)
        gateway = await world.gateway(alice=SPLIT)
        response = await gateway.sql("alice", "SELECT 1")
        assert how(response) == ("split", "flag; rollout=default")


@virtual
async def test_a_profile_created_later_starts_in_its_users_mode() -> None:
    async with modal() as world:
        await an_r2_user(world)
        await (await world.gateway()).add("bob", "x")
        for setting in ServedMode.ACTOR, ServedMode.R2:
            gateway = await world.gateway(new_users=setting)
            for user, mode in (("alice", "r2"), ("bob", "actor")):
                made = await gateway.client.post(f"/v1/users/{user}/profiles", json={"name": "second"})
                profile = made.json()["id"]
                response = await gateway.client.post(
                    f"/v1/users/{user}/profiles/{profile}/sql", json={"sql": "INSERT INTO games(name) VALUES('x')"}
                )
                assert (how(response)[0], how(response)[1].split(";")[0]) == (mode, "default-profile")


@virtual
async def test_a_flag_names_the_mode_of_a_profile_created_later() -> None:
    async with modal() as world:
        gateway = await world.gateway(new_users=ServedMode.ACTOR, alice=R2)
        assert how(await gateway.add("alice", "x"))[0] == "r2"


# ---- states of the file


@virtual
async def test_while_sealing_reads_go_on_and_writes_are_to_come_again_even_if_the_flag_says_actor() -> None:
    async with modal() as world:
        await an_r2_user(world)
        for flag in (ACTOR, R2):
            gateway = await world.gateway(alice=flag)
            if flag is ACTOR:
                await world.change(await gateway.address("alice"), Event.SEAL)
            assert await gateway.names("alice") == ["old"]
            refused = await gateway.add("alice", "new")
            assert_problem(refused, 503, "changing_modes", retryable=True)
            assert refused.headers["retry-after"] == "1"


@virtual
async def test_a_file_whose_actor_is_not_there_yet_is_a_retryable_refusal_not_a_circle() -> None:
    """State actor, and no IMPORT of that generation in the log: each side points to the other."""
    async with modal() as world:
        gateway = await an_r2_user(world)
        await world.change(await gateway.address("alice"), Event.SEAL, Event.ABORT, Event.SEAL, Event.CUT_OVER)
        for flag in (ACTOR, R2, None):
            asked = await (world.gateway() if flag is None else world.gateway(alice=flag))
            refused = await asked.sql("alice", "SELECT 1")
            assert refused.status_code == 503, refused.text
            assert refused.json()["retryable"]


@virtual
async def test_what_needs_an_actor_says_so_in_r2_mode() -> None:
    async with modal() as world:
        gateway = await an_r2_user(world)
        refused = await gateway.client.get("/v1/users/alice/durable?bookmark=0000000000000001-0000000000000001-0001")
        if refused.status_code == 400:  # the bookmark's own form is checked first
            answer = await (await world.gateway()).add("bob", "x")
            refused = await gateway.client.get(f"/v1/users/alice/durable?bookmark={answer.json()['bookmark']}")
        assert_problem(refused, 409, "needs_actor_mode")
        assert how(refused)[0] == "r2"


@virtual
async def test_files_go_in_and_out_in_both_modes() -> None:
    async with modal() as world:
        r2 = await an_r2_user(world)
        await (await world.gateway()).add("bob", "old")
        for flag in (ACTOR, R2):
            gateway = await world.gateway(alice=flag, bob=flag)
            for user in ("alice", "bob"):
                exported = await gateway.client.get(f"/v1/users/{user}/export")
                assert exported.content[:15] == b"SQLite format 3"
                imported = await gateway.client.put(f"/v1/users/{user}/import?replace=true", content=exported.content)
                assert imported.status_code == 200, imported.text
                assert await gateway.names(user) == ["old"]
        assert how(await r2.sql("alice", "SELECT 1"))[0] == "r2"


@virtual
async def test_many_calls_that_were_under_way_when_the_actor_left_are_all_answered() -> None:
    async with modal() as world:
        gateway = await an_r2_user(world)
        address = await gateway.address("alice")
        router = gateway.router
        router._remember(address, Place(ServedMode.ACTOR, Reason.FLAG))  # an old memory
        responses = await asyncio.gather(*(gateway.sql("alice", "SELECT 1") for _ in range(5)))
        assert [(each.status_code, how(each)[0]) for each in responses] == [(200, "r2")] * 5


# ---- what it costs


@virtual
async def test_an_actor_that_was_found_costs_no_bucket_call_and_no_flag() -> None:
    async with modal() as world:
        gateway = await world.gateway()
        for _ in range(2):
            await gateway.add("alice", "x")
        assert list(gateway.router.actors_found) == [await gateway.address("alice")]
        reads, before = gateway.flags.reads, len(world.store.sent)  # the actor itself looks and flushes as it likes
        for _ in range(20):
            assert how(await gateway.sql("alice", "SELECT 1")) == ("actor", "new-user")
        asked = [sent.key for sent in world.store.sent[before:] if "/log/" not in sent.key]
        assert (gateway.flags.reads, asked) == (reads, [])


@virtual
async def test_a_first_call_with_a_file_in_it_goes_to_the_right_place_though_the_flag_is_wrong() -> None:
    async with modal() as world:
        r2 = await an_r2_user(world)
        await (await world.gateway()).add("bob", "old")
        file = (await r2.client.get("/v1/users/alice/export")).content
        gateway = await world.gateway(alice=ACTOR, bob=R2)
        for user, mode in (("alice", "r2"), ("bob", "actor")):
            imported = await gateway.client.put(f"/v1/users/{user}/import?replace=true", content=file)
            assert (imported.status_code, how(imported)[0]) == (200, mode), imported.text


@virtual
async def test_flags_that_are_away_stop_nobody() -> None:
    async with modal() as world:
        await an_r2_user(world)
        gateway = await world.gateway()
        gateway.flags.away = True
        assert (await gateway.add("alice", "new")).status_code == 200
        assert (await gateway.add("bob", "new")).status_code == 200


@virtual
async def test_the_rollouts_word_is_shown_to_users_in_r2_mode_and_moves_nobody() -> None:
    async with modal() as world:
        gateway = await an_r2_user(world)
        for change, reason in (
            (lambda found: found.with_percent(100), "percentage"),
            (lambda found: found.denying(["alice"]), "denied"),
        ):
            await gateway.modes.rollouts._rollouts.change(change, by="x")
            await world.clock.sleep(11.0)
            assert how(await gateway.sql("alice", "SELECT 1")) == ("r2", f"new-user; rollout={reason}")


@virtual
async def test_killing_the_rollout_sends_no_moved_user_back() -> None:
    async with modal() as world:
        gateway = await world.gateway(alice=ACTOR)
        await gateway.add("alice", "x")
        await gateway.modes.rollouts._rollouts.change(lambda found: replace(found, killed=True), by="x")
        fresh = await world.gateway(alice=ACTOR)
        assert how(await fresh.add("alice", "y")) == ("actor", "flag")


@virtual
async def test_a_bounded_number_of_addresses_is_remembered() -> None:
    async with modal() as world:
        gateway = await world.gateway()
        router = ModeRouter(gateway.modes, FakeRouter(), _no_default)
        for number in range(150):
            await router.call(_Told(), Address(f"u{number}", "main"), Op.STATUS, {})
        assert len(router._places) == 100


@virtual
async def test_a_deleted_profile_in_r2_mode_takes_no_writes_from_a_gateway_that_still_knows_it() -> None:
    async with modal() as world:
        await an_r2_user(world)
        one, other = await world.gateway(alice=R2), await world.gateway(alice=R2)
        made = await one.client.post("/v1/users/alice/profiles", json={"name": "second"})
        path = f"/v1/users/alice/profiles/{made.json()['id']}"
        insert = {"sql": "INSERT INTO games(name) VALUES('x')"}
        assert (await other.client.post(f"{path}/sql", json=insert)).status_code == 200
        assert (await one.client.delete(path)).status_code == 200
        refused = await other.client.post(f"{path}/sql", json=insert)
        assert refused.status_code in (404, 503), refused.text
        key = database_key(ENV, Address("alice", made.json()["id"]))
        assert (await world.store.inner.head(key)).size < 4096


# ---- bounds of the search


class _Told:
    mode = ""
    mode_reason = ""


async def _no_default(user: str) -> str:
    return "main"


class _Fleeing:
    """Always somewhere else: whoever is asked has just lost the address."""

    def __init__(self, error: HoldfastError) -> None:
        self.error = error
        self.asked = 0

    async def call(self, *_asked: object, **_more: object) -> Reply:
        self.asked += 1
        raise self.error

    async def close(self) -> None:
        return None


@virtual
async def test_a_search_that_finds_nobody_ends_after_a_bound() -> None:
    async with modal() as world:
        setup = await an_r2_user(world)
        address = await setup.address("alice")
        actors = _Fleeing(InR2Mode("in r2 mode"))
        router = ModeRouter((await world.gateway(alice=ACTOR)).modes, actors, _no_default)
        await world.change(address, Event.SEAL, Event.CUT_OVER)
        with pytest.raises(ChangingModes) as moved:  # the word may be of a moment ago: no answer
            await router.call(_Told(), address, Op.STATUS, {})
        assert actors.asked == 1 and moved.value.retryable


@virtual
async def test_an_upload_is_never_sent_to_two_places() -> None:
    async with modal() as world:
        setup = await world.gateway()
        await setup.add("alice", "x")
        address = await setup.address("alice")
        actors = FakeRouter()

        def refuse(asked: Asked) -> Reply:
            raise NotInActorMode("gone")

        async def upload() -> AsyncIterator[bytes]:
            yield b"file"

        actors.answer = refuse
        router = ModeRouter(setup.modes, actors, _no_default)
        with pytest.raises(ChangingModes):
            await router.call(_Told(), address, Op.IMPORT, {}, stream=upload())
        assert [asked.streamed for asked in actors.asked] == [b"file"]


@virtual
async def test_other_errors_are_answers_and_cause_no_hop() -> None:
    async with modal() as world:
        setup = await world.gateway(alice=ACTOR)
        actors = FakeRouter()
        actors.fail_with(HoldfastError("broken"))
        router = ModeRouter(setup.modes, actors, _no_default)
        with pytest.raises(HoldfastError, match="broken"):
            await router.call(_Told(), Address("alice", "main"), Op.STATUS, {})
        assert (len(actors.asked), dict(_counts(router))["holdfast_mode_hops_total"]) == (1, 0.0)


def _counts(router: ModeRouter) -> list[tuple[str, float]]:
    return [(name, value) for name, _, value in router.samples()]


# ---- for whom


@virtual
async def test_whoever_is_asked_finds_user_and_profile_in_the_context(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str]] = []

    async def look(self: object, address: Address, *args: object, **kwargs: object) -> Reply:
        seen.append((get_current_user_id(), get_current_profile_id()))
        return Reply(body=b"{}")

    monkeypatch.setattr(R2Router, "call", look)
    monkeypatch.setattr(FakeRouter, "call", look)
    async with modal() as world:
        router = ModeRouter((await world.gateway(alice=R2, bob=ACTOR)).modes, FakeRouter(), _no_default)
        for user in ("alice", "bob"):
            await router.call(_Told(), Address.parse(user, "main"), Op.SQL, {})
            with pytest.raises(NoCurrentUser):
                get_current_user_id()
    assert seen == [("alice", "main"), ("bob", "main")]


@virtual
async def test_an_erased_user_has_no_flag_left_and_starts_anew() -> None:
    async with modal() as world:
        gateway = await world.gateway(alice=ACTOR, bob=ACTOR)
        assert (await gateway.add("alice", "old")).status_code == 200
        assert (await gateway.client.delete("/v1/users/alice")).status_code == 200
        assert sorted(gateway.flags.values) == ["bob"]
        assert (await gateway.add("alice", "new")).status_code == 200
        assert await gateway.names("alice") == ["new"]
