"""Writing objects of the local store: body and sidecar synced, put in place by rename, names synced. Blocking.

Order of one put, under the key's lock: the condition is checked; the new sidecar (new entry and the one of the body in
place) and the body are synced; the sidecar gets its name, then the body; then the folders are synced. A crash anywhere
leaves the old object or the new one, each with its own metadata.
"""

from __future__ import annotations

import os
import stat as stat_module
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from storage.clock import Clock
from storage.errors import CorruptObject, InvalidRequest, ObjectNotFound, PreconditionFailed
from storage.objects.local_draft import Draft
from storage.objects.local_errors import translated, unknown_after_rename
from storage.objects.local_folders import Folders
from storage.objects.local_lock import StripedLocks
from storage.objects.local_reader import ObjectReader, listed, read_sidecar
from storage.objects.local_sidecar import Entry, Sidecar, encode_sidecar, sidecar_name
from storage.objects.port import ObjectInfo

SYNC_BEFORE_LOCK_BYTES = 256 << 10  # a bigger body is synced before its key's lock is taken


@dataclass(frozen=True, slots=True)
class Labels:
    """What a put says about its object, and on which condition it may happen."""

    metadata: Mapping[str, str] = field(default_factory=dict)
    content_type: str | None = None
    must_be_absent: bool = False
    must_match: str | None = None


class ObjectWriter:
    """Writes below `reader`'s root, with drafts in `draft_folder`."""

    def __init__(
        self, reader: ObjectReader, folders: Folders, locks: StripedLocks, draft_folder: str, clock: Clock
    ) -> None:
        self._clock = clock
        self._reader = reader
        self._folders = folders
        self._locks = locks
        self._draft_folder = draft_folder

    def put(self, key: str, body: bytes, labels: Labels) -> ObjectInfo:
        """Write a whole object. Raises PreconditionFailed, Unavailable, StoreRefused, InvalidRequest."""
        with translated(f"put {key}"), self.draft() as draft:
            draft.write(body)
            return self.place(draft, key, labels)

    def draft(self) -> Draft:
        """An empty draft, to be filled and given to `place`. Raises OSError."""
        return Draft(self._draft_folder)

    def place(self, draft: Draft, key: str, labels: Labels) -> ObjectInfo:
        """Make a draft the object `key`."""
        with translated(f"put {key}"):
            draft.set_time(self._clock.wall())
            stamp = draft.stamp()
            if stamp.size > SYNC_BEFORE_LOCK_BYTES:
                draft.sync()
            with self._locks.hold(key):
                self._check(key, labels)
                entry = Entry(draft.etag, stamp, labels.metadata, labels.content_type)
                try:
                    self._replace(draft, key, entry)
                except FileNotFoundError:  # the folder was removed by hand
                    self._folders.make_again(os.path.dirname(self._reader.path(key)))
                    self._replace(draft, key, entry)
        return replace(listed(key, stamp, entry.etag), metadata=labels.metadata, content_type=labels.content_type)

    def delete(self, key: str) -> None:
        """Remove the body, then its sidecar; what is missing already is no error."""
        path = self._reader.path(key)
        folder, name = os.path.split(path)
        with translated(f"delete {key}"), self._locks.hold(key):
            try:
                if not stat_module.S_ISDIR(os.lstat(path).st_mode):
                    os.unlink(path)
                _unlink(os.path.join(folder, sidecar_name(name)))
                self._folders.sync(folder)
            except (FileNotFoundError, NotADirectoryError):
                return

    def _check(self, key: str, labels: Labels) -> None:
        path = self._reader.path(key)
        try:
            if stat_module.S_ISDIR(os.lstat(path).st_mode):
                raise InvalidRequest(f"put {key}: the local store has a folder of that name")
        except FileNotFoundError:
            pass
        except NotADirectoryError as error:
            raise InvalidRequest(f"put {key}: the local store has an object where a folder is needed") from error
        if not labels.must_be_absent and labels.must_match is None:
            return
        found = self._etag(key)
        if labels.must_be_absent and found is not None:
            raise PreconditionFailed(f"object {key}: expected none, found etag {found}")
        if labels.must_match is not None and found != labels.must_match:
            raise PreconditionFailed(f"object {key}: expected etag {labels.must_match}, found {found or 'none'}")

    def _etag(self, key: str) -> str | None:
        try:
            identity = self._reader.identify(key)
        except ObjectNotFound:
            return None
        return identity.etag if identity else None

    def _replace(self, draft: Draft, key: str, entry: Entry) -> None:
        """Sidecar, then body, then the names of both. FileNotFoundError when the folder is gone."""
        path = self._reader.path(key)
        folder, name = os.path.split(path)
        self._make(folder, key)
        sidecar = self._new_sidecar(key, path, entry)
        if sidecar is None:
            draft.sync()
            draft.rename(path)
        else:
            with Draft(self._draft_folder) as beside:
                beside.write(encode_sidecar(sidecar))
                beside.start_sync()
                draft.sync()
                beside.sync()
                beside.rename(os.path.join(folder, sidecar_name(name)))
            draft.rename(path)
        try:
            self._folders.sync(folder)
        except OSError as error:
            raise unknown_after_rename(error, f"put {key}") from error

    def _make(self, folder: str, key: str) -> None:
        try:
            self._folders.make(folder)
        except (FileExistsError, NotADirectoryError) as error:
            raise InvalidRequest(f"put {key}: the local store has an object where a folder is needed") from error

    def _new_sidecar(self, key: str, path: str, entry: Entry) -> Sidecar | None:
        """None when none is needed: nothing to say, and nothing old that could be taken for it."""
        old = read_sidecar(path)
        if not old.entries:
            return Sidecar((entry,)) if entry.metadata or entry.content_type else None
        return old.with_new(entry, self._in_place(key, old))

    def _in_place(self, key: str, old: Sidecar) -> Entry | None:
        """The entry of the body in place. With one entry there is no choice, so the body need not be looked at."""
        if len(old.entries) == 1:
            return old.entries[0]
        try:
            identity = self._reader.identify(key)
        except (ObjectNotFound, CorruptObject):
            return None  # nothing worth keeping
        return identity.entry if identity else None


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
