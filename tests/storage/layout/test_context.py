"""The current user and profile belong to one request, whatever runs beside it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from storage.layout.address import Address
from storage.layout.context import (
    NoCurrentUser,
    get_app_env,
    get_current_profile_id,
    get_current_user_id,
    serving,
    set_app_env,
)
from storage.layout.local_tree import (
    PROFILE_FOLDERS,
    ensure_directories,
    get_database_path,
    get_user_data_path,
    r2_global_key,
    r2_key,
)
from storage.layout.part import InvalidKey


async def test_concurrent_tasks_do_not_see_each_other() -> None:
    both_inside = asyncio.Barrier(20)

    async def request(number: int) -> tuple[str, str, str]:
        with serving(Address.parse(f"u{number}", f"p{number}")):
            await both_inside.wait()
            await asyncio.sleep(0)
            inner = await asyncio.create_task(asyncio.to_thread(get_current_user_id))
            return inner, get_current_profile_id(), r2_key(get_current_user_id(), "x")

    async with asyncio.timeout(10):
        found = await asyncio.gather(*(request(number) for number in range(20)))
    assert found == [(f"u{n}", f"p{n}", f"dev/users/u{n}/profiles/p{n}/x") for n in range(20)]


def test_the_one_before_is_back_afterwards_and_nobody_outside() -> None:
    with serving(Address.parse("a", "p")):
        with pytest.raises(RuntimeError), serving(Address.parse("b", "q")):
            raise RuntimeError
        assert (get_current_user_id(), get_current_profile_id()) == ("a", "p")
    for ask in (get_current_user_id, get_current_profile_id, get_user_data_path, lambda: r2_key("a", "x")):
        with pytest.raises(NoCurrentUser):
            ask()


async def test_environment_and_folder_hold_for_the_tasks_made_after_them(tmp_path: Path) -> None:
    async def environment() -> str:
        return get_app_env()

    async def service() -> tuple[str, str, Path]:
        set_app_env("prod", tmp_path)
        with serving(Address.parse("a", "p")):
            return await asyncio.create_task(environment()), r2_global_key("x.mp4"), get_database_path()

    assert await asyncio.create_task(service()) == (
        "prod",
        "prod/games/x.mp4",
        tmp_path / "prod/users/a/profiles/p/database.sqlite",
    )
    assert get_app_env() == "dev"


async def test_the_profiles_folders_are_made_where_its_keys_lead(tmp_path: Path) -> None:
    async def service() -> Path:
        set_app_env("dev", tmp_path)
        with serving(Address.parse("a", "p")):
            assert ensure_directories() == ensure_directories()
            return get_user_data_path()

    folder = await asyncio.create_task(service())
    assert folder == tmp_path / "dev/users/a/profiles/p"
    assert sorted(path.name for path in folder.iterdir()) == sorted(PROFILE_FOLDERS)


@pytest.mark.parametrize("path", ["", "../x", "/x", "a//b"])
def test_keys_lead_nowhere_else(path: str) -> None:
    with serving(Address.parse("a", "p")):
        with pytest.raises(InvalidKey):
            r2_key("a", path)
        with pytest.raises(InvalidKey):
            r2_global_key(path)


def test_an_unknown_environment_is_refused() -> None:
    with pytest.raises(InvalidKey):
        set_app_env("production")
