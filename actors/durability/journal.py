"""The journal of one actor: commits that are not in the bucket yet, on the local disk.

Two files take turns. Starting a flush turns to the other file; when the flush has settled, everything in the first is
in the log and its blocks are free to be overwritten. `append` buffers; one `sync` makes every buffered commit durable
(group commit). Whether to sync inline or in a thread is the caller's decision (actors.durability.group_commit).

After a failed write or sync nothing more is journaled until a flush has carried everything to the bucket and the
journal starts anew (`restart`): a journal never has a gap.
"""

from __future__ import annotations

from dataclasses import dataclass

from actors.durability.commit import Commit
from actors.durability.disk import Disk, DiskFile
from actors.durability.journal_record import JournalRecord, decode_records, encode_record
from storage.log.claim import JournalView

FILES = ("a", "b")


@dataclass(frozen=True, slots=True)
class JournalContents:
    """What a journal on disk holds: commits of one claim, ascending; a cut-off sync may have left out some."""

    claim_id: str
    epoch: int
    records: tuple[JournalRecord, ...]

    @property
    def view(self) -> JournalView:
        return JournalView(self.claim_id, self.epoch, self.records[0].number, self.records[-1].number)

    def above(self, commit: int) -> tuple[JournalRecord, ...]:
        """Records that follow `commit` directly and without a gap (rule 4).

        What stands behind a gap was never synced as a whole, so nobody was told it is durable.
        """
        by_number = {record.number: record for record in self.records}
        found: list[JournalRecord] = []
        while (record := by_number.get(commit + 1 + len(found))) is not None:
            found.append(record)
        return tuple(found)


def file_names(name: str) -> tuple[str, str]:
    """Both files of journal `name`."""
    return f"{name}.{FILES[0]}.journal", f"{name}.{FILES[1]}.journal"


def read_journal(disk: Disk, name: str) -> JournalContents | None:
    """The newest claim's commits, or None where there are none. Raises UnsupportedVersion, CorruptObject."""
    runs: list[list[JournalRecord]] = []
    for file_name in file_names(name):
        if disk.exists(file_name):
            file = disk.open(file_name)
            try:
                runs.append(list(decode_records(file.read())))
            finally:
                file.close()
    return join_runs([run for run in runs if run])


def join_runs(runs: list[list[JournalRecord]]) -> JournalContents | None:
    """One run per file; those of the newest epoch count, in the order of their numbers."""
    if not runs:
        return None
    epoch = max(run[0].epoch for run in runs)
    current = sorted((run for run in runs if run[0].epoch == epoch), key=lambda run: run[0].number)
    return JournalContents(current[0][0].claim_id, epoch, tuple(record for run in current for record in run))


class Journal:
    """The live journal of one ownership. One caller at a time (the host's event loop)."""

    def __init__(self, disk: Disk, name: str, claim_id: str, epoch: int) -> None:
        self._disk = disk
        self._names = file_names(name)
        self._claim_id = claim_id
        self._epoch = epoch
        self._files: list[DiskFile | None] = [None, None]
        self._unsynced = [False, False]
        self._offsets = [0, 0]
        self._current = 0
        self._buffer: list[bytes] = []
        self.pending_bytes = 0  # appended and not handed to a sync yet
        self.appended = 0
        self.synced = 0
        self.failed: OSError | None = None

    def append(self, commit: Commit) -> None:
        """Take one commit in; durable after the next sync that succeeds."""
        if self.failed is None:
            self._buffer.append(encode_record(JournalRecord(self._claim_id, self._epoch, commit.number, commit.pages)))
            self.pending_bytes += len(self._buffer[-1])
        self.appended = commit.number

    @property
    def dirty(self) -> bool:
        """Whether a sync would make anything more durable."""
        return self.failed is None and self.appended > self.synced

    def sync(self) -> int:
        """Write and fdatasync, blocking. Returns the commit that is durable now. Raises OSError (see `failed`)."""
        appended = self.appended
        try:
            for file in self._write():
                file.sync()
        except OSError as error:
            self.failed = error
            raise
        return self._synced(appended)

    async def sync_in_thread(self) -> int:
        """The same off the event loop; commits appended meanwhile wait for the next one."""
        appended = self.appended
        try:
            for file in self._write():
                await file.sync_in_thread()
        except OSError as error:
            self.failed = error
            raise
        return self._synced(appended)

    def turn(self) -> None:
        """A flush begins: later commits go to the other file."""
        self._flush_buffer_quietly()
        self._current = 1 - self._current
        self._offsets[self._current] = 0

    def restart(self, number: int) -> None:
        """Everything up to `number` is in the log and nothing is above it: begin again after a failure."""
        assert self.appended <= number, f"journal has commit {self.appended}, the log ends at {number}"
        self._buffer.clear()
        self.pending_bytes = 0
        self._offsets = [0, 0]
        self._unsynced = [False, False]
        self.appended = self.synced = number
        self.failed = None

    def close(self, *, delete: bool) -> None:
        """Close the files; delete them when everything in them is in the log."""
        for file in self._files:
            if file is not None:
                file.close()
        self._files = [None, None]
        if delete:
            self._disk.delete(self._names)

    def _write(self) -> list[DiskFile]:
        self._flush_buffer()
        self.pending_bytes = 0
        # The older file first: whatever is durable then has everything before it durable as well.
        dirty = [index for index in (1 - self._current, self._current) if self._unsynced[index]]
        self._unsynced = [False, False]
        return [file for index in dirty if (file := self._files[index]) is not None]

    def _synced(self, appended: int) -> int:
        self.synced = max(self.synced, appended)
        return self.synced

    def _flush_buffer(self) -> None:
        if not self._buffer:
            return
        data = b"".join(self._buffer)
        index = self._current
        file = self._files[index]
        if file is None:
            file = self._files[index] = self._disk.open(self._names[index])
        file.write(self._offsets[index], data)
        self._buffer.clear()
        self._offsets[index] += len(data)
        self._unsynced[index] = True

    def _flush_buffer_quietly(self) -> None:
        try:
            self._flush_buffer()
        except OSError as error:
            self.failed = error
