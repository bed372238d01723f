"""A file being written before it gets its name: the first half of every atomic write of the local store. Blocking.

Drafts live in one hidden folder, each under a flock of its writer; `remove_abandoned` takes away those whose writer is
dead, and only those, while other processes go on writing.
"""

from __future__ import annotations

import itertools
import os
from contextlib import suppress
from types import TracebackType

from storage.objects.checksum import new_md5
from storage.objects.local_lock import try_lock
from storage.objects.local_sidecar import FileStamp

NAME_ATTEMPTS_MAX = 10_000

_numbers = itertools.count()


class Draft:
    """One unnamed file. As a context it disappears at the end unless `rename` gave it a name."""

    def __init__(self, folder: str) -> None:
        self._path, self._descriptor = _create(folder)
        self._md5 = new_md5()
        self._synced = False
        self._named = False

    def write(self, data: bytes) -> None:
        """Append; OSError when the disk is full."""
        self._md5.update(data)
        self._synced = False
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    @property
    def etag(self) -> str:
        """MD5 of what was written so far."""
        return str(self._md5.hexdigest())

    def set_time(self, wall: float) -> None:
        """Set the modification time (Unix); finer than the file system's own, so that two writes rarely share it."""
        os.utime(self._descriptor, ns=(int(wall * 1e9), int(wall * 1e9)))

    def stamp(self) -> FileStamp:
        """Size, time and inode, which the file keeps when it is renamed."""
        return stamp_of(os.fstat(self._descriptor))

    def start_sync(self) -> None:
        """Ask for the blocks to be written without waiting. With it the next sync of any draft usually carries this one
        along in the same commit of the file system, and the sync of this one finds little left to do (0.2 ms less)."""
        os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def sync(self) -> None:
        """Make the content durable; OSError otherwise."""
        if not self._synced:
            os.fsync(self._descriptor)
            self._synced = True

    def rename(self, path: str) -> None:
        """Give the synced file its name, replacing what was there, at once for every reader."""
        assert self._synced, f"draft of {path} is renamed before it was synced"
        os.rename(self._path, path)
        self._named = True

    def close(self) -> None:
        """Free the file; remove it if it has no name."""
        if self._descriptor < 0:
            return
        try:
            if not self._named:
                with suppress(FileNotFoundError):  # the folder of drafts was emptied by hand
                    os.unlink(self._path)
        finally:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Draft:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def stamp_of(status: os.stat_result) -> FileStamp:
    return FileStamp(status.st_size, status.st_mtime_ns, status.st_ino)


def remove_abandoned(folder: str) -> int:
    """Remove drafts whose writers ended without removing them; the number removed."""
    removed = 0
    for name in os.listdir(folder):
        try:
            descriptor = os.open(os.path.join(folder, name), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue  # finished or removed meanwhile
        try:
            if try_lock(descriptor):
                os.unlink(os.path.join(folder, name))
                removed += 1
        except FileNotFoundError:
            pass  # renamed meanwhile
        finally:
            os.close(descriptor)
    return removed


def _create(folder: str) -> tuple[str, int]:
    """A new locked file. One that `remove_abandoned` caught between its creation and its lock is made again."""
    for _ in range(NAME_ATTEMPTS_MAX):
        path = os.path.join(folder, f"{os.getpid()}-{next(_numbers)}")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except FileExistsError:
            continue
        if try_lock(descriptor) and os.fstat(descriptor).st_nlink:
            return path, descriptor
        os.close(descriptor)
    raise FileExistsError(f"{folder}: no free name for a draft after {NAME_ATTEMPTS_MAX} attempts")
