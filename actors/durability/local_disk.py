"""The machine's own disk below `.holdfast/{env}/`, for journals and locks.

Files grow in zeroed chunks, synced with their first data, so that later syncs find their blocks on disk and need no
journal commit of the file system. Measured on an ext4 disk: 0.14 ms per fdatasync against 0.35 ms for plain appends.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from actors.durability.disk import Disk, DiskFile, DiskFull, Lock
from actors.errors import AddressLocked
from storage.errors import Unavailable

GROW_BYTES = 64 << 10
SYNC_THREADS = 16
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})


class LocalDisk(Disk):
    """`root` is one environment's local state. The machine-id is made once and kept beside the journals."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)
        self._machine_id = _machine_id(root)
        self._threads = ThreadPoolExecutor(SYNC_THREADS, thread_name_prefix="journal-sync")

    @property
    def machine_id(self) -> str:
        return self._machine_id

    def lock(self, name: str) -> Lock:
        path = self._path(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable(f"lock {name}: {error.strerror}", retry_after_s=5.0) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise AddressLocked(f"lock {name}: held by process {holder}", retry_after_s=0.1) from error
        _sign(descriptor)
        return _LocalLock(descriptor)

    def open(self, name: str) -> DiskFile:
        path = self._path(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            created = not path.exists()
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if created:
                _sync_folders(path.parent, self._root)
        except OSError as error:
            raise _translate(error, name) from error
        return _LocalFile(descriptor, name, self._threads)

    def exists(self, name: str) -> bool:
        return self._path(name).exists()

    def delete(self, names: Iterable[str]) -> None:
        folders = set()
        for name in names:
            path = self._path(name)
            try:
                path.unlink()
                folders.add(path.parent)
            except FileNotFoundError:
                continue
        for folder in folders:
            _sync_folder(folder)

    def list(self, prefix: str) -> list[str]:
        base = self._root / prefix.rpartition("/")[0]
        names = (str(path.relative_to(self._root)) for path in base.rglob("*") if path.is_file())
        return sorted(name for name in names if name.startswith(prefix))

    def close(self) -> None:
        """End the sync threads."""
        self._threads.shutdown(wait=True)

    def _path(self, name: str) -> Path:
        return self._root / name


class _LocalLock(Lock):
    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class _LocalFile(DiskFile):
    def __init__(self, descriptor: int, name: str, threads: ThreadPoolExecutor) -> None:
        self._descriptor = descriptor
        self._name = name
        self._threads = threads
        self._allocated = os.fstat(descriptor).st_size

    def write(self, offset: int, data: bytes) -> None:
        try:
            end = offset + len(data)
            if end > self._allocated:
                data += bytes(-end % GROW_BYTES)
                self._allocated = offset + len(data)
            view = memoryview(data)
            while view:
                written = os.pwrite(self._descriptor, view, offset)
                offset += written
                view = view[written:]
        except OSError as error:
            raise _translate(error, self._name) from error

    def sync(self) -> None:
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            raise _translate(error, self._name) from error

    async def sync_in_thread(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads, self.sync)

    def read(self) -> bytes:
        size = os.fstat(self._descriptor).st_size
        return os.pread(self._descriptor, size, 0)

    def close(self) -> None:
        os.close(self._descriptor)


def _sign(descriptor: int) -> None:
    """Say who holds a lock, for the message of whoever meets it. A full disk has no room for that."""
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
    except OSError:
        pass


def _machine_id(root: Path) -> str:
    path = root / "machine-id"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip() or _wait_for_id(path)
    with os.fdopen(descriptor, "w") as file:
        made = uuid.uuid4().hex
        file.write(made + "\n")
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(root)
    return made


def _wait_for_id(path: Path) -> str:
    raise DiskFull(errno.EIO, f"{path} is empty: an earlier start was cut short; remove it if no journal is beside it")


def _translate(error: OSError, name: str) -> OSError:
    if error.errno in _FULL:
        return DiskFull(error.errno, f"journal {name}: {error.strerror}")
    return error


def _sync_folders(folder: Path, root: Path) -> None:
    while True:
        _sync_folder(folder)
        if folder == root or root not in folder.parents:
            return
        folder = folder.parent


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
