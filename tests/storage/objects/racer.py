"""A process that writes to a local store beside others: `python -m tests.storage.objects.racer MODE ROOT NAME COUNT`.

create: COUNT keys, each created by whoever comes first; prints the numbers of those this process won. count: COUNT
increments of one counter by compare-and-swap. hammer: replaces one object until it is killed.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

from storage.clock import SystemClock
from storage.errors import PreconditionFailed
from storage.objects.local import LocalStore


async def create(store: LocalStore, name: str, count: int) -> None:
    for n in range(count):
        try:
            await store.put(f"dev/slots/{n}", name.encode(), metadata={"by": name}, if_none_match="*")
        except PreconditionFailed:
            continue
        print(n)


async def count_up(store: LocalStore, name: str, count: int) -> None:
    done = 0
    while done < count:
        found = await store.get("dev/counter")
        value = int(found.info.metadata["value"])
        assert found.body == b"%d" % value
        try:
            await store.put(
                "dev/counter", b"%d" % (value + 1), metadata={"value": str(value + 1)}, if_match=found.info.etag
            )
        except PreconditionFailed:
            continue
        done += 1


async def hammer(store: LocalStore, name: str, count: int) -> None:
    for n in itertools.count():
        await store.put("dev/object", b"%d" % n * 500, metadata={"n": str(n)})
        print(n, flush=True)


async def main(mode: str, root: str, name: str, count: str) -> None:
    store = LocalStore(Path(root), SystemClock())
    await {"create": create, "count": count_up, "hammer": hammer}[mode](store, name, int(count))
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
