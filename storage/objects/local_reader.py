"""Reading objects of the local store from their files and sidecars, without locks. Blocking.

Consistency without locks: whoever replaces a body first writes a sidecar that knows both the old and the new one. So a
body whose entry is missing from a sidecar read *after* it was either replaced meanwhile (the name now leads to another
file: read again) or is of no writer of ours (dropped in by hand, or rotted).
"""

from __future__ import annotations

import os
import stat as stat_module
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO

from storage.clock import Clock
from storage.errors import CorruptObject, ObjectNotFound, Unavailable, UnsupportedVersion
from storage.objects.checksum import md5_hex, new_md5
from storage.objects.local_draft import stamp_of
from storage.objects.local_errors import translated
from storage.objects.local_sidecar import Entry, FileStamp, Sidecar, decode_sidecar, sidecar_name
from storage.objects.port import ObjectInfo, StoredObject

READ_ATTEMPTS_MAX = 20
READ_BYTES = 1 << 20
KNOWN_MD5S_MAX = 4096
SIDECAR_BYTES_MAX = 64 << 10
SETTLED_AFTER_S = 2.0  # a file changed more recently may change again within one tick of the file system's clock


@dataclass(frozen=True, slots=True)
class Identity:
    """Which content a file holds."""

    stamp: FileStamp
    etag: str
    entry: Entry | None

    def info(self, key: str) -> ObjectInfo:
        if self.entry is None:
            return listed(key, self.stamp, self.etag)
        return replace(
            listed(key, self.stamp, self.etag),
            metadata=self.entry.metadata,
            content_type=self.entry.content_type,
        )


class ObjectReader:
    """Reads below `root`. Methods with `bytes_max` return None rather than read a longer file."""

    def __init__(self, root: str, clock: Clock) -> None:
        self._root = root
        self._clock = clock
        self._known_md5s: OrderedDict[str, tuple[FileStamp, str]] = OrderedDict()

    def path(self, key: str) -> str:
        """The file of a checked key."""
        return os.path.join(self._root, key)

    def read(self, key: str, bytes_max: int | None = None) -> StoredObject | None:
        """The whole object, its body checked against its MD5."""
        path = self.path(key)
        for _ in range(READ_ATTEMPTS_MAX):
            with self._opened(key) as (file, status):
                if bytes_max is not None and status.st_size > bytes_max:
                    return None
                body = file.read()
                identity = self._of_content(path, key, status, md5_hex(body))
            if identity is not None:
                return StoredObject(identity.info(key), body, verified=True)
        raise _changes_too_fast(key)

    def identify(self, key: str, bytes_max: int | None = None) -> Identity | None:
        """What a file is, reading its body only when size and time do not tell. Raises ObjectNotFound."""
        path = self.path(key)
        for _ in range(READ_ATTEMPTS_MAX):
            status = self._status(key)
            entry = read_sidecar(path).by_stamp(stamp_of(status))
            if entry is not None:
                return Identity(stamp_of(status), entry.etag, entry)
            if bytes_max is not None and status.st_size > bytes_max and not self._known(path, stamp_of(status)):
                return None
            with self._opened(key) as (file, status):
                identity = self._of_content(path, key, status, self._md5(path, file, status))
            if identity is not None:
                return identity
        raise _changes_too_fast(key)

    def list_info(self, key: str, bytes_max: int | None = None) -> ObjectInfo | None:
        """As a listing shows it; an unreadable sidecar hides no object. Raises ObjectNotFound."""
        try:
            identity = self.identify(key, bytes_max)
        except (CorruptObject, UnsupportedVersion):
            with self._opened(key) as (file, status):
                etag = self._md5(self.path(key), file, status)
            return listed(key, stamp_of(status), etag)
        if identity is None:
            return None
        return listed(key, identity.stamp, identity.etag)

    def open(self, key: str) -> tuple[BinaryIO, ObjectInfo]:
        """An open file and what it holds; the caller closes it and checks the MD5 of what it reads."""
        for _ in range(READ_ATTEMPTS_MAX):
            with translated(f"open {key}"):
                file, status = _open(self.path(key), key)
            try:
                identity = self._of_open_file(key, file, status)
            except BaseException:
                file.close()
                raise
            if identity is not None:
                return file, identity.info(key)
            file.close()
        raise _changes_too_fast(key)

    def _of_open_file(self, key: str, file: BinaryIO, status: os.stat_result) -> Identity | None:
        path = self.path(key)
        entry = read_sidecar(path).by_stamp(stamp_of(status))
        if entry is not None and (entry.stamp.inode == status.st_ino or not _replaced(path, status)):
            return Identity(stamp_of(status), entry.etag, entry)
        etag = self._md5(path, file, status)
        file.seek(0)
        return self._of_content(path, key, status, etag)

    def _of_content(self, path: str, key: str, status: os.stat_result, etag: str) -> Identity | None:
        """What a file with this MD5 is, or None when it was replaced while it was read. The file is still open, so that
        none that replaced it can have its inode."""
        sidecar = read_sidecar(path)
        stamp = stamp_of(status)
        entry = sidecar.by_etag(etag)
        if entry is None:
            if _replaced(path, status):
                return None
            if promised := sidecar.promised(stamp):
                raise CorruptObject(f"object {key}: its bytes have MD5 {etag}, expected {promised}")
        return Identity(stamp, etag, entry)

    def _md5(self, path: str, file: BinaryIO, status: os.stat_result) -> str:
        """MD5 of an open file, remembered for big ones while they do not change."""
        stamp = stamp_of(status)
        if known := self._known(path, stamp):
            return known
        md5 = new_md5()
        while chunk := file.read(READ_BYTES):
            md5.update(chunk)
        etag = str(md5.hexdigest())
        if status.st_size > READ_BYTES and self._clock.wall() - status.st_mtime > SETTLED_AFTER_S:
            self._known_md5s[path] = (stamp, etag)
            if len(self._known_md5s) > KNOWN_MD5S_MAX:
                self._known_md5s.popitem(last=False)
        return etag

    def _known(self, path: str, stamp: FileStamp) -> str | None:
        known = self._known_md5s.get(path)
        return known[1] if known is not None and known[0] == stamp else None

    def _status(self, key: str) -> os.stat_result:
        with translated(f"head {key}"):
            try:
                status = os.lstat(self.path(key))
            except (FileNotFoundError, NotADirectoryError) as error:
                raise _not_found(key) from error
        if not stat_module.S_ISREG(status.st_mode):
            raise _not_found(key)
        return status

    @contextmanager
    def _opened(self, key: str) -> Iterator[tuple[BinaryIO, os.stat_result]]:
        with translated(f"get {key}"):
            file, status = _open(self.path(key), key)
            with file:
                yield file, status


def listed(key: str, stamp: FileStamp, etag: str) -> ObjectInfo:
    """An object without its labels."""
    return ObjectInfo(key, stamp.size, etag, stamp.mtime_ns / 1e9)


def read_sidecar(path: str) -> Sidecar:
    """The sidecar of the object file at `path`, an empty one if there is none."""
    folder, _, name = path.rpartition("/")
    sidecar_path = f"{folder}/{sidecar_name(name)}"
    with translated(f"read {sidecar_path}"):
        try:
            descriptor = os.open(sidecar_path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return Sidecar()
        try:
            data = os.read(descriptor, SIDECAR_BYTES_MAX)
        finally:
            os.close(descriptor)
    return decode_sidecar(data, sidecar_path)


def _open(path: str, key: str) -> tuple[BinaryIO, os.stat_result]:
    """A regular file, never through a symbolic link at its end, never waiting for a pipe's other end."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _not_found(key) from error
    except OSError:
        if os.path.islink(path):
            raise _not_found(key) from None
        raise
    status = os.fstat(descriptor)
    if not stat_module.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise _not_found(key)
    return open(descriptor, "rb", buffering=0), status


def _replaced(path: str, status: os.stat_result) -> bool:
    """Whether the name leads to another file, or to another state of it, than `status`."""
    try:
        return stamp_of(os.lstat(path)) != stamp_of(status)
    except OSError:
        return True


def _not_found(key: str) -> ObjectNotFound:
    return ObjectNotFound(f"object {key}: not found")


def _changes_too_fast(key: str) -> Unavailable:
    return Unavailable(f"object {key}: changed during each of {READ_ATTEMPTS_MAX} reads")
