"""The local copy of a profile's `database.sqlite`, kept in step with the file in the bucket by version.

The version is the ETag of the object that the copy was taken from, or was stored as. Every save carries a new nonce, so
a version never comes back: another ETag in the bucket means a newer file. It lies beside the copy in
`database.sqlite.version`, with the digest of the copy as it was then, which tells whether the copy changed since.

Neither direction ever overwrites a change it does not know: where both sides changed, LocalConflict names them, and
somebody chooses by removing the one or the other. A file that is not `open` is left alone: its actor has the data.
The data folder of a service without a bucket is the store itself and needs no copies.
"""

from __future__ import annotations

import asyncio
import os
import random
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from storage.clock import Clock
from storage.errors import CorruptObject, ObjectNotFound
from storage.layout.address import Address
from storage.layout.keys import database_key
from storage.objects.checksum import md5_hex
from storage.objects.port import ObjectStore, StoredObject
from storage.objects.settle import Taken, put_settled
from storage.r2_sqlite.errors import ChangingModes, FileMoved, LocalConflict
from storage.r2_sqlite.file_state import FileState, Mode, read_state, state_metadata, with_state

SENDS_MAX = 5
CONTENT_TYPE = "application/vnd.sqlite3"
VERSION_SUFFIX = ".version"


class _Version(msgspec.Struct, frozen=True):
    etag: str
    md5: str


@dataclass(frozen=True, slots=True)
class LocalCopy:
    """One profile's file in the bucket, and `path`, its copy on this machine."""

    store: ObjectStore
    env: str
    address: Address
    path: Path
    clock: Clock
    rng: random.Random


async def sync_database_from_r2_if_newer(copy: LocalCopy) -> bool:
    """Download the file if it is newer than the copy; whether it was.

    Raises LocalConflict if the copy changed as well, FileMoved and ChangingModes for a file that is not open.
    """
    found = await _get(copy)
    if found is None:
        return False
    body, version = await asyncio.to_thread(_read, copy.path)
    if version is not None and version.etag == found.info.etag and body is not None:
        return False
    _check_open(copy, read_state(found.body))
    if body is not None and (version is None or md5_hex(body) != version.md5):
        raise LocalConflict(f"{copy.path}: changed here, and {found.info.key} is at {found.info.etag}")
    await asyncio.to_thread(_write, copy.path, found.body, found.info.etag)
    return True


async def sync_database_to_r2_with_version(copy: LocalCopy) -> str | None:
    """Upload the copy if it changed since its version; the version it then has, None if there is no copy.

    Conditional on the version: a newer file in the bucket is a LocalConflict, and nothing is written. Raises FileMoved,
    ChangingModes, CorruptObject, Unavailable, OutcomeUnknown: done again it finds out what became of it.
    """
    body, version = await asyncio.to_thread(_read, copy.path)
    if body is None:
        return None
    digest = md5_hex(body)
    if version is not None and version.md5 == digest:
        return version.etag
    found = await _get(copy)
    before = read_state(found.body) if found is not None else FileState(nonce="")
    put_id = f"copy-{digest}"  # of the content: a lost answer is found in the ring when the upload is done again
    if found is not None:
        _check_open(copy, before)
        if put_id in before.ring[-1:]:
            await asyncio.to_thread(_write, copy.path, found.body, found.info.etag)
            return found.info.etag
        if version is None or version.etag != found.info.etag:
            raise LocalConflict(f"{copy.path}: of version {_shown(version)}, {found.info.key} is at {found.info.etag}")
    elif version is not None:
        raise LocalConflict(f"{copy.path}: of version {version.etag}, and there is no file in the bucket")
    state = replace(before, state=Mode.OPEN).remember(put_id, f"{copy.rng.getrandbits(128):032x}")
    return await _upload(copy, found, with_state(body, state), state, put_id)


async def _upload(copy: LocalCopy, found: StoredObject | None, body: bytes, state: FileState, put_id: str) -> str:
    key = database_key(copy.env, copy.address)
    outcome = await put_settled(
        copy.store,
        key,
        body,
        put_id=put_id,
        clock=copy.clock,
        rng=copy.rng,
        metadata=state_metadata(state),
        content_type=CONTENT_TYPE,
        if_none_match="*" if found is None else None,
        if_match=None if found is None else found.info.etag,
        attempts_max=SENDS_MAX,
    )
    if isinstance(outcome, Taken):
        raise LocalConflict(f"{copy.path}: {key} was changed meanwhile")
    await asyncio.to_thread(_write, copy.path, body, outcome.info.etag)
    return outcome.info.etag


def _check_open(copy: LocalCopy, state: FileState) -> None:
    if state.state is Mode.ACTOR:
        raise FileMoved(f"{copy.path}: {copy.address} is served by its actor")
    if state.state is not Mode.OPEN:
        raise ChangingModes(f"{copy.path}: {copy.address} is {state.state.value}", retry_after_s=1.0)


async def _get(copy: LocalCopy) -> StoredObject | None:
    try:
        return await copy.store.get(database_key(copy.env, copy.address))
    except ObjectNotFound:
        return None


def _read(path: Path) -> tuple[bytes | None, _Version | None]:
    """The copy and its version, each None where it is missing. Raises LocalConflict, CorruptObject, OSError."""
    wal = path.with_name(path.name + "-wal")
    if wal.exists() and wal.stat().st_size:
        raise LocalConflict(f"{wal}: changes that are not in {path.name} yet; close whoever has it open")
    try:
        body = path.read_bytes()
    except FileNotFoundError:
        body = None
    try:
        text = _version_path(path).read_bytes()
    except FileNotFoundError:
        return body, None
    try:
        return body, msgspec.json.decode(text, type=_Version)
    except msgspec.MsgspecError as error:
        raise CorruptObject(f"{_version_path(path)}: {error}") from error


def _write(path: Path, body: bytes, etag: str) -> None:
    """Body and version. A crash in between leaves a copy that looks changed: a conflict, never an overwrite."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for target, content in ((path, body), (_version_path(path), msgspec.json.encode(_Version(etag, md5_hex(body))))):
        draft = target.with_name(f".{target.name}.draft")
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)


def _version_path(path: Path) -> Path:
    return path.with_name(path.name + VERSION_SUFFIX)


def _shown(version: _Version | None) -> str:
    return version.etag if version is not None else "none"
