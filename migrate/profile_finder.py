"""Who is in the bucket: users, and the profiles of a user that have a database file. One short LIST per folder."""

from __future__ import annotations

from collections.abc import AsyncIterator

from storage.errors import InvalidRequest, ObjectNotFound
from storage.layout.address import Address, check_id
from storage.layout.keys import database_key
from storage.objects.port import ObjectInfo, ObjectStore

_BEHIND = "\U0010ffff"


async def all_users(store: ObjectStore, env: str) -> AsyncIterator[str]:
    """Every user with anything in the profiled layout, ascending."""
    async for name in _folders(store, f"{env}/users/"):
        try:
            yield check_id(name, "user")
        except InvalidRequest:
            continue  # no user's: nothing serves it either


async def databases_of(store: ObjectStore, env: str, user: str) -> dict[str, ObjectInfo]:
    """The profiles of a user that have a `database.sqlite`, whatever state it is in."""
    found: dict[str, ObjectInfo] = {}
    async for name in _folders(store, f"{env}/users/{check_id(user, 'user')}/profiles/"):
        try:
            address = Address.parse(user, name)
            found[name] = await store.head(database_key(env, address))
        except (InvalidRequest, ObjectNotFound):
            continue
    return found


async def _folders(store: ObjectStore, prefix: str) -> AsyncIterator[str]:
    """First parts of all keys below `prefix`."""
    start_after = ""
    while True:
        page = await store.list(prefix, start_after=start_after, limit=1)
        if not page.objects:
            return
        folder, slash, _ = page.objects[0].key.removeprefix(prefix).partition("/")
        if slash:
            yield folder
        start_after = f"{prefix}{folder}/{_BEHIND}" if slash else page.objects[0].key
