"""The test kit: what docs/testing.md promises to people who test their own programs with it."""

from __future__ import annotations

import asyncio

import pytest

from actors.errors import ConstraintFailed
from holdfast.testing import FakeClock, LocalActors, running

pytest_plugins = ["pytester"]


async def test_rows_come_back() -> None:
    async with LocalActors() as actors:
        actor = actors.actor("alice", "main")
        await actor.sql("INSERT INTO games (name) VALUES (?)", ["final"])
        answer = await actor.sql("SELECT name FROM games")
        assert (answer.columns, answer.rows) == (["name"], [["final"]])


async def test_a_restart_keeps_what_was_acknowledged() -> None:
    async with LocalActors() as actors:
        actor = actors.actor("alice")
        await actor.sql("INSERT INTO games (name) VALUES ('kept')")
        before = (await actor.status())["epoch"]
        await actors.restart()
        assert (await actor.sql("SELECT name FROM games")).rows == [["kept"]]
        assert (await actor.status())["epoch"] > before


async def test_actors_are_apart_and_status_and_flush_answer() -> None:
    async with running() as actors:
        one, two = actors.actor("alice"), actors.actor("bob")
        await one.sql("INSERT INTO games (name) VALUES ('hers')")
        assert (await two.sql("SELECT count(*) FROM games")).rows == [[0]]
        await one.flush()
        status = await one.status()
        assert status["durable"]["r2"] == status["committed"]


async def test_errors_are_the_actors_own() -> None:
    async with LocalActors() as actors:
        actor = actors.actor("alice")
        await actor.sql("INSERT INTO games (id, name) VALUES (1, 'x')")
        with pytest.raises(ConstraintFailed) as caught:
            await actor.sql("INSERT INTO games (id, name) VALUES (1, 'y')")
        assert (caught.value.code, caught.value.retryable) == ("constraint_failed", False)


async def test_an_idempotency_key_runs_a_write_once() -> None:
    async with LocalActors() as actors:
        actor = actors.actor("alice")
        for _ in range(2):
            await actor.sql("INSERT INTO games (name) VALUES ('once')", idempotency_key="k")
        assert (await actor.sql("SELECT count(*) FROM games")).rows == [[1]]


async def test_the_clock_stands_until_it_is_moved() -> None:
    clock = FakeClock()
    before = clock.now(), clock.wall()
    sleeper = asyncio.create_task(clock.sleep(60))
    await asyncio.sleep(0)
    await clock.advance(59)
    assert not sleeper.done()
    await clock.advance(1)
    await sleeper
    assert (clock.now() - before[0], clock.wall() - before[1]) == (60, 60)


def test_pytest_finds_the_fixture(pytester: pytest.Pytester) -> None:
    pytester.makeconftest('pytest_plugins = ["holdfast.testing"]')
    pytester.makepyfile(
        """
        import asyncio

        def test_with_the_fixture(holdfast_actors):
            async def run():
                async with holdfast_actors() as actors:
                    return (await actors.actor("alice").sql("SELECT 1")).rows

            assert asyncio.run(run()) == [[1]]
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
