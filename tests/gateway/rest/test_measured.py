"""What r2 mode has measured, for operators: who should move, what shadow reads found."""

from __future__ import annotations

import pytest

from actors.r2mode.shadow import ShadowReads
from actors.r2mode.shadow_run import Comparison, Engine, Finding, ShadowRun
from actors.settings import DatabaseSettings
from gateway.rest.measured import measured_candidates
from gateway.tokens import sign_user_token, user_token_key
from storage.flags.flag import ServedMode
from storage.log.bookmark import Bookmark
from storage.r2_sqlite.figures import Figures
from tests.actors.virtual_time import virtual
from tests.gateway.kit import assert_problem, bench
from tests.gateway.modal import modal

TOKEN = "a-token-of-the-service"
PATHS = ("/v1/admin/candidates", "/v1/admin/shadow")
MIB = 1 << 20


def test_most_reasons_come_first_then_the_largest_and_the_rest_is_left_out() -> None:
    figures = Figures(users_max=10)
    for user, size, seconds in (("small", 1, 0.0), ("large", 3 * MIB, 0.0), ("larger", 4 * MIB, 0.0), ("slow", MIB, 1)):
        figures.loaded(user, size, seconds)
    assert [each.user for each in measured_candidates(figures)] == ["slow", "larger", "large"]
    assert [each.user for each in measured_candidates(figures, most=1)] == ["slow"]


@virtual
async def test_a_wish_for_an_actor_is_a_reason() -> None:
    async with modal() as world:
        gateway = await world.gateway(new_users=ServedMode.R2)
        await gateway.add("alice", "final")
        assert (await gateway.client.get(PATHS[0])).json() == {"candidates": []}
        refused = await gateway.client.get(f"/v1/users/alice/durable?bookmark={Bookmark(1, 1, 1)}")
        assert_problem(refused, 409, "needs_actor_mode")
        (found,) = (await gateway.client.get(PATHS[0])).json()["candidates"]
        assert (found["user"], found["needs_actor"], found["lost_races"]) == ("alice", 1, 0)
        assert found["reasons"] == ["asked 1 times for what only an actor can do"]
        assert found["size_bytes"] > 0


@virtual
async def test_who_has_an_actor_is_no_candidate_any_more() -> None:
    async with modal() as world:
        gateway = await world.gateway(new_users=ServedMode.ACTOR)
        gateway.modes.files.files.figures.needed_actor("alice")
        assert len((await gateway.client.get(PATHS[0])).json()["candidates"]) == 1
        await gateway.add("alice", "final")
        assert (await gateway.client.get(PATHS[0])).json() == {"candidates": []}


@virtual
async def test_what_shadow_reads_found_is_shown_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Comparison((Finding(Engine.ACTOR, 0, 1, '["a"]', "null"),), dict.fromkeys(Engine, 0.1))
    monkeypatch.setattr(ShadowRun, "compare", lambda run, settings, now: found)
    async with modal() as world:
        gateway = await world.gateway(new_users=ServedMode.R2)
        await gateway.add("alice", "final")
        assert (await gateway.client.get(PATHS[1])).json() == {"differences": []}
        shadow = ShadowReads(share=1.0, seed=1, settings=DatabaseSettings(), clock=world.clock)
        gateway.modes.files.shadow = shadow
        assert await gateway.names("alice") == ["final"]
        await shadow.settle()
        (kept,) = (await gateway.client.get(PATHS[1])).json()["differences"]
        assert (kept["user"], kept["seconds"]) == ("alice", {"actor": 0.1, "control": 0.1})
        assert kept["findings"] == [
            {"engine": "actor", "statement": 0, "row": 1, "answered": '["a"]', "found": "null", "failed": False}
        ]
        scrape = (await gateway.client.get("/metrics")).text
        assert 'holdfast_shadow_reads_total{result="different"} 1.0' in scrape
        await gateway.modes.files.close()


@virtual
async def test_only_operators_look() -> None:
    key = user_token_key(TOKEN, None)
    assert key is not None
    user_token = sign_user_token("alice", key=key, now=1_800_000_000.0, lifetime_s=3600.0)
    async with modal() as world:
        modes = (await world.gateway()).modes
        async with bench(modes=modes, token=TOKEN) as gateway:
            for path in PATHS:
                for token, status in ((None, 401), (user_token, 403), (TOKEN, 200)):
                    headers = {} if token is None else {"authorization": f"Bearer {token}"}
                    assert (await gateway.client.get(path, headers=headers)).status_code == status, path


async def test_a_gateway_without_r2_mode_has_measured_nothing() -> None:
    async with bench() as gateway:
        for path in PATHS:
            assert_problem(await gateway.client.get(path), 404, "not_found")
