"""A database's way into its new place: by conditional puts, so that it meets no writer of that place.

A file is put where nothing is (`If-None-Match`), or over exactly the bytes we put there earlier (`If-Match`); so a
file that the service's r2 mode has written, or a tombstone that says an actor lives there, is never touched. What is
about to be put stands in the unit's record first: a run that was killed in between recognises its own bytes.
After a way back the new place holds a file that we sealed; it is reopened with the old place's data, one generation on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from migrate.layout.errors import LayoutConflict
from migrate.layout.plan import Move
from migrate.layout.record_store import Parts, RecordStore
from storage.errors import CorruptObject, ObjectNotFound, Unavailable
from storage.layout.move_record import MoveRecord, MoveState, Placed
from storage.objects.checksum import md5_hex
from storage.objects.port import ObjectInfo, StoredObject
from storage.objects.settle import Settled
from storage.r2_sqlite.file_state import FileState, Mode, read_state, state_metadata, with_state

ATTEMPTS_MAX = 5


@dataclass(frozen=True, slots=True)
class Put:
    """One conditional put: the body and what must be there (`if_match` None: nothing)."""

    body: bytes
    if_match: str | None
    metadata: Mapping[str, str] = field(default_factory=dict)


def placed_already(record: MoveRecord, source: ObjectInfo, target: ObjectInfo | None) -> bool:
    """Whether the new place has had the source's bytes: it holds them, or was written since our put was answered."""
    mine = _placed(record, source)
    if target is not None and target.etag in {source.etag, *(p.target_etag for p in mine)}:
        return True
    return any(p.settled for p in mine)


def decide_put(source: StoredObject, target: StoredObject | None, record: MoveRecord, nonce: str) -> Put:
    """How the source's bytes get into the new place. Raises LayoutConflict when something else is there."""
    own = _state(source)
    if own is not None and own.state is not Mode.OPEN:
        raise LayoutConflict(
            f"{source.info.key}: its state is {own.state.value}, expected a file that r2 mode may write"
        )
    if target is None:
        return Put(source.body, None)
    if target.info.etag in {p.target_etag for p in record.placed}:
        return _reopened(source, target, nonce)
    sealed = record.sealed.get(target.info.key)
    state = _state(target)
    if sealed is not None and state is not None and (state.state, state.gen) == (Mode.SEALING, sealed):
        return _reopened(source, target, nonce)
    found = "a file of unknown content" if state is None else f"a file in state {state.state.value}"
    raise LayoutConflict(f"{target.info.key}: expected nothing or our copy of {source.info.key}, found {found}")


async def place_database(parts: Parts, records: RecordStore, unit: str, move: Move) -> bool:
    """Bring one database into its new place; whether anything was put. Raises LayoutConflict."""
    for _ in range(ATTEMPTS_MAX):
        source = await parts.store.get(move.source.key)
        target = await _get(parts, move.target)
        record = await records.read(unit)
        if record is None or record.state is not MoveState.COPYING:
            raise LayoutConflict(f"{unit}: another run has gone on meanwhile")
        if placed_already(record, source.info, None if target is None else target.info):
            await _settle(records, unit, record, source.info, target)
            return False
        put = decide_put(source, target, record, parts.random_bytes(16).hex())
        planned = Placed(source.info.key, source.info.etag, md5_hex(put.body))
        await records.change(unit, lambda current, planned=planned: _noted(current, planned))  # type: ignore[misc]
        if isinstance(await _send(parts, move.target, put), Settled):
            settled = Placed(planned.source, planned.source_etag, planned.target_etag, settled=True)
            await records.change(unit, lambda current, settled=settled: _noted(current, settled))  # type: ignore[misc]
            return True
    raise Unavailable(f"{move.target}: written {ATTEMPTS_MAX} times meanwhile", retry_after_s=1)


async def _send(parts: Parts, key: str, put: Put) -> object:
    if put.if_match is None:
        return await parts.put(key, put.body, if_none_match="*", metadata=put.metadata)
    return await parts.put(key, put.body, if_match=put.if_match, metadata=put.metadata)


async def _settle(
    records: RecordStore, unit: str, record: MoveRecord, source: ObjectInfo, target: StoredObject | None
) -> None:
    """Our bytes are seen to be there: whatever is there later was written by somebody who had them."""
    if target is not None and not any(p.settled for p in _placed(record, source)):
        settled = Placed(source.key, source.etag, target.info.etag, settled=True)
        await records.change(unit, lambda current: _noted(current, settled))


def _noted(record: MoveRecord | None, placed: Placed) -> MoveRecord:
    if record is None or record.state is not MoveState.COPYING:
        raise LayoutConflict(f"{placed.source}: another run has gone on meanwhile")
    known = any(p.settled and (p.source, p.target_etag) == (placed.source, placed.target_etag) for p in record.placed)
    return record if known else record.with_placed(placed)


def _placed(record: MoveRecord, source: ObjectInfo) -> list[Placed]:
    return [p for p in record.placed if p.source == source.key and p.source_etag == source.etag]


def _reopened(source: StoredObject, target: StoredObject, nonce: str) -> Put:
    """The source's data, open, one generation after a sealed file; a plain copy where no state was kept before."""
    state = _state(target)
    if state is None or state == FileState():
        return Put(source.body, target.info.etag)
    opened = FileState(Mode.OPEN, state.gen if state.state is Mode.OPEN else state.gen + 1, nonce, state.ring)
    return Put(with_state(source.body, opened), target.info.etag, state_metadata(opened))


def _state(stored: StoredObject) -> FileState | None:
    try:
        return read_state(stored.body)
    except CorruptObject:
        return None


async def _get(parts: Parts, key: str) -> StoredObject | None:
    try:
        return await parts.store.get(key)
    except ObjectNotFound:
        return None
