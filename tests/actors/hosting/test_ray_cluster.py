"""Hosts on a real Ray: started by name, found again after SIGKILL, reached from other programs, warmed, cleaned up."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.call import Op
from actors.errors import HostUnavailable, OutcomeUnknownWrite
from actors.hosting.directory import HostRouter
from actors.hosting.host_config import HostPlan
from actors.hosting.process_registry import ProcessRegistry
from actors.hosting.ray_cluster import RayCluster, RayHosts, _idle_workers, user_actor
from actors.hosting.settings import HostSettings, PlacementSettings
from storage.layout.address import Address
from tests.actors.hosting.hosted import a_config, a_router, short_folder
from tests.actors.hosting.linked import ALICE, BOB, until

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[3]
WRITE = b'{"sql":"insert into t values (1)"}'
DEDICATED = PlacementSettings()
SHARED = PlacementSettings(mode="shared", shared_hosts=2)


class Service:
    """Hosts and a router to them, as a gateway has them."""

    def __init__(self, hosts: RayHosts, router: HostRouter) -> None:
        self.hosts, self.router = hosts, router

    async def status(self, address: Address) -> dict[str, object]:
        reply = await self.router.call(address, Op.STATUS, {})
        status: dict[str, object] = json.loads(reply.body)
        return status

    async def pid(self, address: Address) -> int:
        return int(str((await self.status(address))["pid"]))


async def a_service(
    cluster: RayCluster, folder: Path, placement: PlacementSettings, settings: HostSettings | None = None
) -> Service:
    hosts = cluster.hosts(HostPlan(placement=placement, config=a_config(folder, settings=settings)))
    return Service(hosts, a_router(hosts, placement))


@pytest.fixture
async def dedicated(cluster: RayCluster, ray_folder: Path) -> AsyncIterator[Service]:
    service = await a_service(cluster, ray_folder, DEDICATED)
    yield service
    await service.router.close()
    await service.hosts.stop_all()


@pytest.fixture
async def shared(cluster: RayCluster, ray_folder: Path) -> AsyncIterator[Service]:
    service = await a_service(cluster, ray_folder, SHARED)
    yield service
    await service.router.close()
    await service.hosts.stop_all()


async def test_each_address_gets_a_process_of_its_own(dedicated: Service) -> None:
    alice, bob = await asyncio.gather(dedicated.pid(ALICE), dedicated.pid(BOB))
    assert len({alice, bob, os.getpid()}) == 3
    assert await dedicated.pid(ALICE) == alice
    ping = await dedicated.hosts.ping("user/alice/default")
    assert ping is not None and (ping["pid"], ping["activations"]) == (alice, 1)
    assert ("holdfast_host_activations", {}, 1.0) in await dedicated.hosts.samples("user/alice/default")
    assert await dedicated.hosts.samples("user/nobody/default") == ()


async def test_shared_hosts_are_as_many_as_the_setting_says(shared: Service) -> None:
    pids = await asyncio.gather(*(shared.pid(Address(f"u{n}", "default")) for n in range(20)))
    assert len(set(pids)) == 2


async def test_a_killed_host_is_found_again_and_calls_under_way_get_the_right_answer(dedicated: Service) -> None:
    router, pid = dedicated.router, await dedicated.pid(ALICE)
    write = asyncio.create_task(router.call(ALICE, Op.SQL, {"hold": True}, WRITE))
    await asyncio.sleep(0)
    await dedicated.pid(ALICE)  # it is answered behind the write, which therefore has arrived
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(OutcomeUnknownWrite):
        await write
    began = time.monotonic()
    assert (await router.call(ALICE, Op.SQL, {}, WRITE)).body == WRITE
    print(f"found again after {time.monotonic() - began:.2f} s")
    assert await dedicated.pid(ALICE) != pid


async def test_a_read_under_way_when_its_host_dies_is_answered_by_the_next_one(dedicated: Service) -> None:
    pid = await dedicated.pid(ALICE)
    deadly = asyncio.create_task(dedicated.router.call(ALICE, Op.SQL, {"exit": 1}, WRITE))
    status = asyncio.create_task(dedicated.status(ALICE))
    assert (await status)["pid"] != pid
    with pytest.raises(OutcomeUnknownWrite):
        await deadly


async def test_other_programs_reach_an_actor_by_its_user(cluster: RayCluster, dedicated: Service) -> None:
    script = """
import sys, ray, logging
ray.init(address=sys.argv[1], namespace="another", log_to_driver=False, logging_level=logging.ERROR)
from actors.hosting.ray_cluster import user_actor
print(ray.get(user_actor("carol").execute.remote("select ?", [1])))
named = ray.get_actor("user/carol/default", namespace="holdfast")
print(ray.get(named.execute.remote("select 2")))
"""
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", script, cluster.address],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ended.stdout.splitlines() == ["{'sql': 'select ?', 'params': [1]}", "{'sql': 'select 2'}"], ended.stderr


async def test_this_program_can_use_the_actors_it_serves(shared: Service) -> None:
    actor = await asyncio.to_thread(user_actor, "dave", "work")
    assert await actor.execute.remote("select 3") == {"sql": "select 3"}


async def test_a_spare_process_takes_the_first_call_of_a_new_address(cluster: RayCluster, dedicated: Service) -> None:
    assert cluster._raylet_pid is not None
    deadline = time.monotonic() + 60
    while not _idle_workers(cluster._raylet_pid):
        await cluster.warm()
        await asyncio.sleep(0.2)
        assert time.monotonic() < deadline, "no spare appeared"
    spares = _idle_workers(cluster._raylet_pid)
    assert await cluster.warm() == 0
    began = time.monotonic()
    pid = await dedicated.pid(Address("erin", "default"))
    print(f"first call of a new dedicated actor, with a spare: {time.monotonic() - began:.2f} s")
    assert pid in spares
    while _idle_workers(cluster._raylet_pid):
        await dedicated.pid(Address(f"erin{time.monotonic_ns()}", "default"))
    began = time.monotonic()
    await dedicated.pid(Address("frank", "default"))
    print(f"the same without a spare: {time.monotonic() - began:.2f} s")


async def test_a_dedicated_host_nobody_uses_ends_itself_and_comes_back_when_called(
    cluster: RayCluster, ray_folder: Path
) -> None:
    settings = HostSettings(idle_evict_s=0.2, sweep_interval_s=0.1, retire_after_s=0.2)
    service = await a_service(cluster, ray_folder, DEDICATED, settings)
    pid = await service.pid(ALICE)
    registry = ProcessRegistry(ray_folder / "run")
    await until(lambda: pid not in [record.pid for record in registry.alive()])
    assert await service.pid(ALICE) != pid
    await service.router.close()
    await service.hosts.stop_all()


async def test_a_host_that_cannot_start_says_why(cluster: RayCluster, ray_folder: Path) -> None:
    plan = HostPlan(placement=DEDICATED, config=a_config(ray_folder, source="nowhere:nothing"))
    hosts = cluster.hosts(plan)
    with pytest.raises(HostUnavailable, match="nowhere:nothing"):
        await hosts.find("user/gina/default", Address("gina", "default"))


async def test_stopped_hosts_are_gone_and_leave_nothing(dedicated: Service, ray_folder: Path) -> None:
    pid = await dedicated.pid(ALICE)
    assert await dedicated.hosts.stop_all() == []
    assert await dedicated.hosts.ping("user/alice/default") is None
    assert pid not in [record.pid for record in ProcessRegistry(ray_folder / "run").alive()]
    assert list((ray_folder / "s").iterdir()) == []


async def test_what_a_killed_service_leaves_is_ended_by_the_next() -> None:
    script = """
import asyncio, sys
from pathlib import Path
from actors.call import Op
from actors.hosting.host_config import HostPlan
from actors.hosting.process_registry import ProcessRegistry
from actors.hosting.ray_cluster import RayCluster
from tests.actors.hosting.hosted import a_config, a_router
from tests.actors.hosting.test_ray_cluster import ALICE, DEDICATED
folder = Path(sys.argv[1])
cluster = RayCluster.start_local(folder=folder / "r", registry=ProcessRegistry(folder / "run"))
async def serve():
    hosts = cluster.hosts(HostPlan(placement=DEDICATED, config=a_config(folder)))
    reply = await a_router(hosts, DEDICATED).call(ALICE, Op.STATUS, {})
    print(reply.body.decode(), flush=True)
    await asyncio.Event().wait()
asyncio.run(serve())
"""
    with short_folder() as folder:
        service = subprocess.Popen([sys.executable, "-c", script, str(folder)], cwd=ROOT, stdout=subprocess.PIPE)
        try:
            assert service.stdout is not None
            line = await asyncio.to_thread(service.stdout.readline)
            host_pid = json.loads(line)["pid"]
        finally:
            service.kill()
            service.wait()
        registry = ProcessRegistry(folder / "run")
        ended = await asyncio.to_thread(
            lambda: registry.end_leftovers(timeout_s=30, now=time.monotonic, sleep=time.sleep)
        )
        assert host_pid in [record.pid for record in ended] and registry.alive() == []
        assert service.stdout is not None
        service.stdout.close()
