"""What has to be copied where, decided from two listings and the inventory of what was copied before. Pure.

Equal ETags of equal size are equal contents. A multipart upload has an ETag that depends on its parts, so copies of
such objects carry the source's ETag as metadata (SOURCE_ETAG). Where a listing decides nothing the object comes back as
`unsure`: a look at its metadata lets `judge` decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from storage.layout.flat import FlatKey, parse_flat
from storage.layout.move_record import Tally
from storage.layout.relocation import is_database, is_document, new_key
from storage.objects.port import ObjectInfo

SOURCE_ETAG = "holdfast-source-etag"


@dataclass(frozen=True, slots=True)
class Move:
    """One object and the key it goes to."""

    source: ObjectInfo
    target: str


@dataclass(frozen=True, slots=True)
class MovePlan:
    """A unit's objects by what becomes of them: `files` are copied by the store, `databases` by conditional puts,
    `documents` are read and written anew. `clashes` are targets that two objects want."""

    files: tuple[Move, ...] = ()
    databases: tuple[Move, ...] = ()
    documents: tuple[ObjectInfo, ...] = ()
    clashes: tuple[str, ...] = ()

    @property
    def tally(self) -> Tally:
        """Everything that moves; documents do not."""
        return tally(move.source for move in (*self.files, *self.databases))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Files by how their targets look. `stale` ones hold an earlier state of the source, as we copied it."""

    same: tuple[Move, ...] = ()
    missing: tuple[Move, ...] = ()
    stale: tuple[Move, ...] = ()
    unsure: tuple[Move, ...] = ()


@dataclass(frozen=True, slots=True)
class Drift:
    """The old place against the inventory: what came, what changed, what went since."""

    added: tuple[ObjectInfo, ...] = ()
    changed: tuple[ObjectInfo, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def nothing_to_lose(self) -> bool:
        """Whether all that lies in the old place was copied as it is."""
        return not self.added and not self.changed


@dataclass(frozen=True, slots=True)
class Inventory:
    """ETags of each old key, the newest first: the contents that were, or were about to be, copied."""

    etags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def knows(self, key: str, etag: str) -> bool:
        return etag in self.etags.get(key, ())

    def seen(self, sources: Iterable[ObjectInfo], *, etags_max: int = 4) -> Inventory:
        """With what lies there now; keys that are gone are forgotten."""
        return Inventory(
            {
                info.key: (info.etag, *(e for e in self.etags.get(info.key, ()) if e != info.etag))[:etags_max]
                for info in sources
            }
        )


def plan_moves(sources: Sequence[ObjectInfo], *, env: str, default_profile: str) -> MovePlan:
    """The plan for one unit. Every source has to be of the flat layout (InvalidKey, InvalidId)."""
    files: list[Move] = []
    databases: list[Move] = []
    documents: list[ObjectInfo] = []
    wanted: dict[str, str] = {}
    clashes: list[str] = []
    for info in sources:
        old: FlatKey = parse_flat(info.key)
        if is_document(old):
            documents.append(info)
            continue
        move = Move(info, new_key(old, env=env, default_profile=default_profile))
        (databases if is_database(old) else files).append(move)
        if move.target in wanted:
            clashes.append(f"{info.key} and {wanted[move.target]} both move to {move.target}")
        wanted[move.target] = info.key
    return MovePlan(tuple(files), tuple(databases), tuple(documents), tuple(clashes))


def compare(moves: Iterable[Move], targets: Mapping[str, ObjectInfo], inventory: Inventory) -> Comparison:
    """Each move by its target's state."""
    found: dict[str, list[Move]] = {name: [] for name in ("same", "missing", "stale", "unsure")}
    for move in moves:
        found[_state(move, targets.get(move.target), inventory)].append(move)
    return Comparison(**{name: tuple(moves) for name, moves in found.items()})


def drift(sources: Iterable[ObjectInfo], inventory: Inventory) -> Drift:
    """What happened in the old place since the inventory was taken."""
    added, changed, here = [], [], set()
    for info in sources:
        here.add(info.key)
        newest = inventory.etags.get(info.key, ("",))[0]
        if info.key not in inventory.etags:
            added.append(info)
        elif newest != info.etag:
            changed.append(info)
    return Drift(tuple(added), tuple(changed), tuple(sorted(set(inventory.etags) - here)))


def is_multipart(etag: str) -> bool:
    """Whether the ETag depends on how the object was uploaded."""
    return "-" in etag


def tally(infos: Iterable[ObjectInfo]) -> Tally:
    total = Tally()
    for info in infos:
        total += Tally(1, info.size)
    return total


def judge(move: Move, target: ObjectInfo, inventory: Inventory) -> str:
    """`same`, `stale` or `foreign`, for a target whose metadata is known."""
    stamp = target.metadata.get(SOURCE_ETAG, target.etag)
    if target.size == move.source.size and move.source.etag in (stamp, target.etag):
        return "same"
    return "stale" if inventory.knows(move.source.key, stamp) else "foreign"


def _state(move: Move, target: ObjectInfo | None, inventory: Inventory) -> str:
    if target is None:
        return "missing"
    if is_multipart(move.source.etag) or is_multipart(target.etag):
        return "unsure"
    found = judge(move, target, inventory)
    return "unsure" if found == "foreign" else found
