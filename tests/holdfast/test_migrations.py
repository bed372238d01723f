"""The service's own way to move users: what `/v1/admin/migrations` carries out, and the doors to the actors."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from holdfast.migrations import LocalDoor, MigrationsPaused, RouterDoor, ServiceDoor, ServiceMigrations
from holdfast.service_client import ServiceClient
from holdfast.settings import load_settings
from storage.errors import HoldfastError, InvalidRequest
from storage.flags.cache import FlagCache
from storage.layout.address import Address
from storage.r2_sqlite.figures import Figures
from tests.actors.virtual_time import virtual
from tests.migrate.kit import ADDRESS, USER, Scene, begun


def service(scene: Scene) -> ServiceMigrations:
    flags = FlagCache(scene.flags, scene.clock, ttl_s=30.0, users_max=10)
    return ServiceMigrations(scene.parts(), figures=Figures(10), flags=flags)


@virtual
async def test_each_step_is_carried_out_for_one_user() -> None:
    scene = await begun(1)
    port = service(scene)
    assert (await port.status(USER))["state"] == "r2"
    planned = await port.carry_out(USER, "run", execute=False, force=False)
    assert planned["executed"] is False and await scene.served() == "r2"
    done = await port.carry_out(USER, "run", execute=True, force=False)
    assert (done["executed"], done["result"]) == (True, "moved") and await scene.served() == "actor"
    assert (await port.status(USER))["state"] == "actor"
    assert "'problem': ''" in str((await port.carry_out(USER, "verify", execute=False, force=False))["profiles"])
    with pytest.raises(HoldfastError) as early:
        await port.carry_out(USER, "finalize", execute=True, force=False)
    assert early.value.code == "too_early"
    await port.carry_out(USER, "rollback", execute=True, force=False)
    assert await scene.served() == "r2" and (await port.summary())["states"] == {"rolled_back": 1}
    with pytest.raises(InvalidRequest):
        await port.carry_out(USER, "moon", execute=True, force=False)
    await scene.close()


@virtual
async def test_the_switch_stops_moves_forwards_only() -> None:
    scene = await begun(1)
    port = service(scene)
    await port.carry_out(USER, "run", execute=True, force=False)
    assert await port.pause(paused=True) == {"paused": True}
    with pytest.raises(MigrationsPaused):
        await port.carry_out(USER, "run", execute=True, force=False)
    await port.carry_out(USER, "rollback", execute=True, force=False)
    assert (await port.summary())["paused"] is True and await scene.served() == "r2"
    await scene.close()


@virtual
async def test_the_router_is_asked_to_release() -> None:
    scene = await begun(1)
    await scene.migrate()
    await scene.numbers()
    activation = await scene.actors.activation(ADDRESS)
    await RouterDoor(scene.actors).release(ADDRESS)
    assert activation.ended.done()
    await scene.close()


class CountedDoor:
    def __init__(self) -> None:
        self.released: list[Address] = []

    async def release(self, address: Address) -> None:
        self.released.append(address)


@pytest.mark.parametrize("runs", [True, False])
async def test_a_service_is_asked_and_where_none_runs_this_process_does_it(runs: bool) -> None:
    paths: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if not runs:
            raise httpx.ConnectError("refused", request=request)
        paths.append(request.url.path)
        return httpx.Response(200, json={"released": True})

    local = CountedDoor()
    with ServiceClient("http://127.0.0.1:1", None, transport=httpx.MockTransport(answer)) as client:
        await ServiceDoor(client, local).release(ADDRESS)
    assert paths == (["/v1/admin/migrations/alice/profiles/main/release"] if runs else [])
    assert local.released == ([] if runs else [ADDRESS])


async def test_the_local_door_opens_the_disk_only_when_it_is_needed(tmp_path: Path) -> None:
    settings = load_settings({"HOLDFAST_DATA_DIR": str(tmp_path / "data")})
    (tmp_path / "data").mkdir()
    door = LocalDoor(settings)
    await door.close()
    assert list((tmp_path / "data").iterdir()) == []
    with pytest.raises(HoldfastError):  # nothing of this address is on its way back
        await door.release(ADDRESS)
    await door.close()
