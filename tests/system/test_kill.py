"""SIGKILL at random points under concurrent writers, against the real service: nothing acknowledged is missing.

Each round kills a host or the gateway alone; a killed gateway is started again at once on the same data, while its
hosts may still live. Afterwards every acknowledged row is there exactly once, no write that the service said had not
run is there, nothing is orphaned, and the logs verify and rebuild from the object store alone.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from holdfast.demo.ledger import Ledger
from holdfast.demo.season import games
from holdfast.demo.tour import service_processes, serving_hosts
from holdfast.demo.writers import Tally, Writer
from holdfast.service_process import ServiceProcess
from storage.clock import SystemClock
from tests.holdfast.cli import holdfast
from tests.system.plain_writer import PlainWriter

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.timeout(300)]

USERS = ("ana", "ben", "chloe")
GAMES = 5
CLOCK = SystemClock()
SEED = int(os.environ.get("HOLDFAST_TEST_KILL_SEED", "20261120"))
PAUSE_S = (0.05, 1.2)
HOST_START_S_MAX = 30.0
HOST, GATEWAY = "host", "gateway"
# Hosts die more often than gateways; of two kills in a row the second hits a recovery.
ROUNDS = (HOST, HOST, GATEWAY, HOST, HOST, HOST, GATEWAY, HOST, HOST, HOST, HOST, GATEWAY, HOST, HOST, HOST, HOST)


@dataclass
class World:
    """A data directory, the service on it, and what its clients were told."""

    data_dir: Path
    placement: str
    rng: random.Random
    ledgers: dict[str, Ledger] = field(default_factory=lambda: {user: Ledger() for user in USERS})
    service: ServiceProcess | None = None
    kills: list[str] = field(default_factory=list)

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
        return kept | {
            "HOLDFAST_PLACEMENT": self.placement,
            "HOLDFAST_ACCESS_LOG": "false",
            "HOLDFAST_FLUSH_INTERVAL_S": "0.7",
        }

    def url(self) -> str:
        assert self.service is not None
        return self.service.url

    async def start(self) -> None:
        self.service = await ServiceProcess.start(self.data_dir, environ=self.environ)

    async def kill_gateway(self) -> None:
        """The gateway alone, and the next one at once."""
        assert self.service is not None
        self.kills.append(f"gateway {self.service.pid}")
        await self.service.kill()
        await self.start()

    async def kill_host(self) -> None:
        """Any host that lives now; right after a gateway's death one has to be started first."""
        async with asyncio.timeout(HOST_START_S_MAX):
            while not (hosts := serving_hosts(self.data_dir)):
                await CLOCK.sleep(0.02)
        victim = self.rng.choice(hosts)
        self.kills.append(f"{victim.name} {victim.pid}")
        os.kill(victim.pid, signal.SIGKILL)

    async def end(self) -> None:
        """Drain, whatever happened. Nothing of the service may be left."""
        if self.service is not None:
            assert await self.service.drain() == 0, self.service.log
        assert service_processes(self.data_dir) == []


@pytest.mark.parametrize("placement", ["dedicated", "shared"])
async def test_every_acknowledged_row_survives_sigkill_of_hosts_and_gateway(placement: str, tmp_path: Path) -> None:
    world = World(tmp_path / "data", placement, random.Random(f"{SEED} {placement}"))
    await world.start()
    try:
        await write_while(world, ROUNDS)
        found = await rows(world)
    finally:
        await world.end()
    verdicts = {user: world.ledgers[user].judge(found[user]) for user in USERS}
    broken = {user: verdict for user, verdict in verdicts.items() if not verdict.holds}
    assert not broken, f"seed {SEED}, {world.kills}: {broken}"
    assert all(ledger.acknowledged for ledger in world.ledgers.values())
    assert len(world.kills) == len(ROUNDS)
    await asyncio.to_thread(check_bucket, world, found)


async def write_while(world: World, rounds: Sequence[str]) -> None:
    """Writers with and without idempotency keys on every user, while one process after the other is killed."""
    stop = asyncio.Event()
    limits = httpx.Limits(max_connections=64)
    async with httpx.AsyncClient(trust_env=False, timeout=30, limits=limits) as http:
        await asyncio.gather(*(create(http, world, user) for user in USERS))
        async with asyncio.TaskGroup() as group:
            for user in USERS:
                for writer in writers(http, world, user):
                    group.create_task(writer.run(stop))
            for victim in rounds:
                await CLOCK.sleep(world.rng.uniform(*PAUSE_S))
                await (world.kill_gateway() if victim == GATEWAY else world.kill_host())
            await CLOCK.sleep(PAUSE_S[1])
            stop.set()


async def create(http: httpx.AsyncClient, world: World, user: str) -> None:
    body = {"statements": [statement.to_json() for statement in games(world.rng, user=user, count=GAMES)]}
    answer = await http.post(f"{world.url()}/v1/users/{user}/sql", json=body)
    assert answer.status_code == 200, answer.text


def writers(http: httpx.AsyncClient, world: World, user: str) -> list[Writer | PlainWriter]:
    ledger = world.ledgers[user]
    careful = [
        Writer(
            http=http,
            url=world.url,
            user=user,
            name=str(number),
            games_count=GAMES,
            ledger=ledger,
            tally=Tally(),
            clock=CLOCK,
            rng=random.Random(world.rng.getrandbits(64)),
        )
        for number in range(2)
    ]
    plain = PlainWriter(
        http=http,
        url=world.url,
        user=user,
        games_count=GAMES,
        ledger=ledger,
        clock=CLOCK,
        rng=random.Random(world.rng.getrandbits(64)),
    )
    return [*careful, plain]


async def rows(world: World) -> dict[str, list[str]]:
    """The keys that the service finds in every database."""
    found = {}
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        for user in USERS:
            body = {"sql": "SELECT notes FROM raw_clips"}
            answer = await http.post(f"{world.url()}/v1/users/{user}/sql", json=body)
            assert answer.status_code == 200, answer.text
            found[user] = [note for (note,) in answer.json()["results"][0]["rows"]]
    return found


def check_bucket(world: World, found: dict[str, list[str]]) -> None:
    """After the drain the object store alone holds the same rows, in sound logs, and nobody's journal was cut off."""
    data_dir = str(world.data_dir)
    assert list(world.data_dir.glob("*/users/*/profiles/*/log/orphans/*")) == []
    assert holdfast("log", "orphans", "--data-dir", data_dir).out == "no orphans\n"
    for user in USERS:
        verified = holdfast("log", "verify", user, "--data-dir", data_dir)
        assert verified.code == 0, verified.err
        restored = world.data_dir.parent / f"{user}.sqlite"
        assert holdfast("log", "restore", user, "--data-dir", data_dir, "-o", str(restored)).code == 0
        with closing(sqlite3.connect(restored)) as connection:
            assert sorted(n for (n,) in connection.execute("SELECT notes FROM raw_clips")) == sorted(found[user])
