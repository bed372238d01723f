"""Holes that take a longer story than chance tells: told step by step, with the rule and without it."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from typing import Any

import pytest

from migrate.comparison import digest_file
from migrate.decision import Goal, Step
from migrate.mover import Look, Mover
from migrate.rules import MigrationRules
from storage.layout.keys import database_key
from storage.objects.memory import MemoryStore
from storage.objects.port import ObjectInfo, StoredObject
from storage.r2_sqlite.file_state import FileState, read_state, with_state
from tests.actors.virtual_time import VirtualClock, virtual
from tests.migrate.kit import ADDRESS, ENV, HookedStore, Scene, a_file

KEY = database_key(ENV, ADDRESS)


class ForgetfulStore(MemoryStore):
    """Finding 22: a file's ETag as if its body held neither nonce nor generation nor ring, so that an earlier content
    brings the earlier ETag back."""

    async def put(self, key: str, body: bytes, **options: Any) -> ObjectInfo:
        info = await super().put(key, body, **options)
        if key != KEY:
            return info
        plain = f"{digest_file(body)} {read_state(body).state}"
        info = replace(info, etag=hashlib.md5(plain.encode()).hexdigest())
        self._objects[key] = StoredObject(info, body)
        return info


class StopHere(Exception):
    """The driver is killed before this step."""


async def steps(scene: Scene, goal: Goal, *, before: Step | None = None, rules: MigrationRules | None = None) -> None:
    """A driver on its way, killed before it does `before`."""

    async def witness(step: Step, look: Look) -> None:
        if step is before:
            raise StopHere

    try:
        await Mover(scene.parts(rules=rules), ADDRESS, witness=witness).move(goal)
    except StopHere:
        assert before is not None


async def a_put_that_slept_through_seal_import_and_abort(scene: Scene, rules: MigrationRules) -> list[int]:
    """What a reader finds after everything; the write was acknowledged."""
    await scene.put_file(with_state(a_file(), FileState()))

    async def a_round() -> None:
        await steps(scene, Goal.ACTOR, before=Step.CUT_OVER, rules=rules)
        await steps(scene, Goal.R2, rules=rules)

    slow = HookedStore(scene.store, at=1, only="put", hook=a_round)
    await scene.write(1, router=scene.gateway(slow))
    assert slow.passed
    await asyncio.wait_for(steps(scene, Goal.ACTOR, rules=rules), 60)
    found = await scene.numbers(router=scene.gateway())
    await scene.close()
    return found


@virtual
async def test_finding_22_a_sleeping_put_finds_another_version_although_the_content_is_the_same() -> None:
    assert await a_put_that_slept_through_seal_import_and_abort(Scene(), MigrationRules()) == [1]


@virtual
async def test_finding_22_without_nonce_and_generation_the_acknowledged_write_is_lost() -> None:
    clock = VirtualClock()
    scene = Scene(clock=clock, store=ForgetfulStore(clock))
    assert await a_put_that_slept_through_seal_import_and_abort(scene, MigrationRules(verifies=False)) == []


@virtual
async def test_finding_23_an_import_of_an_earlier_round_is_dead_weight() -> None:
    """Round 1 is aborted behind its import; what was written since must not vanish in round 2."""
    scene = Scene()
    await scene.put_file(a_file())
    await steps(scene, Goal.ACTOR, before=Step.CUT_OVER)
    await steps(scene, Goal.R2)
    await scene.write(1)
    await steps(scene, Goal.ACTOR)
    assert await scene.numbers(router=scene.gateway()) == [1]
    await scene.close()


@pytest.mark.parametrize("before", [Step.IMPORT, Step.SNAPSHOT, Step.CUT_OVER])
@virtual
async def test_rule_15_an_abort_at_any_point_gives_the_file_back_as_it_was(before: Step) -> None:
    scene = Scene()
    await scene.put_file(a_file("INSERT INTO t VALUES (3)"))
    await steps(scene, Goal.ACTOR, before=before)
    assert await scene.numbers() == [3]  # reads are answered while the file is sealing
    await steps(scene, Goal.R2)
    assert (await scene.state()).gen == 2 and await scene.numbers() == [3]
    await scene.write(4)
    assert await scene.numbers() == [3, 4]
    await scene.close()
