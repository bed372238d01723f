"""Everything below a prefix, within a bound."""

from __future__ import annotations

from collections.abc import Callable

from storage.errors import InvalidRequest
from storage.objects.port import ObjectInfo, ObjectStore

OBJECTS_MAX = 200_000


async def list_all(
    store: ObjectStore, prefix: str, *, objects_max: int = OBJECTS_MAX, wanted: Callable[[str], bool] | None = None
) -> list[ObjectInfo]:
    """All (wanted) objects below `prefix`, which ends in `/`, by key. Raises InvalidRequest above the bound."""
    found: list[ObjectInfo] = []
    start_after = ""
    while True:
        page = await store.list(prefix, start_after=start_after)
        found += page.objects if wanted is None else (info for info in page.objects if wanted(info.key))
        if len(found) > objects_max:
            raise InvalidRequest(f"{prefix}: more than {objects_max} objects, too many for one move")
        if page.next_start_after is None:
            return found
        start_after = page.next_start_after
