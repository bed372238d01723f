"""Thirty users with real data, moved 5, 25, 100 percent at a time while they write, ten of them carried back: every
acknowledged write is there, once, and so is what they had before.

A third has the Chinook sample database, a third a match's events as games and clips, a third a small file of before.
"""

from __future__ import annotations

import asyncio
import csv
import random
from collections import Counter
from pathlib import Path

import apsw
import pytest

from actors.call import Op
from actors.errors import OutcomeUnknownWrite
from actors.model.birth import template_image
from actors.settings import ActorSettings
from migrate.comparison import digest_file
from migrate.decision import Goal
from migrate.report import Ending, Report
from migrate.run import MigrationRun, RunOptions
from migrate.selection import Selection, select_users
from migrate.survey import verify_user
from storage.clock import SystemClock
from storage.errors import HoldfastError
from storage.layout.address import Address
from storage.layout.keys import database_key
from storage.rollout.store import RolloutStore
from tests.migrate.kit import ENV, Scene, Told, a_file

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
CHINOOK = DATA / "chinook.sqlite"
EVENTS = DATA / "match_events.csv"
USERS = tuple(f"user{number:02d}" for number in range(30))
CLIP_TYPES = frozenset({"SHOT", "SET PIECE"})
WRITERS = 3
PROBE = "CREATE TABLE probe (n INTEGER)"

needs_data = pytest.mark.skipif(
    not (CHINOOK.exists() and EVENTS.exists()), reason=f"{CHINOOK.name} and {EVENTS.name} are not in {DATA}"
)


def match_file() -> bytes:
    """The built-in schema with one game, its goals, shots and set pieces as clips."""
    connection = apsw.Connection(":memory:")
    try:
        connection.deserialize("main", template_image(ActorSettings().database).to_bytes())
        for name in ("_cf_meta", "_cf_migrations", "_cf_idempotency"):
            connection.execute(f"DROP TABLE {name}")  # as an older program would have left it
        connection.execute("INSERT INTO games (name, opponent_name) VALUES ('final', 'Away')")
        with EVENTS.open(newline="") as file:
            for row in csv.DictReader(file):
                if row["Type"] in CLIP_TYPES or "GOAL" in row["Subtype"]:
                    clip = (row["Start Time [s]"], row["End Time [s]"], f"{row['Type']} {row['Subtype']} {row['From']}")
                    connection.execute(
                        "INSERT INTO raw_clips (game_id, video_path, start_time, end_time, notes) "
                        "VALUES (1, 'v', ?, ?, ?)",
                        clip,
                    )
        return connection.serialize("main")
    finally:
        connection.close(True)


class Writers:
    """Clients of everybody: a number each time, told what became of it."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._rng = random.Random(11)
        self._number = 0
        self.acknowledged: dict[str, list[int]] = {user: [] for user in USERS}
        self.unknown: dict[str, set[int]] = {user: set() for user in USERS}
        self.refused = Counter[str]()
        self.stopped = False

    async def write_until_stopped(self) -> None:
        router = self._scene.gateway()
        while not self.stopped:
            user = self._rng.choice(USERS)
            self._number += 1
            number = self._number
            try:
                await self._scene.sql(
                    "INSERT INTO probe VALUES (?)", [number], address=Address(user, "main"), router=router
                )
            except OutcomeUnknownWrite:
                self.unknown[user].add(number)
            except HoldfastError as error:
                assert error.retryable, f"{user}: {error!r}"
                self.refused[error.code] += 1
            else:
                self.acknowledged[user].append(number)
            await asyncio.sleep(0.002)


async def check(scene: Scene, writers: Writers, before: dict[str, object]) -> None:
    """Everybody has what they had, and what was acknowledged since, once."""
    for user in USERS:
        address = Address(user, "main")
        rows = [row[0] for row in (await scene.sql("SELECT n FROM probe ORDER BY rowid", address=address))["rows"]]
        assert len(rows) == len(set(rows)), f"{user}: written twice"
        assert set(writers.acknowledged[user]) <= set(rows), f"{user}: lost"
        assert set(rows) <= set(writers.acknowledged[user]) | writers.unknown[user], f"{user}: never acknowledged"
        tables = dict((await exported(scene, address)).items())
        tables.pop("probe")
        assert tables == before[user], f"{user}: what was there before"


async def exported(scene: Scene, address: Address) -> dict[str, object]:
    """Digests of every table, wherever the user is served."""
    reply = await scene.gateway().call(Told(), address, Op.EXPORT, {})
    assert reply.stream is not None
    return dict(digest_file(b"".join([chunk async for chunk in reply.stream])).tables)


async def move(scene: Scene, goal: Goal, selection: Selection) -> Report:
    parts = scene.parts()
    rollout = await RolloutStore(scene.store, ENV, clock=scene.clock, rng=scene.rng).read()
    chosen = await select_users(parts, selection, rollout, goal)
    return await MigrationRun(parts, goal, RunOptions(concurrency=3), on_line=lambda _, line: None).move(chosen.users)


@needs_data
@pytest.mark.slow
async def test_thirty_users_move_in_steps_and_ten_go_back_while_all_of_them_write() -> None:
    scene = Scene(clock=SystemClock(), settings=ActorSettings(ownership="single_machine"))
    files = (CHINOOK.read_bytes(), match_file(), a_file("INSERT INTO t VALUES (1), (2)"))
    before: dict[str, object] = {}
    for number, user in enumerate(USERS):
        await scene.put_file(files[number % 3], Address(user, "main"))
        before[user] = await exported(scene, Address(user, "main"))
        await scene.sql(PROBE, address=Address(user, "main"))
    writers = Writers(scene)
    tasks = [asyncio.create_task(writers.write_until_stopped()) for _ in range(WRITERS)]
    rollouts = RolloutStore(scene.store, ENV, clock=scene.clock, rng=scene.rng)
    moved = 0
    for percent in (5, 25, 100):
        await rollouts.change(lambda rollout, percent=percent: rollout.with_percent(percent), by="a test")  # type: ignore[misc]
        report = await move(scene, Goal.ACTOR, Selection())
        assert report.ending is Ending.DONE and not any(line.bad for line in report.lines)
        assert len(report.lines) >= moved
        moved = len(report.lines)
        await asyncio.sleep(0.3)
    assert moved == len(USERS) and report.pause_s(0.99) is not None
    back = await move(scene, Goal.R2, Selection(USERS[:10]))
    assert back.counts == {"moved": 10}
    await asyncio.sleep(0.3)
    writers.stopped = True
    await asyncio.gather(*tasks)
    served = Counter([await scene.served(Address(user, "main")) for user in USERS])
    assert served == {"r2": 10, "actor": 20}
    await check(scene, writers, before)
    assert sum(map(len, writers.acknowledged.values())) > 100
    for user in USERS:
        problems = [each.problem for each in await verify_user(scene.parts(), user) if each.problem]
        assert problems == [], f"{user}: {problems}"
    assert (await scene.store.head(database_key(ENV, Address(USERS[0], "main")))).size > 0
    await scene.close()
