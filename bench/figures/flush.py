"""What one flush ships: a one-row update in databases of several sizes, read off the bucket's own objects.

The bucket is the local store, so its objects are files. Snapshots are listed apart: they are written by a rule of their
own, not by this flush.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.load.http import encode_request
from bench.load.plan import Endpoint
from bench.peers.contender import Caller
from bench.peers.holdfast_service import HoldfastService
from bench.workload import statement as s
from bench.workload.population import FULL, fill_up, populate, user_name

FIRST_USER = 500_000
UPDATES = 10
SEED = 13


@dataclass(frozen=True, slots=True)
class FlushFigure:
    """Objects of the log that one update and a flush added, per update."""

    mebibytes: float
    database_bytes: int
    updates: int
    objects_each: float
    bytes_each: float
    snapshot_bytes: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


async def measure_flushes(service: HoldfastService, sizes: Sequence[float]) -> list[FlushFigure]:
    """One figure per size in MiB."""
    endpoint = await service.start()
    caller = Caller(endpoint)
    try:
        return [await _measure(service.folder, endpoint, caller, n, size) for n, size in enumerate(sizes)]
    finally:
        await caller.close()
        await service.stop()


async def _measure(folder: Path, endpoint: Endpoint, caller: Caller, number: int, size: float) -> FlushFigure:
    user, rng = FIRST_USER + number, random.Random(SEED)
    await caller.call(user, populate(user, FULL, endpoint.dialect, seed=SEED))
    if size:
        await caller.call(user, fill_up(size))
    await _ask(endpoint, caller, user, "POST", "flush")
    segments, snapshots = objects_of(folder, user)
    for _ in range(UPDATES):
        moment = f"2026-09-{rng.randint(1, 28):02d} 10:{rng.randint(0, 59):02d}:00"
        await caller.call(user, s.one(s.TOUCH_GAME, [moment, rng.randint(1, FULL.games)], endpoint.dialect))
        await _ask(endpoint, caller, user, "POST", "flush")
    later, later_snapshots = objects_of(folder, user)
    added = {path: size for path, size in later.items() if path not in segments}
    status = json.loads(await _ask(endpoint, caller, user, "GET", "status"))
    return FlushFigure(
        mebibytes=size,
        database_bytes=status["size_bytes"],
        updates=UPDATES,
        objects_each=len(added) / UPDATES,
        bytes_each=sum(added.values()) / UPDATES,
        snapshot_bytes=sum(size for path, size in later_snapshots.items() if path not in snapshots),
    )


def objects_of(folder: Path, user: int) -> tuple[dict[Path, int], dict[Path, int]]:
    """Segments and snapshots of a user's log with their sizes in bytes, sidecars left out."""
    logs = folder.glob(f"*/users/{user_name(user)}/profiles/*/log/*/*.ltx")
    found = {path: path.stat().st_size for path in logs if not path.name.startswith(".")}
    segments = {path: size for path, size in found.items() if path.parent.name == "0000"}
    return segments, {path: size for path, size in found.items() if path not in segments}


async def _ask(endpoint: Endpoint, caller: Caller, user: int, method: str, operation: str) -> bytes:
    path = endpoint.path.format(user=user_name(user)).removesuffix("sql") + operation
    host = f"{endpoint.host}:{endpoint.port}"
    return await caller.send(encode_request(method, path, host=host, headers=endpoint.headers, body=b""))
