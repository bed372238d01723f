"""Runs over many users: bounded, paced, stopped by failures or the switch, and never by one odd user."""

from __future__ import annotations

import asyncio

import pytest

from migrate.decision import Goal
from migrate.record_store import RecordStore
from migrate.report import Ending, Report, UserLine
from migrate.run import MigrationRun, RunOptions
from storage.errors import InvalidRequest, StoreRefused
from storage.layout.address import Address
from storage.layout.keys import database_key
from tests.actors.virtual_time import virtual
from tests.migrate.kit import ENV, Scene, a_file

USERS = tuple(f"u{number}" for number in range(8))
FAST = RunOptions()


async def populated(users: tuple[str, ...] = USERS) -> Scene:
    scene = Scene()
    for number, user in enumerate(users):
        await scene.put_file(a_file(f"INSERT INTO t VALUES ({number})"), Address(user, "main"))
    return scene


async def move(scene: Scene, options: RunOptions = FAST, store: object = None) -> Report:
    seen: list[UserLine] = []
    run = MigrationRun(scene.parts(store), Goal.ACTOR, options, on_line=lambda _, line: seen.append(line))
    report = await run.move(USERS)
    assert seen == report.lines
    return report


@virtual
async def test_everybody_moves_and_the_report_says_so() -> None:
    scene = await populated()
    report = await move(scene)
    assert (report.ending, dict(report.counts)) == (Ending.DONE, {"moved": len(USERS)})
    assert sorted(line.user for line in report.lines) == sorted(USERS)
    for number, user in enumerate(USERS):
        address = Address(user, "main")
        assert await scene.served(address) == "actor" and await scene.numbers(address=address) == [number]
    again = await move(scene)
    assert dict(again.counts) == {"already there": len(USERS)} and again.pause_s(0.5) is None
    await scene.close()


class Poisoned:
    """A store that refuses everything about some users."""

    def __init__(self, inner: object, users: set[str]) -> None:
        self._inner = inner
        self._users = users

    def __getattr__(self, name: str) -> object:
        method = getattr(self._inner, name)
        if name not in ("get", "put"):
            return method

        async def call(key: str, *args: object, **options: object) -> object:
            if any(f"/users/{user}/profiles" in key for user in self._users):
                raise StoreRefused(f"{key}: 403")
            return await method(key, *args, **options)

        return call


@virtual
async def test_one_users_failure_is_not_anothers() -> None:
    scene = await populated()
    report = await move(scene, store=Poisoned(scene.store, {"u2", "u5"}))
    assert dict(report.counts) == {"moved": 6, "failed": 2} and report.ending is Ending.DONE
    assert {line.user: line.code for line in report.lines if line.bad} == {"u2": "store_refused", "u5": "store_refused"}
    await scene.close()


@virtual
async def test_so_many_failures_stop_the_run() -> None:
    scene = await populated()
    report = await move(scene, RunOptions(concurrency=1, failures_max=3), Poisoned(scene.store, set(USERS)))
    assert report.ending is Ending.TOO_MANY_FAILURES and report.failures == 3
    await scene.close()


@virtual
async def test_quarantined_files_do_not_count_as_failures() -> None:
    scene = await populated()
    for user in USERS[:4]:
        await scene.put_file(a_file(wal=True), Address(user, "main"))
    report = await move(scene, RunOptions(failures_max=1))
    assert dict(report.counts) == {"moved": 4, "quarantined": 4} and report.ending is Ending.DONE
    assert {line.code for line in report.lines if line.bad} == {"wal"}
    await scene.close()


@virtual
async def test_the_switch_pauses_drivers_between_users_and_the_next_run_goes_on() -> None:
    scene = await populated()
    records = RecordStore(scene.parts())
    run = MigrationRun(
        scene.parts(), Goal.ACTOR, RunOptions(concurrency=1, rate=0.2), on_line=lambda report, line: None
    )

    async def pause_later() -> None:
        await scene.clock.sleep(12.0)
        await records.set_switch(paused=True)

    pausing = asyncio.ensure_future(pause_later())
    report = await run.move(USERS)
    await pausing
    assert report.ending is Ending.PAUSED and 0 < len(report.lines) < len(USERS)
    assert (await move(scene)).ending is Ending.PAUSED
    await records.set_switch(paused=False)
    assert (await move(scene)).counts["moved"] == len(USERS) - len(report.lines)
    await scene.close()


@virtual
async def test_users_begin_at_the_rate_that_was_asked_for() -> None:
    scene = await populated()
    before = scene.clock.now()
    await move(scene, RunOptions(rate=2.0, concurrency=8))
    assert scene.clock.now() - before >= (len(USERS) - 1) / 2.0
    await scene.close()


@virtual
async def test_two_runs_at_once_move_everybody_once() -> None:
    scene = await populated()
    reports = await asyncio.gather(move(scene), move(scene))
    assert all(report.ending is Ending.DONE and not report.failures for report in reports)
    for number, user in enumerate(USERS):
        assert await scene.numbers(address=Address(user, "main")) == [number]
        prefix = database_key(ENV, Address(user, "main")).replace("database.sqlite", "log/0000/")
        assert len((await scene.store.list(prefix)).objects) == 2  # IMPORT, and the TAKE of the reading just now
    await scene.close()


@pytest.mark.parametrize(
    "options",
    [RunOptions(concurrency=0), RunOptions(concurrency=10_000), RunOptions(rate=-1), RunOptions(failures_max=-1)],
)
def test_wrong_options_are_refused(options: RunOptions) -> None:
    with pytest.raises(InvalidRequest):
        options.validate()
