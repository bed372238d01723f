"""A host without Ray: it serves, refuses what is not its own, drains, and cleans up after its predecessors."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from actors.call import Op
from actors.errors import ActivationEnded, ActorError, Moved
from actors.hosting import host_config
from actors.hosting.host import Host
from actors.hosting.host_config import HostConfig, HostPlan, open_source, set_up_logs
from actors.hosting.link_client import HostLink
from actors.hosting.process_registry import ProcessRegistry
from actors.hosting.settings import HostSettings, PlacementSettings
from tests.actors.hosting.hosted import a_config, short_folder
from tests.actors.hosting.linked import ALICE, BOB, SECRET
from tests.actors.hosting.test_catalog import HandClock


@asynccontextmanager
async def a_running_host(config: HostConfig, clock: HandClock | None = None) -> AsyncIterator[Host]:
    host = Host(config, life_id="life", clock=clock)
    try:
        await host.start()
        yield host
    finally:
        await host.close()


async def test_a_host_serves_at_the_endpoint_it_names() -> None:
    with short_folder() as folder:
        async with a_running_host(replace(a_config(folder), name="host/0")) as host:
            link = await HostLink.connect(host.endpoint, secret=SECRET, nonce=os.urandom(32), local_machine="here")
            assert (await link.call(ALICE, Op.SQL, {}, b"x")).body == b"x"
            elsewhere = await HostLink.connect(
                host.endpoint, secret=SECRET, nonce=os.urandom(32), local_machine="another machine"
            )
            assert (await elsewhere.call(BOB, Op.SQL, {}, b"tcp")).body == b"tcp"
            assert host.endpoint.pid == os.getpid() and host.endpoint.life_id == "life"
            await asyncio.gather(link.close(), elsewhere.close())
        assert list((folder / "s").iterdir()) == [] and list((folder / "run").iterdir()) == []


async def test_a_dedicated_host_serves_its_own_address_only() -> None:
    with short_folder() as folder:
        async with a_running_host(replace(a_config(folder), name="user/alice/default", address=ALICE)) as host:
            assert (await host.ask(ALICE, Op.SQL, {}, b"x")).body == b"x"
            with pytest.raises(Moved, match="does not serve bob"):
                await host.ask(BOB, Op.SQL, {})


async def test_drain_releases_and_refuses() -> None:
    with short_folder() as folder:
        async with a_running_host(replace(a_config(folder), name="host/0")) as host:
            await host.ask(ALICE, Op.SQL, {}, b"x")
            assert await host.drain() == [] and not host.catalog.is_inhabited
            with pytest.raises(ActivationEnded):
                await host.ask(ALICE, Op.SQL, {})


async def test_a_host_is_unused_only_after_nobody_lived_there_for_a_while() -> None:
    settings = HostSettings(retire_after_s=60, sweep_interval_s=10, idle_evict_s=100)
    with short_folder() as folder:
        clock = HandClock()
        config = replace(a_config(folder, settings=settings), name="user/alice/default", address=ALICE)
        async with a_running_host(config, clock) as host:
            await host.ask(ALICE, Op.SQL, {}, b"x")
            unused = asyncio.create_task(host.wait_until_unused())
            for _ in range(9):
                await clock.pass_by(10)
            assert not unused.done()
            host.catalog._residents.clear()
            for _ in range(6):
                assert not unused.done()
                await clock.pass_by(10)
            assert unused.done()


@pytest.mark.system
async def test_a_predecessor_of_the_same_name_is_ended_before_the_host_serves() -> None:
    with short_folder() as folder:
        sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        try:
            ProcessRegistry(folder / "run").register("host/0", sleeper.pid)
            async with a_running_host(replace(a_config(folder), name="host/0")):
                assert sleeper.wait(10) < 0
        finally:
            sleeper.kill()
            sleeper.wait()


def test_a_plan_survives_its_way_through_json() -> None:
    config = a_config(Path("/tmp/x"), settings=HostSettings(idle_evict_s=5))
    plan = HostPlan(placement=PlacementSettings(mode="shared", shared_hosts=3), config=config)
    assert HostPlan.from_json(plan.to_json()) == plan
    assert msgspec.json.decode(plan.to_json())["config"]["settings"]["idle_evict_s"] == 5


def test_a_plan_tells_a_dedicated_host_its_address_and_a_shared_one_none() -> None:
    config = a_config(Path("/tmp/x"))
    dedicated = HostPlan(placement=PlacementSettings(), config=config)
    made = dedicated.config_of(dedicated.name_of(ALICE), ALICE)
    assert (made.name, made.address) == ("user/alice/default", ALICE)
    shared = HostPlan(placement=PlacementSettings(mode="shared", shared_hosts=1), config=config)
    made = shared.config_of(shared.name_of(ALICE), ALICE)
    assert (made.name, made.address) == ("host/0", None)


def test_what_a_plan_names_for_logs_is_told_the_folder_and_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(host_config, "told", lambda folder, host: told.append((folder, host)), raising=False)
    config = replace(a_config(Path("/tmp/x")), name="host/1")
    set_up_logs(config)
    set_up_logs(replace(config, logs="actors.hosting.host_config:told"))
    assert told == [(config.socket_folder, "host/1")]
    with pytest.raises(ActorError, match=r"host logs 'nowhere:x' cannot be loaded"):
        set_up_logs(replace(config, logs="nowhere:x"))


@pytest.mark.parametrize("source", ["", "nowhere.at.all:x", "actors.hosting.host:nothing", "actors"])
def test_a_source_that_is_not_there_is_named(source: str) -> None:
    with pytest.raises(ActorError, match=r"host source .* cannot be loaded"):
        open_source(a_config(Path("/tmp/x"), source=source))
